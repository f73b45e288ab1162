//! Payload format 1.0: what functions behind REST APIs receive.
//!
//! Source: API Gateway, "Set up Lambda proxy integrations in API Gateway", input format; recorded events. What a request lacks is
//! `null`; of several values of one name the last stands in the map of single values, all of them in the other. Path parameters
//! and `path` keep their percent-encoding, queries are decoded (recorded behaviour).
//!
//! One difference: header names are in lower case, apart from the few that AWS writes its own way, since codecs do not keep how
//! a client wrote them (RFC 9110 section 5.1: it means nothing).

use std::borrow::Cow;

use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use http::header::HeaderName;
use indexmap::IndexMap;
use moongate_exchange::context::{self, ACCOUNT_ID};
use moongate_exchange::{Exchange, Headers, Scalar, query, time};
use serde::Serialize;
use serde_json::{Map, Value, json};

/// Writes the event of a request that has been routed. `headers` are those the function is to see.
///
/// `body` is written as text unless `is_binary` says that its media type is one of the API's binary ones, or it is not UTF-8:
/// then it is in Base64 and `isBase64Encoded` is true, so that no byte is lost.
///
/// Cost: linear in the size of the request.
pub fn event(exchange: &Exchange, headers: &Headers, body: &[u8], is_binary: bool) -> Vec<u8> {
    let matched = exchange.matched.as_ref();
    let text = if is_binary { None } else { std::str::from_utf8(body).ok() };
    let body_value = match text {
        _ if body.is_empty() => Value::Null,
        Some(text) => Value::from(text),
        None => Value::from(Base64Display::new(body, &STANDARD).to_string()),
    };
    let queries = values(query::parameters(exchange.request.target.query().unwrap_or_default()));
    let fields =
        values(headers.iter().map(|(name, value)| (field_name(name), String::from_utf8_lossy(value.as_bytes()))));
    let parameters: Map<String, Value> =
        exchange.path_parameters().map(|(name, value)| (name.to_owned(), Value::from(value))).collect();
    let variables = matched.map(|matched| &matched.stage.variables).filter(|variables| !variables.is_empty());
    let event = json!({
        "resource": matched.map_or("", |matched| &matched.route.resource_path),
        "path": path(exchange),
        "httpMethod": exchange.request.method.as_str(),
        "headers": single(&fields),
        "multiValueHeaders": multiple(&fields),
        "queryStringParameters": single(&queries),
        "multiValueQueryStringParameters": multiple(&queries),
        "pathParameters": if parameters.is_empty() { Value::Null } else { Value::Object(parameters) },
        "stageVariables": variables.map(Texts),
        "requestContext": request_context(exchange),
        "body": body_value,
        "isBase64Encoded": !body.is_empty() && text.is_none(),
    });
    serde_json::to_vec(&event).expect("a Vec takes every write, and all keys are texts")
}

/// The route's part of the path, without a slash at its end.
fn path(exchange: &Exchange) -> &str {
    match exchange.route_path().strip_suffix('/') {
        Some(path) if !path.is_empty() => path,
        _ => exchange.route_path(),
    }
}

fn request_context(exchange: &Exchange) -> Value {
    let matched = exchange.matched.as_ref();
    let domain_name = context::domain_name(exchange).unwrap_or_default();
    let mut request_context = json!({
        "accountId": ACCOUNT_ID,
        "apiId": matched.map_or("", |matched| &matched.route.api_id),
        "deploymentId": matched.map_or("", |matched| &matched.stage.deployment_id),
        "domainName": domain_name,
        "domainPrefix": domain_name.split('.').next().unwrap_or_default(),
        "extendedRequestId": exchange.id.as_str(),
        "httpMethod": exchange.request.method.as_str(),
        "identity": {
            "accessKey": null, "accountId": null, "caller": null, "cognitoAuthenticationProvider": null,
            "cognitoAuthenticationType": null, "cognitoIdentityId": null, "cognitoIdentityPoolId": null,
            "principalOrgId": null,
            "sourceIp": context::variable(exchange, "identity.sourceIp"),
            "user": null,
            "userAgent": context::variable(exchange, "identity.userAgent"),
            "userArn": null,
        },
        "path": context::variable(exchange, "path"),
        "protocol": context::protocol(exchange.version),
        "requestId": exchange.id.as_str(),
        "requestTime": time::clf(exchange.arrived_at),
        "requestTimeEpoch": exchange.arrived_epoch_ms(),
        "resourcePath": matched.map_or("", |matched| &matched.route.resource_path),
        "stage": matched.map_or("", |matched| &matched.stage.name),
    });
    if let Some(caller) =
        exchange.caller.as_ref().filter(|caller| caller.principal.is_some() || !caller.context.is_empty())
    {
        let mut authorizer: Map<String, Value> =
            caller.context.iter().map(|(name, value)| (name.to_string(), scalar(value))).collect();
        if let Some(principal) = &caller.principal {
            authorizer.insert("principalId".to_owned(), Value::from(&**principal));
        }
        request_context["authorizer"] = Value::Object(authorizer);
    }
    for (member, name) in [("apiKey", "identity.apiKey"), ("apiKeyId", "identity.apiKeyId")] {
        if let Some(value) = context::variable(exchange, name) {
            request_context["identity"][member] = Value::from(value);
        }
    }
    request_context
}

/// A context's value. REST APIs hand numbers and truths to functions as texts.
fn scalar(value: &Scalar) -> Value {
    Value::from(value.to_string())
}

/// AWS writes these names its own way, whatever the client wrote.
fn field_name(name: &HeaderName) -> Cow<'_, str> {
    const WRITTEN: [(&str, &str); 12] = [
        ("accept", "Accept"),
        ("accept-encoding", "Accept-Encoding"),
        ("authorization", "Authorization"),
        ("content-type", "Content-Type"),
        ("host", "Host"),
        ("referer", "Referer"),
        ("user-agent", "User-Agent"),
        ("via", "Via"),
        ("x-amzn-trace-id", "X-Amzn-Trace-Id"),
        ("x-forwarded-for", "X-Forwarded-For"),
        ("x-forwarded-port", "X-Forwarded-Port"),
        ("x-forwarded-proto", "X-Forwarded-Proto"),
    ];
    let written = WRITTEN.iter().find(|(known, _)| name.as_str() == *known);
    Cow::Borrowed(written.map_or(name.as_str(), |(_, written)| written))
}

type Values<'a> = IndexMap<Cow<'a, str>, Vec<Cow<'a, str>>>;

fn values<'a>(pairs: impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)>) -> Values<'a> {
    let mut values = Values::new();
    for (name, value) in pairs {
        values.entry(name).or_default().push(value);
    }
    values
}

fn single(values: &Values<'_>) -> Value {
    let last = |all: &Vec<Cow<'_, str>>| Value::from(all.last().map_or("", |value| &**value));
    object(values.iter().map(|(name, all)| (name.to_string(), last(all))).collect())
}

fn multiple(values: &Values<'_>) -> Value {
    let list = |all: &Vec<Cow<'_, str>>| all.iter().map(|value| Value::from(&**value)).collect::<Value>();
    object(values.iter().map(|(name, all)| (name.to_string(), list(all))).collect())
}

fn object(members: Map<String, Value>) -> Value {
    if members.is_empty() { Value::Null } else { Value::Object(members) }
}

#[derive(Serialize)]
#[serde(transparent)]
struct Texts<'a>(&'a IndexMap<Box<str>, Box<str>>);
