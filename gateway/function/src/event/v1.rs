//! Payload format 1.0: what functions behind REST APIs receive, and those behind HTTP APIs that chose this format.
//!
//! Source: API Gateway, "Set up Lambda proxy integrations", input format of a Lambda function for proxy integration, and recorded
//! events. What a request lacks is `null`. Path parameters keep their percent-encoding, query parameters are decoded; of several
//! values the single-value maps have the last.
//!
//! Field names come in the usual case (`Content-Type`) however the client wrote them: HTTP/2 has lower case only, and functions look
//! names up as HTTP/1.1 clients write them.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderName;
use indexmap::IndexMap;
use moongate_exchange::context::{self, ACCOUNT_ID};
use moongate_exchange::{Exchange, Headers, Scalar, query, time};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

/// Writes the event of a request that has been routed. `headers` are those the function is to see; `body` is written as text unless
/// `is_binary` says that its media type is one of the API's binary ones, or it is not UTF-8.
///
/// Cost: linear in the size of the request.
pub fn event(exchange: &Exchange, headers: &Headers, body: &[u8], is_binary: bool) -> Vec<u8> {
    let text = if is_binary && !body.is_empty() { None } else { std::str::from_utf8(body).ok() };
    let body = match text {
        Some("") => Value::Null,
        Some(text) => text.into(),
        None => STANDARD.encode(body).into(),
    };
    let mut event = request(exchange, headers);
    event.insert("body".to_owned(), body);
    event.insert("isBase64Encoded".to_owned(), text.is_none().into());
    serde_json::to_vec(&event).expect("a Vec takes every write, and all keys are texts")
}

/// What an event says of the request, without its body: what authorizers are given as well.
pub(super) fn request(exchange: &Exchange, headers: &Headers) -> Map<String, Value> {
    let matched = exchange.matched.as_ref();
    let resource = matched.map_or("", |matched| &matched.route.resource_path);
    let parameters = parameters(exchange.request.target.query().unwrap_or_default());
    let last = |values: &Vec<Cow<'_, str>>| Value::from(values.last().map(AsRef::as_ref).unwrap_or_default());
    let single: Map<String, Value> = parameters.iter().map(|(name, values)| (name.to_string(), last(values))).collect();
    let multi: Map<String, Value> = parameters.iter().map(|(name, values)| (name.to_string(), json!(values))).collect();
    let path_parameters: Map<String, Value> =
        exchange.path_parameters().map(|(name, value)| (name.to_owned(), value.into())).collect();
    let variables: Map<String, Value> = matched.map_or_else(Map::new, |matched| {
        matched.stage.variables.iter().map(|(name, value)| (name.to_string(), (&**value).into())).collect()
    });
    let (single_headers, multi_headers) = fields(headers);
    let event = json!({
        "resource": resource,
        "path": path(exchange),
        "httpMethod": exchange.request.method.as_str(),
        "headers": or_null(single_headers),
        "multiValueHeaders": or_null(multi_headers),
        "queryStringParameters": or_null(single),
        "multiValueQueryStringParameters": or_null(multi),
        "pathParameters": or_null(path_parameters),
        "stageVariables": or_null(variables),
        "requestContext": request_context(exchange, resource),
    });
    match event {
        Value::Object(event) => event,
        _ => Map::new(),
    }
}

fn request_context(exchange: &Exchange, resource: &str) -> Value {
    let matched = exchange.matched.as_ref();
    let domain_name = context::domain_name(exchange).unwrap_or_default();
    let mut identity = json!({
        "accessKey": null,
        "accountId": null,
        "caller": null,
        "cognitoAuthenticationProvider": null,
        "cognitoAuthenticationType": null,
        "cognitoIdentityId": null,
        "cognitoIdentityPoolId": null,
        "principalOrgId": null,
        "sourceIp": context::variable(exchange, "identity.sourceIp"),
        "user": null,
        "userAgent": context::variable(exchange, "identity.userAgent"),
        "userArn": null,
    });
    for (member, name) in [("apiKey", "identity.apiKey"), ("apiKeyId", "identity.apiKeyId")] {
        if let Some(value) = context::variable(exchange, name) {
            identity[member] = value.into();
        }
    }
    let mut request_context = json!({
        "accountId": ACCOUNT_ID,
        "apiId": matched.map(|matched| &*matched.route.api_id),
        "deploymentId": matched.map(|matched| &*matched.stage.deployment_id),
        "domainName": domain_name,
        "domainPrefix": domain_name.split('.').next(),
        "extendedRequestId": exchange.id.as_str(),
        "httpMethod": exchange.request.method.as_str(),
        "identity": identity,
        "path": context::variable(exchange, "path"),
        "protocol": context::protocol(exchange.version),
        "requestId": exchange.id.as_str(),
        "requestTime": time::clf(exchange.arrived_at),
        "requestTimeEpoch": exchange.arrived_epoch_ms(),
        "resourceId": resource_id(resource),
        "resourcePath": resource,
        "stage": matched.map(|matched| &*matched.stage.name),
    });
    if let Some(authorizer) = authorizer(exchange) {
        request_context["authorizer"] = authorizer;
    }
    request_context
}

/// What an authorizer said about the caller. All values are texts, as in AWS.
fn authorizer(exchange: &Exchange) -> Option<Value> {
    let caller = exchange.caller.as_ref()?;
    if caller.principal.is_none() && caller.context.is_empty() {
        return None;
    }
    let text = |value: &Scalar| Value::from(value.to_string());
    let mut said: Map<String, Value> =
        caller.context.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
    if let Some(principal) = &caller.principal {
        // A context may not pass somebody else off as the principal.
        said.insert("principalId".to_owned(), (&**principal).into());
    }
    Some(said.into())
}

/// The route's part of the path, without stage, API id or base path, and without a slash at its end.
fn path(exchange: &Exchange) -> &str {
    match exchange.route_path().strip_suffix('/') {
        Some(path) if !path.is_empty() => path,
        Some(_) => "/",
        None => exchange.route_path(),
    }
}

/// Parameters by name, decoded, in the order they came.
fn parameters(text: &str) -> IndexMap<Cow<'_, str>, Vec<Cow<'_, str>>> {
    let mut parameters: IndexMap<Cow<'_, str>, Vec<Cow<'_, str>>> = IndexMap::new();
    for (name, value) in query::parameters(text) {
        parameters.entry(name).or_default().push(value);
    }
    parameters
}

/// Header fields: of each the last value, and all of them.
fn fields(headers: &Headers) -> (Map<String, Value>, Map<String, Value>) {
    let (mut single, mut multi) = (Map::new(), Map::new());
    for name in headers.names() {
        let values: Vec<Value> = headers
            .get_all(name)
            .iter()
            .map(|value| Value::from(String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect();
        let name = usual_case(name);
        single.insert(name.clone(), values.last().cloned().unwrap_or_default());
        multi.insert(name, values.into());
    }
    (single, multi)
}

/// `Content-Type` for `content-type`.
fn usual_case(name: &HeaderName) -> String {
    let mut begins = true;
    let mut text = String::with_capacity(name.as_str().len());
    for letter in name.as_str().chars() {
        text.push(if begins { letter.to_ascii_uppercase() } else { letter });
        begins = letter == '-';
    }
    text
}

/// Six characters that stand for a resource: always the same ones for the same path.
fn resource_id(resource: &str) -> String {
    const LETTERS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    let digest = Sha256::digest(resource.as_bytes());
    digest.iter().take(6).map(|byte| char::from(LETTERS[usize::from(*byte) % LETTERS.len()])).collect()
}

fn or_null(map: Map<String, Value>) -> Value {
    if map.is_empty() { Value::Null } else { map.into() }
}

#[cfg(test)]
mod tests;
