//! What functions that authorize requests receive.
//!
//! Source: API Gateway, "Input to an API Gateway Lambda authorizer" (REST APIs) and "Working with AWS Lambda authorizers for HTTP
//! APIs" (formats 1.0 and 2.0).

use moongate_exchange::{Exchange, Headers};
use serde_json::{Map, Value, json};

use super::{v1, v2};

/// The event of a `TOKEN` authorizer: the token, and what it is shown for.
pub fn token(token: &str, method_arn: &str) -> Vec<u8> {
    write(&json!({ "type": "TOKEN", "methodArn": method_arn, "authorizationToken": token }))
}

/// The event of a `REQUEST` authorizer in format 1.0. HTTP APIs add what the identity sources held.
pub fn request_v1(exchange: &Exchange, headers: &Headers, method_arn: &str, identity_source: Option<&str>) -> Vec<u8> {
    let mut event = Map::new();
    event.insert("type".to_owned(), "REQUEST".into());
    event.insert("methodArn".to_owned(), method_arn.into());
    if let Some(identity_source) = identity_source {
        event.insert("version".to_owned(), "1.0".into());
        event.insert("identitySource".to_owned(), identity_source.into());
        event.insert("authorizationToken".to_owned(), identity_source.into());
    }
    event.extend(v1::request(exchange, headers));
    for name in ["pathParameters", "queryStringParameters", "multiValueQueryStringParameters", "stageVariables"] {
        // Functions are given empty objects here, where events of integrations have null.
        if let Some(value) = event.get_mut(name).filter(|value| value.is_null()) {
            *value = Value::Object(Map::new());
        }
    }
    write(&Value::Object(event))
}

/// The event of an HTTP API's authorizer in format 2.0.
pub fn request_v2(exchange: &Exchange, headers: &Headers, route_arn: &str, identity_source: &[String]) -> Vec<u8> {
    let event = v2::event(exchange, headers, b"", false);
    let mut event: Map<String, Value> = serde_json::from_slice(&event).expect("an event is a JSON object");
    event.remove("isBase64Encoded");
    event.insert("type".to_owned(), "REQUEST".into());
    event.insert("routeArn".to_owned(), route_arn.into());
    event.insert("identitySource".to_owned(), json!(identity_source));
    write(&Value::Object(event))
}

fn write(event: &Value) -> Vec<u8> {
    serde_json::to_vec(event).expect("a Vec takes every write, and all keys are texts")
}

#[cfg(test)]
mod tests;
