//! Payload format 1.0: what functions behind REST APIs return, and those behind HTTP APIs that chose this format.
//!
//! Source: API Gateway, "Set up Lambda proxy integrations", output format of a Lambda function for proxy integration. An object with
//! `statusCode`, `headers`, `multiValueHeaders`, `body` and `isBase64Encoded`, all optional behind REST APIs; HTTP APIs want a
//! `statusCode`. REST APIs refuse members they do not know, HTTP APIs pass over them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue, StatusCode};
use moongate_exchange::{Body, Headers, Response};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::fields::{self, JSON, read_status};
use super::{RESULT_BYTES_MAX, ResultError};

/// Members that a REST API's result may have. `cookies` means nothing in this format; libraries for both formats write it.
const MEMBERS: [&str; 7] =
    ["statusCode", "headers", "multiValueHeaders", "body", "isBase64Encoded", "base64Encoded", "cookies"];

/// Longest part of an unknown member's name that is shown, in characters.
const SHOWN_CHARS_MAX: usize = 60;

/// Which kind of API reads the result: they differ in what they forgive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// REST APIs.
    Rest,
    /// HTTP APIs.
    Http,
}

/// Reads what a function returned as the response to send.
///
/// A body in Base64 is decoded where `is_binary` says of its media type that the API takes it for binary; an HTTP API takes all of
/// them. Header fields about the connection and the length of the body are dropped: they are the gateway's to say.
///
/// # Errors
///
/// When the result is no JSON, or describes no response. See [`ResultError`].
pub fn response(
    result: &[u8],
    dialect: Dialect,
    is_binary: impl FnOnce(&HeaderValue) -> bool,
) -> Result<Response, ResultError> {
    if result.len() > RESULT_BYTES_MAX {
        return Err(ResultError::TooLarge { bytes: result.len() });
    }
    let json = std::str::from_utf8(result).map_err(ResultError::NotUtf8)?;
    let value: &RawValue = serde_json::from_str(json).map_err(ResultError::NotJson)?;
    if !value.get().starts_with('{') {
        return Err(ResultError::NotObject);
    }
    let members: Map<String, Value> = serde_json::from_str(json).map_err(ResultError::NotJson)?;
    if dialect == Dialect::Rest
        && let Some(name) = members.keys().find(|name| !MEMBERS.contains(&name.as_str()))
    {
        return Err(ResultError::UnknownMember { name: name.chars().take(SHOWN_CHARS_MAX).collect() });
    }
    let mut response = Response::new(status(&members, dialect)?);
    headers(&members, &mut response.headers)?;
    response.headers.set_if_absent(CONTENT_TYPE, JSON.clone());
    let is_encoded = is_base64(&members, dialect)?;
    let content_type = response.headers.get(CONTENT_TYPE).unwrap_or(&JSON);
    let decodes = is_encoded && (dialect == Dialect::Http || is_binary(content_type));
    response.body = body(members, decodes)?;
    Ok(response)
}

fn status(members: &Map<String, Value>, dialect: Dialect) -> Result<StatusCode, ResultError> {
    match members.get("statusCode") {
        None if dialect == Dialect::Http => Err(ResultError::Status),
        None => Ok(StatusCode::OK),
        Some(value) => read_status(value),
    }
}

/// `multiValueHeaders`, and of `headers` what is not said there already.
fn headers(members: &Map<String, Value>, headers: &mut Headers) -> Result<(), ResultError> {
    match members.get("multiValueHeaders") {
        None | Some(Value::Null) => {}
        Some(Value::Object(lists)) => {
            for (name, values) in lists {
                let name = fields::read_name(name)?;
                let Value::Array(values) = values else { return Err(ResultError::MultiValueHeaders) };
                for value in values {
                    append(headers, &name, value)?;
                }
            }
        }
        Some(_) => return Err(ResultError::MultiValueHeaders),
    }
    match members.get("headers") {
        None | Some(Value::Null) => Ok(()),
        Some(Value::Object(single)) => {
            for (name, value) in single.iter().filter(|(_, value)| !value.is_null()) {
                let name = fields::read_name(name)?;
                let mut one = Headers::new();
                append(&mut one, &name, value)?;
                let said = |value: &HeaderValue| headers.get_all(&name).iter().any(|known| known == value);
                if let Some(value) = one.get(&name).filter(|value| !said(value)).cloned() {
                    fields::push(headers, name, value)?;
                }
            }
            Ok(())
        }
        Some(_) => Err(ResultError::Headers),
    }
}

fn append(headers: &mut Headers, name: &HeaderName, value: &Value) -> Result<(), ResultError> {
    if fields::is_gateways_own(name) { Ok(()) } else { fields::append(headers, name, value) }
}

/// Whether the body is said to be in Base64. REST APIs read a second spelling first, and take any text for yes.
fn is_base64(members: &Map<String, Value>, dialect: Dialect) -> Result<bool, ResultError> {
    let flag = members.get("isBase64Encoded");
    match dialect {
        Dialect::Rest => match members.get("base64Encoded").or(flag) {
            None | Some(Value::Null) => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(Value::String(text)) => Ok(!text.is_empty()),
            Some(_) => Err(ResultError::Base64Flag),
        },
        Dialect::Http => Ok(match flag {
            Some(Value::Bool(flag)) => *flag,
            Some(Value::String(text)) => text.eq_ignore_ascii_case("true"),
            _ => false,
        }),
    }
}

fn body(mut members: Map<String, Value>, decodes: bool) -> Result<Body, ResultError> {
    let text = match members.remove("body") {
        None | Some(Value::Null) => return Ok(Body::Empty),
        Some(Value::String(text)) => text,
        // Not documented, but so behaves AWS: functions return numbers and truths for bodies.
        Some(value @ (Value::Number(_) | Value::Bool(_))) => value.to_string(),
        Some(_) => return Err(ResultError::Body),
    };
    if !decodes {
        return Ok(text.into());
    }
    STANDARD.decode(text).map(|bytes| Bytes::from(bytes).into()).map_err(ResultError::Base64)
}

#[cfg(test)]
mod tests;
