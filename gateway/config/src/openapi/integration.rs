//! `x-amazon-apigateway-integration` to the native integration.

use std::collections::HashSet;

use crate::issue::{Span, quote};
use crate::source::{Key, Node, Value};
use crate::suggest;

use super::codes;
use super::context::{At, Import};
use super::tree::{self, Map};
use super::vtl::{self, Translation};

/// Fields that Moongate does not act on yet. Each is reported, because dropping it changes what a route does.
const UNSUPPORTED: [&str; 7] = [
    "cacheKeyParameters",
    "cacheNamespace",
    "connectionId",
    "connectionType",
    "credentials",
    "integrationSubtype",
    "integrationTarget",
];

/// Every other field (source: "x-amazon-apigateway-integration object"). `responseTransferMode` needs nothing: answers that
/// no template reads are streamed anyway.
const SUPPORTED: [&str; 13] = [
    "type",
    "uri",
    "httpMethod",
    "requestParameters",
    "requestTemplates",
    "passthroughBehavior",
    "contentHandling",
    "payloadFormatVersion",
    "responseParameters",
    "responses",
    "timeoutInMillis",
    "tlsConfig",
    "responseTransferMode",
];

/// Whether an integration can only be one of a REST API: it maps bodies, or names none of HTTP APIs' payload formats.
pub(super) fn is_rest(integration: &Node) -> bool {
    let format = tree::get(integration, "payloadFormatVersion").and_then(tree::scalar_text);
    if format.as_deref().is_some_and(|format| !matches!(format, "1" | "1.0")) {
        return false;
    }
    let kind = kind(integration);
    let maps = ["passthroughBehavior", "responses", "requestTemplates", "contentHandling", "cacheNamespace"];
    maps.iter().any(|field| tree::get(integration, field).is_some())
        || matches!(kind.as_deref(), Some("mock" | "http" | "aws"))
        || kind.as_deref() == Some("aws_proxy") && format.is_none()
}

/// The native integration. `route_path` is the path template of the route it answers. `None`, and a reported problem, when
/// it has nothing usable to call.
pub(super) fn convert<'a>(import: &mut Import<'a>, source: &'a Node, route_path: &str, at: &At<'_>) -> Option<Node> {
    let entries = import.mapping(source, at)?;
    let kind = kind(source);
    report_fields(import, entries, kind.as_deref(), at);
    let is_proxy = kind.as_deref().is_some_and(|kind| kind.ends_with("_proxy"));
    let is_mock = kind.as_deref() == Some("mock");

    let mut map = Map::default();
    map.put_some("type", tree::get(source, "type").map(lower_case));
    let uri = tree::get(source, "uri").filter(|_| !is_mock);
    let has_bad_uri = uri.is_some_and(|uri| import.text(uri, &at.key("uri")).is_none());
    map.put_some("uri", uri.cloned());
    map.put_some("method", tree::get(source, "httpMethod").filter(|_| !is_mock).and_then(method));
    // With a subtype these are the arguments of an AWS service call, which is what the warning about the subtype is for.
    if tree::get(source, "integrationSubtype").is_none() {
        map.put_some("request_parameters", request_parameters(import, source, kind.as_deref(), route_path, at));
    }
    if !is_proxy {
        map.put_some("request_templates", templates(import, source, "requestTemplates", at));
        map.put_some("passthrough_behavior", tree::get(source, "passthroughBehavior").map(lower_case));
    }
    map.put_some("content_handling", tree::get(source, "contentHandling").map(lower_case));
    if !is_proxy {
        map.put_some("responses", responses(import, source, at));
    }
    // Proxied HTTP has no payload format; exports of HTTP APIs state one all the same.
    let format = tree::get(source, "payloadFormatVersion").filter(|_| kind.as_deref() == Some("aws_proxy"));
    map.put_some("payload_format_version", format.map(payload_format));
    map.put_some("response_parameters", changes(import, source, at));
    map.put_some("timeout_ms", tree::get(source, "timeoutInMillis").cloned());
    map.put_some("tls", tls(import, source, at));
    (!has_bad_uri).then(|| tree::mapping(map, source.span))
}

fn kind(integration: &Node) -> Option<String> {
    tree::get(integration, "type").and_then(Node::as_str).map(str::to_ascii_lowercase)
}

/// AWS writes its enumerations in either case; whether the word is one of them is the decoder's question.
fn lower_case(node: &Node) -> Node {
    match &node.value {
        Value::String(text) => Node::string(node.span, text.to_ascii_lowercase()),
        _ => node.clone(),
    }
}

/// The upstream's method; none for `ANY`, which is the client's.
fn method(node: &Node) -> Option<Node> {
    match node.as_str() {
        Some(text) if text.eq_ignore_ascii_case("ANY") || text == "x-amazon-apigateway-any-method" => None,
        Some(text) => Some(Node::string(node.span, text.to_ascii_uppercase())),
        None => Some(node.clone()),
    }
}

fn report_fields<'a>(import: &mut Import<'a>, entries: &'a [(Key, Node)], kind: Option<&str>, at: &At<'_>) {
    let is_proxy = kind.is_some_and(|kind| kind.ends_with("_proxy"));
    for (key, value) in entries {
        let name = &*key.text;
        let at = at.key(name);
        if UNSUPPORTED.contains(&name) {
            if !is_default(name, value) {
                let message = format!("`{name}` of an integration has no effect yet");
                import.push(import.warning(codes::INTEGRATION_FIELD_UNSUPPORTED, &at, key.span, message));
            }
        } else if matches!(name, "requestTemplates" | "responses") && is_proxy && has_mappings(name, value) {
            let message = format!("`{name}` has no effect on a proxy integration");
            let help = "proxy integrations pass bodies and answers on as they are, in AWS too";
            import.push(import.warning(codes::INTEGRATION_MAPPING_IGNORED, &at, key.span, message).help(help));
        } else if !SUPPORTED.contains(&name) && !name.starts_with("x-") && name != "$ref" {
            let message = format!("an integration has no field {}; it has no effect", quote(name));
            let mut issue = import.warning(codes::INTEGRATION_FIELD_UNKNOWN, &at, key.span, message);
            if let Some(near) = suggest::closest(name, SUPPORTED.into_iter().chain(UNSUPPORTED)) {
                issue = issue.label(format!("did you mean `{near}`?"));
            }
            import.push(issue);
        }
    }
}

/// Whether an unsupported field asks for nothing that does not happen anyway.
fn is_default(name: &str, value: &Node) -> bool {
    match (name, &value.value) {
        (_, Value::Null) => true,
        (_, Value::Sequence(items)) => items.is_empty(),
        ("connectionType", Value::String(text)) => text.eq_ignore_ascii_case("INTERNET"),
        _ => false,
    }
}

/// Whether a proxy integration's mapping does more than the `default: {statusCode: 200}` that consoles write everywhere.
fn has_mappings(name: &str, value: &Node) -> bool {
    let is_filled = |node: &Node| !node.entries().is_empty();
    if name == "requestTemplates" {
        return is_filled(value);
    }
    let fields = ["responseParameters", "responseTemplates"];
    value
        .entries()
        .iter()
        .any(|(_, response)| fields.iter().any(|field| tree::get(response, field).is_some_and(is_filled)))
}

/// The declared mappings; for an HTTP API also those of path parameters that its `uri` names and AWS fills by itself.
fn request_parameters<'a>(
    import: &mut Import<'a>,
    source: &'a Node,
    kind: Option<&str>,
    route_path: &str,
    at: &At<'_>,
) -> Option<Node> {
    let declared = tree::get(source, "requestParameters");
    let mut map = match declared {
        Some(declared) => Map::from(text_entries(import, declared, &at.key("requestParameters"))),
        None => Map::default(),
    };
    if let Some(uri) = tree::get(source, "uri").filter(|_| kind == Some("http_proxy") && !import.is_rest) {
        let mut unmapped: HashSet<&str> = parameter_names(route_path).collect();
        for (key, _) in declared.map(Node::entries).unwrap_or_default() {
            unmapped.remove(key.text.strip_prefix("integration.request.path.").unwrap_or_default());
        }
        for name in placeholders(uri.as_str().unwrap_or_default()) {
            if unmapped.remove(name) {
                let value = Node::string(uri.span, format!("method.request.path.{name}"));
                map.put(&format!("integration.request.path.{name}"), value);
            }
        }
    }
    map.into_some(declared.map_or(source.span, |declared| declared.span))
}

/// The names in a URI's `{name}`s; `${...}` are stage variables, not parameters.
fn placeholders(uri: &str) -> impl Iterator<Item = &str> {
    uri.match_indices('{').filter_map(move |(start, _)| {
        if uri[..start].ends_with('$') {
            return None;
        }
        let rest = &uri[start + 1..];
        let name = &rest[..rest.find(['}', '{', '/'])?];
        rest[name.len()..].starts_with('}').then(|| name.trim_end_matches('+'))
    })
}

/// The parameters of a route's path.
fn parameter_names(path: &str) -> impl Iterator<Item = &str> {
    let inner = path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'));
    inner.map(|name| name.strip_suffix('+').unwrap_or(name))
}

/// The entries of a mapping from names to texts. What is not a text is dropped with a warning, as AWS does.
fn text_entries<'a>(import: &mut Import<'a>, source: &'a Node, at: &At<'_>) -> Vec<(Key, Node)> {
    let Some(entries) = import.mapping(source, at) else {
        return Vec::new();
    };
    let mut texts = Vec::with_capacity(entries.len());
    for (key, value) in entries {
        let at = at.key(&key.text);
        match &value.value {
            Value::String(_) => texts.push((key.clone(), value.clone())),
            Value::Null | Value::Bool(_) | Value::Integer(_) | Value::Float(_) => {
                let message =
                    format!("this mapping has no effect: {} is not where a value comes from", tree::kind(value));
                let issue = import.warning(codes::MAPPING_DROPPED, &at, value.span, message);
                import.push(
                    issue.help("write a source such as `method.request.header.Accept`, or a quoted text: \"'true'\""),
                );
            }
            Value::Sequence(_) | Value::Mapping(_) => import.push_shape(value, &at, "a text"),
        }
    }
    texts
}

fn responses<'a>(import: &mut Import<'a>, source: &'a Node, at: &At<'_>) -> Option<Node> {
    let responses = tree::get(source, "responses")?;
    let at = at.key("responses");
    let entries = import.mapping(responses, &at)?;
    let mut items = Vec::with_capacity(entries.len());
    for (key, response) in entries {
        let at = at.key(&key.text);
        if import.mapping(response, &at).is_none() {
            continue;
        }
        let mut map = Map::default();
        if &*key.text != "default" {
            map.put("selection_pattern", Node::string(key.span, key.text.clone()));
        }
        map.put_some("status_code", tree::get(response, "statusCode").map(status));
        if let Some(parameters) = tree::get(response, "responseParameters") {
            let parameters_at = at.key("responseParameters");
            let texts = Map::from(text_entries(import, parameters, &parameters_at));
            map.put_some("response_parameters", texts.into_some(parameters.span));
        }
        map.put_some("response_templates", templates(import, response, "responseTemplates", &at));
        map.put_some("content_handling", tree::get(response, "contentHandling").map(lower_case));
        items.push(tree::mapping(map, response.span));
    }
    (!items.is_empty()).then(|| tree::sequence(responses.span, items))
}

/// A status as a number: AWS writes `"200"`.
fn status(node: &Node) -> Node {
    match node.as_str().and_then(|text| text.parse::<u16>().ok()) {
        Some(status) => Node { span: node.span, value: Value::Integer(i64::from(status)) },
        None => node.clone(),
    }
}

fn templates<'a>(import: &mut Import<'a>, source: &'a Node, field: &str, at: &At<'_>) -> Option<Node> {
    let templates = tree::get(source, field)?;
    let at = at.key(field);
    let entries = import.mapping(templates, &at)?;
    let mut map = Map::default();
    for (key, template) in entries {
        let at = at.key(&key.text);
        if let Some(text) = import.text(template, &at) {
            let node = template_node(import, text, template.span, &at);
            map.push((key.clone(), node));
        }
    }
    map.into_some(templates.span)
}

/// A template in Lua or as a text. One that cannot be carried over stays as it is: the error keeps it from being used.
fn template_node(import: &mut Import<'_>, text: &str, span: Span, at: &At<'_>) -> Node {
    let (name, content) = match vtl::translate(text) {
        Ok((translation, notes)) => {
            for note in notes {
                let message = format!("line {} of this template: {}", note.line, note.what);
                let issue = import.warning(codes::TEMPLATE_DOUBTFUL, at, span, message);
                import.push(issue.label(format!("line {}: {}", note.line, quote(note.text.trim()))));
            }
            match translation {
                Translation::Text(text) => ("text", text),
                Translation::Lua(script) => ("lua", script),
            }
        }
        Err(problems) => {
            for problem in problems {
                let message = format!(
                    "this template uses VTL that cannot be carried over: {} in line {}",
                    problem.what, problem.line
                );
                let issue = import
                    .error(codes::TEMPLATE, at, span, message)
                    .label(format!("line {}: {}", problem.line, quote(problem.text.trim())))
                    .help("write the template in Lua: replace the integration by `x-moongate-integration`");
                import.push(issue);
            }
            ("text", text.to_owned())
        }
    };
    let mut map = Map::default();
    map.put(name, Node::string(span, content));
    tree::mapping(map, span)
}

/// A format's version as a text: YAML reads `1.0` as a number.
fn payload_format(node: &Node) -> Node {
    match tree::scalar_text(node).as_deref() {
        Some("1" | "1.0") => Node::string(node.span, "1.0"),
        Some("2" | "2.0") => Node::string(node.span, "2.0"),
        _ => node.clone(),
    }
}

/// Changes to answers by status, as HTTP APIs have them.
fn changes<'a>(import: &mut Import<'a>, source: &'a Node, at: &At<'_>) -> Option<Node> {
    let declared = tree::get(source, "responseParameters")?;
    let at = at.key("responseParameters");
    let mut map = Map::default();
    for (status, changes) in import.mapping(declared, &at)? {
        let texts = Map::from(text_entries(import, changes, &at.key(&status.text)));
        map.push((status.clone(), texts.into_some(changes.span)?));
    }
    map.into_some(declared.span)
}

fn tls<'a>(import: &mut Import<'a>, source: &'a Node, at: &At<'_>) -> Option<Node> {
    let tls = tree::get(source, "tlsConfig")?;
    let at = at.key("tlsConfig");
    let mut map = Map::default();
    for (key, value) in import.mapping(tls, &at)? {
        match &*key.text {
            "insecureSkipVerification" => map.put_at(key.span, "insecure_skip_verification", value.clone()),
            "serverNameToVerify" => map.put_at(key.span, "server_name", value.clone()),
            name => {
                let message = format!("`tlsConfig` has no field {}; it has no effect", quote(name));
                import.push(import.warning(codes::INTEGRATION_FIELD_UNKNOWN, &at.key(name), key.span, message));
            }
        }
    }
    map.into_some(tls.span)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_path_parameters_only() {
        let cases: [(&str, &[&str]); 4] = [
            ("http://h/{a}/{b+}", &["a", "b"]),
            ("http://${stageVariables.host}/{a}", &["a"]),
            ("http://h/{a/b}", &[]),
            ("http://h/{", &[]),
        ];
        for (uri, want) in cases {
            assert_eq!(placeholders(uri).collect::<Vec<_>>(), want, "{uri}");
        }
    }
}
