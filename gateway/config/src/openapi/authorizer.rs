//! `x-amazon-apigateway-authorizer` to a native authorizer.

use crate::issue::quote;
use crate::source::{Key, Node, Value};

use super::codes;
use super::context::{At, Import};
use super::tree::{self, Map};

/// Fields that have no native counterpart yet.
const UNSUPPORTED: [&str; 4] = [
    "authorizerCredentials",
    "authorizerPayloadFormatVersion",
    "authorizerResultTtlInSeconds",
    "enableSimpleResponses",
];

/// The native authorizer of a security scheme (source: "x-amazon-apigateway-authorizer object").
pub(super) fn convert<'a>(
    import: &mut Import<'a>,
    key: &Key,
    scheme: &'a Node,
    source: &'a Node,
    at: &At<'_>,
) -> Option<Node> {
    import.mapping(source, at)?;
    let kind = tree::get(source, "type");
    let aws_kind = kind.and_then(Node::as_str).map(str::to_ascii_lowercase);
    let native_kind = match aws_kind.as_deref() {
        Some("token" | "request" | "custom") => "lambda",
        Some("cognito_user_pools") => "cognito",
        Some("jwt") => "jwt",
        _ => {
            let message = format!(
                "the authorizer {} needs a `type`: token, request, jwt or cognito_user_pools",
                quote(&key.text)
            );
            import.push(import.error(codes::AUTHORIZER_TYPE, at, kind.unwrap_or(source).span, message));
            return None;
        }
    };
    let mut map = Map::default();
    map.put("type", Node::string(kind.map_or(source.span, |kind| kind.span), native_kind));
    let is_request = aws_kind.as_deref() == Some("request");
    map.put_some("identity_source", identity_source(import, scheme, source, native_kind, is_request, at));
    let expression = tree::get(source, "identityValidationExpression");
    map.put_some("identity_validation_expression", expression.cloned());
    let uri = match native_kind {
        "lambda" => tree::get(source, "authorizerUri"),
        "jwt" => tree::get(source, "jwtConfiguration").and_then(|jwt| tree::get(jwt, "issuer")),
        _ => tree::get(source, "providerARNs").and_then(|providers| providers.items().first()),
    };
    if let Some(uri) = uri {
        map.put_some("uri", import.text(uri, at).map(|_| uri.clone()));
    }
    report_unsupported(import, key, source, at);
    Some(tree::mapping(map, source.span))
}

/// What identifies the caller: as declared, a comma list in REST and a list or one in HTTP APIs; else the scheme's own header,
/// which is where AWS's token authorizers look.
fn identity_source<'a>(
    import: &mut Import<'a>,
    scheme: &'a Node,
    source: &'a Node,
    kind: &str,
    is_request: bool,
    at: &At<'_>,
) -> Option<Node> {
    let at = at.key("identitySource");
    if let Some(declared) = tree::get(source, "identitySource") {
        let items = match &declared.value {
            Value::Sequence(items) => items.clone(),
            _ => {
                let parts = import.text(declared, &at)?.split(',').map(str::trim).filter(|part| !part.is_empty());
                parts.map(|part| Node::string(declared.span, part)).collect()
            }
        };
        return (!items.is_empty()).then(|| tree::sequence(declared.span, items));
    }
    if is_request {
        return None;
    }
    let is_header = tree::get(scheme, "in").and_then(Node::as_str) == Some("header");
    let header = tree::get(scheme, "name").filter(|_| is_header);
    let item = match header.and_then(Node::as_str) {
        Some(name) => Node::string(header?.span, format!("method.request.header.{name}")),
        None if kind == "jwt" => Node::string(source.span, "$request.header.Authorization"),
        None => Node::string(source.span, "method.request.header.Authorization"),
    };
    Some(tree::sequence(item.span, vec![item]))
}

fn report_unsupported(import: &mut Import<'_>, key: &Key, source: &Node, at: &At<'_>) {
    let mut fields: Vec<&str> = UNSUPPORTED.into_iter().filter(|field| tree::get(source, field).is_some()).collect();
    if tree::get(source, "jwtConfiguration").and_then(|jwt| tree::get(jwt, "audience")).is_some() {
        fields.push("jwtConfiguration.audience");
    }
    if tree::get(source, "providerARNs").is_some_and(|providers| providers.items().len() > 1) {
        fields.push("providerARNs after the first");
    }
    if !fields.is_empty() {
        let message =
            format!("of the authorizer {}, {} cannot be carried over yet", quote(&key.text), fields.join(", "));
        import.push(import.warning(codes::AUTHORIZER_FIELD_UNSUPPORTED, at, key.span, message));
    }
}
