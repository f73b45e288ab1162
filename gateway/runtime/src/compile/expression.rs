//! Mapping expressions: `method.request.header.X`, `context.requestId`, `'text'`, and HTTP APIs' `$request.header.X`.

use http::HeaderName;
use indexmap::IndexMap;

use crate::plan::{Action, Mapping, Place, ValueSource};

/// A source that has a name.
type Named = fn(Box<str>) -> ValueSource;

/// Header fields that HTTP APIs let nobody map (source: API Gateway, "Transform API requests and responses", reserved headers),
/// by whole name, or by what names begin with where a `-` stands last.
const RESERVED: [&str; 20] = [
    "access-control-",
    "apigw-",
    "x-amz-",
    "x-amzn-",
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "content-location",
    "forwarded",
    "keep-alive",
    "origin",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailers",
    "transfer-encoding",
    "upgrade",
    "x-forwarded-",
    "via",
];

/// Parses where a mapped value comes from. Stage variables are replaced by their values here, since a plan belongs to a stage.
///
/// # Errors
///
/// A fragment that says what was expected.
pub(super) fn source(text: &str, variables: &IndexMap<String, String>) -> Result<ValueSource, String> {
    if let Some(quoted) = text.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')) {
        return Ok(ValueSource::Text(quoted.into()));
    }
    let plain = text.strip_prefix('$').unwrap_or(text);
    let plain = plain.strip_prefix("method.").unwrap_or(plain);
    if text == "$request.path" {
        return Ok(ValueSource::WholePath);
    }
    if let Some(name) = plain.strip_prefix("stageVariables.") {
        return Ok(ValueSource::Text(variables.get(name).map_or("", String::as_str).into()));
    }
    if let Some(name) = plain.strip_prefix("context.") {
        return Ok(ValueSource::Context(name.into()));
    }
    let bodies = ["request.body", "integration.response.body", "response.body"];
    if let Some(body) = bodies.into_iter().find_map(|body| plain.strip_prefix(body)) {
        return Ok(ValueSource::Body(json_path(body)?));
    }
    let families: [(&str, Named); 8] = [
        ("request.path.", ValueSource::Path),
        ("request.querystring.", ValueSource::Query),
        ("request.multivaluequerystring.", ValueSource::QueryAll),
        ("request.header.", ValueSource::Header),
        ("request.multivalueheader.", ValueSource::HeaderAll),
        ("integration.response.header.", ValueSource::ResponseHeader),
        ("integration.response.multivalueheader.", ValueSource::ResponseHeaderAll),
        ("response.header.", ValueSource::ResponseHeader),
    ];
    for (prefix, make) in families {
        if let Some(name) = plain.strip_prefix(prefix).filter(|name| !name.is_empty()) {
            return Ok(make(name.into()));
        }
    }
    Err(format!("`{text}` names no value; text that is meant as it stands needs quotes: `'{text}'`"))
}

/// Parses a mapping: `integration.request.{path|querystring|header}.NAME` as in REST APIs, or `ACTION:PLACE.NAME` as in HTTP APIs,
/// whose values are texts with references in them.
///
/// # Errors
///
/// A fragment that says what was expected.
pub(super) fn request_mapping(
    destination: &str,
    text: &str,
    is_proxy: bool,
    variables: &IndexMap<String, String>,
) -> Result<Mapping, String> {
    if let Some((action, place)) = destination.split_once(':') {
        return changed(destination, action, place, text, variables).and_then(|mapping| match mapping.place {
            Place::Status => Err("a request has no status".to_owned()),
            _ => Ok(mapping),
        });
    }
    let places = [
        ("integration.request.path.", Place::Path, Action::Overwrite),
        // A proxied request keeps its query, and mapped parameters stand beside it (source: recorded AWS behaviour).
        ("integration.request.querystring.", Place::Query, if is_proxy { Action::Append } else { Action::Overwrite }),
        ("integration.request.header.", Place::Header, Action::Overwrite),
    ];
    for (prefix, place, action) in places {
        if let Some(name) = destination.strip_prefix(prefix).filter(|name| !name.is_empty()) {
            return Ok(mapping(action, place, name, source(text, variables)?));
        }
    }
    Err(format!(
        "`{destination}` names nothing that can be set; write `integration.request.header.NAME`, `.querystring.NAME` or \
         `.path.NAME`, or `overwrite:header.NAME`, `append:...`, `remove:...`"
    ))
}

/// Parses a change to an answer: `{append|overwrite|remove}:header.NAME` or `overwrite:statuscode`.
///
/// # Errors
///
/// A fragment that says what was expected.
pub(super) fn response_mapping(
    destination: &str,
    text: &str,
    variables: &IndexMap<String, String>,
) -> Result<Mapping, String> {
    let (action, place) = destination.split_once(':').ok_or_else(|| {
        format!("`{destination}` is no change; write `overwrite:header.NAME` or `overwrite:statuscode`")
    })?;
    let mapping = changed(destination, action, place, text, variables)?;
    match mapping.place {
        Place::Header | Place::Status => Ok(mapping),
        _ => Err("an answer has headers and a status, nothing else can be changed".to_owned()),
    }
}

/// `ACTION:PLACE.NAME` with its value.
fn changed(
    whole: &str,
    action: &str,
    place: &str,
    text: &str,
    variables: &IndexMap<String, String>,
) -> Result<Mapping, String> {
    let action = match action {
        "append" => Action::Append,
        "overwrite" => Action::Overwrite,
        "remove" => Action::Remove,
        _ => return Err(format!("`{whole}` does what nothing does; write `append:`, `overwrite:` or `remove:`")),
    };
    let (place, name) = match place.split_once('.') {
        Some(("header", name)) if !name.is_empty() => (Place::Header, name),
        Some(("querystring", name)) if !name.is_empty() => (Place::Query, name),
        None if place == "path" && action == Action::Overwrite => (Place::WholePath, ""),
        None if place == "statuscode" && action == Action::Overwrite => (Place::Status, ""),
        _ => {
            return Err(format!(
                "`{whole}` names nothing that can be changed; write `header.NAME`, `querystring.NAME`, and with `overwrite:` \
                 also `path` or `statuscode`"
            ));
        }
    };
    let is_reserved = |name: &str| {
        let name = name.to_ascii_lowercase();
        RESERVED.iter().any(|known| if known.ends_with('-') { name.starts_with(known) } else { name == *known })
    };
    if place == Place::Header && is_reserved(name) {
        return Err(format!("header `{name}` is reserved; it cannot be mapped"));
    }
    let source = if action == Action::Remove { ValueSource::Text("".into()) } else { joined(text, variables)? };
    Ok(mapping(action, place, name, source))
}

fn mapping(action: Action, place: Place, name: &str, source: ValueSource) -> Mapping {
    let field = (place == Place::Header).then(|| HeaderName::from_bytes(name.as_bytes()).ok()).flatten();
    Mapping { action, place, name: name.into(), field, source }
}

/// An HTTP API's value: one reference, or a text with `${...}` in it.
fn joined(text: &str, variables: &IndexMap<String, String>) -> Result<ValueSource, String> {
    let is_reference = ["$request.", "$response.", "$context.", "$stageVariables."]
        .iter()
        .any(|start| text.starts_with(start) && !text.contains(['{', ' ', '}']));
    if is_reference {
        return source(text, variables);
    }
    let mut parts = Vec::new();
    let mut rest = text.strip_prefix('\'').and_then(|inner| inner.strip_suffix('\'')).unwrap_or(text);
    while let Some(start) = rest.find("${") {
        let Some(length) = rest[start..].find('}') else {
            return Err(format!("`{text}` has a `${{` without its `}}`"));
        };
        if start > 0 {
            parts.push(ValueSource::Text(rest[..start].into()));
        }
        let name = rest[start + 2..start + length].trim_start_matches('$');
        parts.push(source(&format!("${name}"), variables)?);
        rest = &rest[start + length + 1..];
    }
    if parts.is_empty() {
        return Ok(ValueSource::Text(rest.into()));
    }
    if !rest.is_empty() {
        parts.push(ValueSource::Text(rest.into()));
    }
    Ok(ValueSource::Joined(parts.into()))
}

/// Parses a declared parameter: `method.request.{path|querystring|header}.NAME`.
pub(super) fn parameter(text: &str) -> Result<(Box<str>, ValueSource), String> {
    let source = source(text, &IndexMap::new())?;
    match &source {
        ValueSource::Path(name) | ValueSource::Query(name) | ValueSource::Header(name) => Ok((name.clone(), source)),
        _ => Err(format!("`{text}` is not a parameter; write `method.request.{{path|querystring|header}}.NAME`")),
    }
}

/// `.$.a.b` or `.a.b` behind `body` as a JSON path; nothing is the whole body.
fn json_path(rest: &str) -> Result<Box<str>, String> {
    match rest.strip_prefix('.') {
        None if rest.is_empty() => Ok("$".into()),
        Some(path) if path.starts_with('$') => Ok(path.into()),
        Some(path) if !path.is_empty() => Ok(format!("$.{path}").into()),
        _ => Err(format!("`body{rest}` is not a place in a body; write `body` or `body.NAME`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_of_both_kinds_of_apis_are_understood() {
        let variables = IndexMap::from([("env".to_owned(), "blue".to_owned())]);
        let cases = [
            ("method.request.path.id", ValueSource::Path("id".into())),
            ("$request.path.id", ValueSource::Path("id".into())),
            ("method.request.querystring.page", ValueSource::Query("page".into())),
            ("method.request.multivalueheader.X", ValueSource::HeaderAll("X".into())),
            ("method.request.body", ValueSource::Body("$".into())),
            ("method.request.body.$.a[0]", ValueSource::Body("$.a[0]".into())),
            ("$request.body.name", ValueSource::Body("$.name".into())),
            ("integration.response.header.Location", ValueSource::ResponseHeader("Location".into())),
            ("context.identity.sourceIp", ValueSource::Context("identity.sourceIp".into())),
            ("stageVariables.env", ValueSource::Text("blue".into())),
            ("$stageVariables.none", ValueSource::Text("".into())),
            ("'a.b'", ValueSource::Text("a.b".into())),
        ];
        for (text, want) in cases {
            assert_eq!(source(text, &variables), Ok(want), "{text}");
        }
        let changes = [
            ("append:header.x-a", "$request.querystring.q", Action::Append, Place::Header),
            ("overwrite:path", "/v1/${request.path.id}", Action::Overwrite, Place::WholePath),
            ("remove:querystring.debug", "''", Action::Remove, Place::Query),
            ("integration.request.header.X", "'1'", Action::Overwrite, Place::Header),
        ];
        for (destination, text, action, place) in changes {
            let mapping = request_mapping(destination, text, true, &variables).expect(destination);
            assert_eq!((mapping.action, mapping.place), (action, place), "{destination}");
        }
        for bad in
            ["append:path", "overwrite:header.Authorization", "append:header.x-amzn-a", "set:header.x", "overwrite:"]
        {
            assert!(request_mapping(bad, "x", true, &variables).is_err(), "{bad}");
        }
        assert!(response_mapping("overwrite:querystring.x", "y", &variables).is_err());
        assert_eq!(response_mapping("overwrite:statuscode", "201", &variables).expect("a change").place, Place::Status);
        for bad in ["", "id", "method.request.path.", "request.cookie.x", "'open"] {
            assert!(source(bad, &variables).is_err(), "{bad}");
        }
    }
}
