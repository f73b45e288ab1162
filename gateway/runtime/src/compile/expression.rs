//! Mapping expressions: `method.request.header.X`, `context.requestId`, `'text'`, and HTTP APIs' `$request.header.X`.

use indexmap::IndexMap;

use crate::plan::{Place, ValueSource};

/// A source that has a name.
type Named = fn(Box<str>) -> ValueSource;

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
    if let Some(name) = plain.strip_prefix("stageVariables.") {
        return Ok(ValueSource::Text(variables.get(name).map_or("", String::as_str).into()));
    }
    if let Some(name) = plain.strip_prefix("context.") {
        return Ok(ValueSource::Context(name.into()));
    }
    if let Some(body) = plain.strip_prefix("request.body").or_else(|| plain.strip_prefix("integration.response.body")) {
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

/// Parses what a request parameter mapping sets: `integration.request.{path|querystring|header}.NAME`.
pub(super) fn destination(text: &str) -> Result<(Place, Box<str>), String> {
    let places = [
        ("integration.request.path.", Place::Path),
        ("integration.request.querystring.", Place::Query),
        ("integration.request.header.", Place::Header),
    ];
    for (prefix, place) in places {
        if let Some(name) = text.strip_prefix(prefix).filter(|name| !name.is_empty()) {
            return Ok((place, name.into()));
        }
    }
    Err(format!(
        "`{text}` names nothing that can be set; write `integration.request.header.NAME`, `.querystring.NAME` or `.path.NAME`"
    ))
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
        for bad in ["", "id", "method.request.path.", "request.cookie.x", "'open"] {
            assert!(source(bad, &variables).is_err(), "{bad}");
        }
    }
}
