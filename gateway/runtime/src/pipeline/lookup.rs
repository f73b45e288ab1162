//! Reading what a mapping names.

use std::borrow::Cow;

use bytes::Bytes;
use http::HeaderValue;
use moongate_exchange::{Exchange, Headers, context, query};

use crate::plan::ValueSource;

/// The integration's answer, for mappings of the response.
#[derive(Clone, Copy)]
pub(super) struct Answer<'answer> {
    pub(super) headers: &'answer Headers,
    pub(super) body: &'answer Bytes,
}

/// The value a mapping names, or `None` when there is none: then nothing is set.
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
        ValueSource::Body(path) => {
            let body = answer.map_or(exchange.request_body.as_ref(), |answer| Some(answer.body))?;
            body_value(body, path)
        }
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

fn body_value<'a>(body: &'a Bytes, path: &str) -> Option<Cow<'a, str>> {
    if path == "$" {
        return Some(String::from_utf8_lossy(body));
    }
    moongate_lua::json_text(body, path).ok().flatten().map(Cow::Owned)
}
