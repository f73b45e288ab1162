//! What both payload formats have in common: status and header fields of a result.

use http::header::{CONNECTION, CONTENT_LENGTH, TE, TRAILER, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderName, HeaderValue, StatusCode};
use moongate_exchange::Headers;
use serde_json::Value;
use serde_json::value::RawValue;

use super::{HEADERS_MAX, ResultError};

/// The media type of a result that names none.
pub(super) static JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Longest part of a refused header name that is shown, in characters.
const SHOWN_CHARS_MAX: usize = 60;

/// `statusCode`. Null and 0 mean 200.
pub(super) fn read_status(value: &Value) -> Result<StatusCode, ResultError> {
    let number = match value {
        Value::Null => Some(0),
        // A language without integers may write 200.0.
        Value::Number(number) => number.as_f64().filter(|n| n.fract() == 0.0 && *n >= 0.0).map(|n| n as u64),
        Value::String(digits) => digits.parse().ok(),
        _ => None,
    };
    match number {
        Some(0) => Ok(StatusCode::OK),
        // 1xx are never the last word on a request (RFC 9110 section 15.2), and codes end at 599.
        Some(code @ 200..=599) => StatusCode::from_u16(code as u16).map_err(|_| ResultError::Status),
        _ => Err(ResultError::Status),
    }
}

/// `headers`: every value of every field.
pub(super) fn read_headers(raw: &RawValue, headers: &mut Headers) -> Result<(), ResultError> {
    let fields: serde_json::Map<String, Value> = serde_json::from_str(raw.get()).map_err(|_| ResultError::Headers)?;
    for (name, value) in fields {
        let name = read_name(&name)?;
        if is_gateways_own(&name) {
            continue;
        }
        match value {
            Value::Null => {}
            Value::Array(values) => values.iter().try_for_each(|value| append(headers, &name, value))?,
            value => append(headers, &name, &value)?,
        }
    }
    Ok(())
}

/// A field's name.
pub(super) fn read_name(name: &str) -> Result<HeaderName, ResultError> {
    let refused = || ResultError::HeaderName { name: name.chars().take(SHOWN_CHARS_MAX).collect() };
    HeaderName::from_bytes(name.as_bytes()).map_err(|_| refused())
}

/// Fields that a function cannot know: they concern the connection (RFC 9110 section 7.6.1) or the body's framing.
pub(super) fn is_gateways_own(name: &HeaderName) -> bool {
    [CONNECTION, CONTENT_LENGTH, TE, TRAILER, TRANSFER_ENCODING, UPGRADE].contains(name)
        || matches!(name.as_str(), "keep-alive" | "proxy-connection")
}

/// Adds what a result gives a field.
pub(super) fn append(headers: &mut Headers, name: &HeaderName, value: &Value) -> Result<(), ResultError> {
    let invalid = || ResultError::HeaderValue { name: name.as_str().into() };
    let value = match value {
        // Not `from_str`, which refuses what is beyond ASCII: functions name files in `content-disposition`.
        Value::String(text) => HeaderValue::from_bytes(text.as_bytes()),
        Value::Number(number) => HeaderValue::from_bytes(number.to_string().as_bytes()),
        Value::Bool(truth) => HeaderValue::from_bytes(if *truth { b"true" } else { b"false" }),
        Value::Null | Value::Array(_) | Value::Object(_) => return Err(invalid()),
    };
    push(headers, name.clone(), value.map_err(|_| invalid())?)
}

/// Adds a field, within the bounds of a result.
pub(super) fn push(headers: &mut Headers, name: HeaderName, value: HeaderValue) -> Result<(), ResultError> {
    if headers.len() >= HEADERS_MAX {
        return Err(ResultError::TooManyHeaders);
    }
    headers.append(name, value);
    Ok(())
}
