//! What AWS extensions say of the whole API.

use crate::issue::quote;
use crate::source::{Node, Value};
use crate::suggest;

use super::codes;
use super::context::{At, Import};
use super::tree::{self, Map};

/// Fields of `x-amazon-apigateway-cors` and their native names.
const CORS: [(&str, &str); 6] = [
    ("allowOrigins", "allow_origins"),
    ("allowMethods", "allow_methods"),
    ("allowHeaders", "allow_headers"),
    ("exposeHeaders", "expose_headers"),
    ("allowCredentials", "allow_credentials"),
    ("maxAge", "max_age_seconds"),
];

/// Fields of a gateway response and their native names.
const GATEWAY_RESPONSE: [(&str, &str); 3] = [
    ("statusCode", "status_code"),
    ("responseParameters", "response_parameters"),
    ("responseTemplates", "response_templates"),
];

/// Fields of a request validator and their native names.
const REQUEST_VALIDATOR: [(&str, &str); 2] =
    [("validateRequestBody", "validate_request_body"), ("validateRequestParameters", "validate_request_parameters")];

/// The native `cors`.
pub(super) fn cors<'a>(import: &mut Import<'a>) -> Option<Node> {
    if let Some(native) = tree::get(import.root, "x-moongate-cors") {
        return Some(native.clone());
    }
    let source = tree::get(import.root, "x-amazon-apigateway-cors")?;
    let mut map = renamed(import, source, &CORS, &At::ROOT.key("x-amazon-apigateway-cors"))?;
    // The console writes single origins without a list.
    map.change_values(|value| match &value.value {
        Value::String(_) => tree::sequence(value.span, vec![value]),
        _ => value,
    });
    Some(tree::mapping(map, source.span))
}

/// The native `gateway_responses`.
pub(super) fn gateway_responses<'a>(import: &mut Import<'a>) -> Option<Node> {
    if let Some(native) = tree::get(import.root, "x-moongate-gateway-responses") {
        return Some(native.clone());
    }
    renamed_members(import, "x-amazon-apigateway-gateway-responses", &GATEWAY_RESPONSE)
}

/// The native `request_validators`.
pub(super) fn request_validators(import: &mut Import<'_>) -> Option<Node> {
    renamed_members(import, "x-amazon-apigateway-request-validators", &REQUEST_VALIDATOR)
}

/// The native `binary_media_types`.
pub(super) fn binary_media_types(import: &Import<'_>) -> Option<Node> {
    tree::get(import.root, "x-amazon-apigateway-binary-media-types").cloned()
}

/// Reports settings of the whole API that cannot be carried over.
///
/// A resource policy that restricts anybody is an error: without it, the API would be open to those it keeps out. Silent are
/// documentation, export versions, tags, endpoint types that concern AWS's network only, and TLS policies, which listeners set.
pub(super) fn report_unsupported(import: &mut Import<'_>) {
    for (key, value) in import.root.entries() {
        let name = &*key.text;
        let at = At::ROOT.key(name);
        let message = match name {
            "x-amazon-apigateway-policy" if !allows_everyone(value) => {
                let message = "resource policies are not supported yet: without this one, everybody could call the API";
                let help =
                    "remove it once something else, such as an authorizer or a firewall, keeps the same callers out";
                import.push(import.error(codes::POLICY, &at, key.span, message).help(help));
                continue;
            }
            "x-amazon-apigateway-minimum-compression-size" => "compression of answers has no effect yet",
            "x-amazon-apigateway-api-key-source"
                if value.as_str().is_some_and(|text| text.eq_ignore_ascii_case("AUTHORIZER")) =>
            {
                "API keys are read from `x-api-key`, not from what an authorizer returns"
            }
            "x-amazon-apigateway-endpoint-configuration" if restricts_endpoint(value) => {
                "the API is served on every listener; a private or disabled default endpoint has no counterpart"
            }
            _ => continue,
        };
        import.push(import.warning(codes::SETTING_UNSUPPORTED, &at, key.span, message));
    }
}

fn renamed_members<'a>(import: &mut Import<'a>, field: &str, names: &[(&str, &str)]) -> Option<Node> {
    let source = tree::get(import.root, field)?;
    let at = At::ROOT.key(field);
    let mut members = Map::default();
    for (key, member) in import.mapping(source, &at)? {
        if let Some(mut map) = renamed(import, member, names, &at.key(&key.text)) {
            map.change_values(number_in_text);
            members.push((key.clone(), tree::mapping(map, member.span)));
        }
    }
    members.into_some(source.span)
}

/// A mapping with its fields under their native names. Fields without one are reported; they have no effect.
fn renamed<'a>(import: &mut Import<'a>, source: &'a Node, names: &[(&str, &str)], at: &At<'_>) -> Option<Map> {
    let mut map = Map::default();
    for (key, value) in import.mapping(source, at)? {
        match names.iter().find(|(name, _)| *name == &*key.text) {
            Some((_, native)) => map.put_at(key.span, native, value.clone()),
            None if key.text.starts_with("x-") => {}
            None => {
                let message = format!("there is no field {} here; it has no effect", quote(&key.text));
                let near = suggest::closest(&key.text, names.iter().map(|(name, _)| *name));
                let mut issue = import.warning(codes::SETTING_UNKNOWN, &at.key(&key.text), key.span, message);
                if let Some(near) = near {
                    issue = issue.label(format!("did you mean `{near}`?"));
                }
                import.push(issue);
            }
        }
    }
    Some(map)
}

/// A whole number that AWS wrote as a text (`statusCode: "403"`).
fn number_in_text(node: Node) -> Node {
    match node.as_str().and_then(|text| text.parse::<i64>().ok()) {
        Some(number) => Node { span: node.span, value: Value::Integer(number) },
        None => node,
    }
}

/// Whether an endpoint configuration keeps somebody out.
fn restricts_endpoint(configuration: &Node) -> bool {
    let types = tree::get(configuration, "types").map(Node::items).unwrap_or_default();
    tree::get(configuration, "disableExecuteApiEndpoint").and_then(Node::as_bool) == Some(true)
        || types.iter().filter_map(Node::as_str).any(|kind| kind.eq_ignore_ascii_case("PRIVATE"))
}

/// Whether a resource policy (IAM policy language) lets everybody call everything. Anything not understood counts as a no.
fn allows_everyone(policy: &Node) -> bool {
    let Some(statements) = tree::get(policy, "Statement") else {
        return false;
    };
    let statements = one_or_many(statements);
    !statements.is_empty() && statements.iter().all(is_allow_all)
}

fn is_allow_all(statement: &Node) -> bool {
    let entries = statement.entries();
    let has = |name: &str| entries.iter().any(|(key, _)| &*key.text == name);
    has("Effect")
        && has("Principal")
        && has("Action")
        && has("Resource")
        && entries.iter().all(|(key, value)| match &*key.text {
            "Sid" => true,
            "Effect" => value.as_str() == Some("Allow"),
            "Principal" => is_any(tree::get(value, "AWS").unwrap_or(value), |text| text == "*"),
            "Action" => is_any(value, |text| matches!(text, "*" | "execute-api:*" | "execute-api:Invoke")),
            "Resource" => is_any(value, is_any_resource),
            _ => false,
        })
}

/// The items of a list, or the one thing that stands without one.
fn one_or_many(node: &Node) -> &[Node] {
    match &node.value {
        Value::Sequence(items) => items,
        _ => std::slice::from_ref(node),
    }
}

/// Whether a text, or one of a list of texts, is what it should be.
fn is_any(node: &Node, is_wanted: impl Fn(&str) -> bool) -> bool {
    one_or_many(node).iter().filter_map(Node::as_str).any(is_wanted)
}

/// `*`, `execute-api:/*` or `arn:aws:execute-api:region:account:api/*`, with stars for stage, method and path.
fn is_any_resource(resource: &str) -> bool {
    let is_ours = resource.starts_with("execute-api:/") || resource.starts_with("arn:aws:execute-api:");
    let rest = resource.split_once('/').map(|(_, rest)| rest);
    resource == "*" || is_ours && rest.is_some_and(|rest| !rest.is_empty() && rest.split('/').all(|part| part == "*"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::node;
    use super::*;

    #[test]
    fn only_policies_that_keep_nobody_out_are_harmless() {
        let open =
            json!({"Effect": "Allow", "Principal": "*", "Action": "execute-api:Invoke", "Resource": "execute-api:/*"});
        let with = |name: &str, value: serde_json::Value| {
            let mut statement = open.clone();
            statement[name] = value;
            statement
        };
        let cases = [
            (json!({"Version": "2012-10-17", "Statement": [open.clone()]}), true),
            (json!({"Statement": open.clone()}), true),
            (json!({"Statement": [with("Principal", json!({"AWS": "*"}))]}), true),
            (json!({"Statement": [with("Resource", json!(["arn:aws:execute-api:eu-west-1:1:abc/*/*/*"]))]}), true),
            (json!({"Statement": [with("Resource", json!("*"))]}), true),
            (json!({"Statement": [with("Effect", json!("Deny"))]}), false),
            (json!({"Statement": [open.clone(), with("Effect", json!("Deny"))]}), false),
            (json!({"Statement": [with("Condition", json!({}))]}), false),
            (json!({"Statement": [with("NotPrincipal", json!("*"))]}), false),
            (json!({"Statement": [with("Principal", json!({"AWS": "arn:aws:iam::1:root"}))]}), false),
            (json!({"Statement": [with("Resource", json!("execute-api:/prod/GET/*"))]}), false),
            (json!({"Statement": []}), false),
            (json!({}), false),
            (json!("{}"), false),
        ];
        for (policy, want) in cases {
            assert_eq!(allows_everyone(&node(&policy)), want, "{policy}");
        }
    }
}
