//! Payload format 2.0: what functions behind HTTP APIs return.
//!
//! Source: API Gateway, "Create AWS Lambda proxy integrations for HTTP APIs", Lambda function response for format 2.0.
//! An object with `statusCode` describes the response; anything else *is* the response's body, as JSON with status 200,
//! and a bare text is taken out of its quotes.
//!
//! Where AWS's page is silent: `statusCode` null or 0 means 200 (typed languages write the zero of a field nobody set),
//! its digits may be a text, unknown fields and a `cookies` that is no list are ignored. A header may have a list of values.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, SET_COOKIE};
use http::{HeaderValue, StatusCode};
use moongate_exchange::{Body, Headers, Response};
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::fields::{JSON, push, read_headers, read_status};
use super::{RESULT_BYTES_MAX, ResultError};

/// Reads what a function returned as the response to send.
///
/// Header fields about the connection and the length of the body are dropped: they are the gateway's to say.
///
/// # Errors
///
/// When the result is no JSON, or describes a response that HTTP does not have. See [`ResultError`].
pub fn response(result: &[u8]) -> Result<Response, ResultError> {
    if result.len() > RESULT_BYTES_MAX {
        return Err(ResultError::TooLarge { bytes: result.len() });
    }
    // Once, here: the JSON reader does not look at texts that nobody asks it for.
    let json = std::str::from_utf8(result).map_err(ResultError::NotUtf8)?;
    match json.trim_ascii_start().bytes().next() {
        Some(b'{') => {
            let described: Described<'_> = serde_json::from_str(json).map_err(ResultError::NotJson)?;
            match described.status_code {
                Some(status) => described.response(status),
                None => Ok(inferred(Bytes::copy_from_slice(result).into())),
            }
        }
        Some(b'"') => {
            let text: String = serde_json::from_str(json).map_err(ResultError::NotJson)?;
            Ok(inferred(text.into()))
        }
        _ => {
            let _: IgnoredAny = serde_json::from_str(json).map_err(ResultError::NotJson)?;
            Ok(inferred(Bytes::copy_from_slice(result).into()))
        }
    }
}

fn inferred(body: Body) -> Response {
    let mut response = Response::new(StatusCode::OK);
    response.headers.set(CONTENT_TYPE, JSON.clone());
    response.body = body;
    response
}

/// An object that may describe a response: its fields unread, since they mean something only beside `statusCode`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Described<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    status_code: Option<&'a RawValue>,
    #[serde(borrow)]
    headers: Option<&'a RawValue>,
    #[serde(borrow)]
    cookies: Option<&'a RawValue>,
    #[serde(borrow)]
    body: Option<&'a RawValue>,
    #[serde(borrow)]
    is_base64_encoded: Option<&'a RawValue>,
}

/// Tells a field that is null from one that is absent.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

impl Described<'_> {
    fn response(&self, status: &RawValue) -> Result<Response, ResultError> {
        let status = serde_json::from_str(status.get()).map_err(|_| ResultError::Status)?;
        let mut response = Response::new(read_status(&status)?);
        if let Some(headers) = self.headers {
            read_headers(headers, &mut response.headers)?;
        }
        if let Some(cookies) = self.cookies {
            read_cookies(cookies, &mut response.headers)?;
        }
        response.headers.set_if_absent(CONTENT_TYPE, JSON.clone());
        if let Some(body) = self.body {
            response.body = read_body(body, self.is_base64_encoded)?;
        }
        Ok(response)
    }
}

fn read_cookies(raw: &RawValue, headers: &mut Headers) -> Result<(), ResultError> {
    if !raw.get().starts_with('[') {
        return Ok(());
    }
    let cookies: Vec<String> = serde_json::from_str(raw.get()).map_err(|_| ResultError::Cookie)?;
    for cookie in cookies {
        push(headers, SET_COOKIE, HeaderValue::from_bytes(cookie.as_bytes()).map_err(|_| ResultError::Cookie)?)?;
    }
    Ok(())
}

fn read_body(raw: &RawValue, is_base64: Option<&RawValue>) -> Result<Body, ResultError> {
    let text: String = serde_json::from_str(raw.get()).map_err(|_| ResultError::Body)?;
    let is_base64 = match is_base64.map(RawValue::get) {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => return Err(ResultError::Base64Flag),
    };
    if !is_base64 {
        return Ok(text.into());
    }
    STANDARD.decode(text).map(|bytes| Bytes::from(bytes).into()).map_err(ResultError::Base64)
}

#[cfg(test)]
mod tests;
