//! Reading what a mapping names.

use std::borrow::Cow;

use bytes::Bytes;
use http::HeaderValue;
use moongate_exchange::{Exchange, Headers, context, query};
use serde::de::IgnoredAny;

use crate::plan::ValueSource;

/// The integration's answer, for mappings of the response.
#[derive(Clone, Copy)]
pub(super) struct Answer<'answer> {
    pub(super) headers: &'answer Headers,
    pub(super) body: &'answer Bytes,
}

/// A body that a mapping needs a part of, and that begins like JSON without being any.
#[derive(Debug)]
pub(super) struct NotJson;

/// The value a mapping names, or `None` when there is none: then nothing is set.
///
/// # Errors
///
/// When a part of the body is named and the body begins like JSON without being any (recorded AWS behaviour).
pub(super) fn resolve<'a>(
    source: &'a ValueSource,
    exchange: &'a Exchange,
    answer: Option<Answer<'a>>,
) -> Result<Option<Cow<'a, str>>, NotJson> {
    match source {
        ValueSource::Body(path) => match body(exchange, answer) {
            Some(body) => body_value(body, path),
            None => Ok(None),
        },
        ValueSource::Joined(parts) => {
            let mut whole = String::new();
            for part in parts {
                whole.push_str(&resolve(part, exchange, answer)?.unwrap_or_default());
            }
            Ok(Some(whole.into()))
        }
        other => Ok(value(other, exchange, answer)),
    }
}

/// All values a mapping names: several only where a query parameter with all its values was named.
///
/// # Errors
///
/// As [`resolve`].
pub(super) fn resolve_all<'a>(
    source: &'a ValueSource,
    exchange: &'a Exchange,
    mut each: impl FnMut(Cow<'a, str>),
) -> Result<(), NotJson> {
    match source {
        ValueSource::QueryAll(name) => query_values(exchange.request.target.query(), name).for_each(each),
        other => {
            if let Some(value) = resolve(other, exchange, None)? {
                each(value);
            }
        }
    }
    Ok(())
}

fn body<'a>(exchange: &'a Exchange, answer: Option<Answer<'a>>) -> Option<&'a Bytes> {
    answer.map_or(exchange.request_body.as_ref(), |answer| Some(answer.body))
}

/// As [`resolve`], for places where a body that cannot be read counts as having no value.
pub(super) fn value<'a>(
    source: &'a ValueSource,
    exchange: &'a Exchange,
    answer: Option<Answer<'a>>,
) -> Option<Cow<'a, str>> {
    let request = &exchange.request;
    match source {
        ValueSource::Text(text) => Some(Cow::Borrowed(text)),
        ValueSource::Path(name) => exchange.path_parameter(name).map(Cow::Borrowed),
        ValueSource::Query(name) => query_values(request.target.query(), name).last(),
        ValueSource::QueryAll(name) => joined(query_values(request.target.query(), name)),
        ValueSource::Header(name) => request.headers.last(&**name).map(text),
        ValueSource::HeaderAll(name) => joined(request.headers.get_all(&**name).iter().map(text)),
        ValueSource::ResponseHeader(name) => answer?.headers.last(&**name).map(text),
        ValueSource::ResponseHeaderAll(name) => joined(answer?.headers.get_all(&**name).iter().map(text)),
        ValueSource::Context(name) => context::variable(exchange, name),
        ValueSource::WholePath => Some(Cow::Borrowed(exchange.route_path())),
        ValueSource::Body(path) => body_value(body(exchange, answer)?, path).ok().flatten(),
        ValueSource::Joined(_) => resolve(source, exchange, answer).ok().flatten(),
    }
}

/// A header's value as text; bytes that are not UTF-8 become U+FFFD.
fn text(value: &HeaderValue) -> Cow<'_, str> {
    String::from_utf8_lossy(value.as_bytes())
}

fn joined<'a>(values: impl Iterator<Item = Cow<'a, str>>) -> Option<Cow<'a, str>> {
    values.reduce(|all, next| Cow::Owned(format!("{all},{next}")))
}

fn query_values<'a>(text: Option<&'a str>, name: &'a str) -> impl Iterator<Item = Cow<'a, str>> {
    query::parameters(text.unwrap_or_default()).filter(move |(known, _)| known == name).map(|(_, value)| value)
}

/// An empty body reads as `{}`. One that is no JSON is text as a whole, and has no parts.
fn body_value<'a>(body: &'a Bytes, path: &str) -> Result<Option<Cow<'a, str>>, NotJson> {
    let start = body.trim_ascii_start().first();
    if start.is_some_and(|byte| b"{[\"'".contains(byte)) && serde_json::from_slice::<IgnoredAny>(body).is_err() {
        return Err(NotJson);
    }
    if path != "$" {
        return Ok(moongate_lua::json_text(body, path).ok().flatten().map(Cow::Owned));
    }
    Ok(Some(if body.is_empty() { Cow::Borrowed("{}") } else { String::from_utf8_lossy(body) }))
}
