//! Choosing a template, and the media types by which it is chosen.

use std::borrow::Cow;

use http::header::{ACCEPT, CONTENT_TYPE};
use moongate_config::integration::PassthroughBehavior;
use moongate_exchange::{Headers, Kind, Rejection};

use crate::plan::{TemplatePlan, TemplateSet};

/// The content type of a message that states none (source: API Gateway, "Integration passthrough behaviors").
const DEFAULT_TYPE: &str = "application/json";

/// The media type of a message: lower case, without parameters.
pub(super) fn media_type(headers: &Headers) -> Cow<'_, str> {
    headers.text(CONTENT_TYPE).map_or(Cow::Borrowed(DEFAULT_TYPE), essence)
}

/// The media type a client would like best: the first of `Accept`, lower case, without parameters. `None` without the field.
pub(super) fn accepted(headers: &Headers) -> Option<Cow<'_, str>> {
    headers.text(ACCEPT).map(|ranges| essence(ranges.split(',').next().unwrap_or_default()))
}

/// The media type of a message, or `None` when it states none.
pub(super) fn stated_type(headers: &Headers) -> Option<Cow<'_, str>> {
    headers.text(CONTENT_TYPE).map(essence)
}

fn essence(value: &str) -> Cow<'_, str> {
    let essence = value.split(';').next().unwrap_or_default().trim();
    if essence.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(essence.to_ascii_lowercase())
    } else {
        Cow::Borrowed(essence)
    }
}

/// The template for a request's body; `None` when the body passes as it is.
///
/// # Errors
///
/// 415 where the passthrough behaviour does not let the body pass.
pub(super) fn for_request<'plan>(
    templates: &'plan TemplateSet,
    passthrough: PassthroughBehavior,
    headers: &Headers,
) -> Result<Option<&'plan TemplatePlan>, Rejection> {
    let media_type = media_type(headers);
    if let Some(template) = templates.find(&media_type) {
        return Ok(Some(template));
    }
    let passes = match passthrough {
        PassthroughBehavior::WhenNoMatch => true,
        PassthroughBehavior::WhenNoTemplates => templates.is_empty(),
        PassthroughBehavior::Never => false,
    };
    if passes {
        return Ok(None);
    }
    Err(Rejection::new(Kind::UnsupportedMediaType, format!("no template for content type `{media_type}`")))
}

/// The template for a response's body: by the client's `Accept`, else for JSON, else the first (source: recorded behaviour of
/// API Gateway integration responses).
pub(super) fn for_response<'plan>(
    templates: &'plan TemplateSet,
    accept: Option<&str>,
) -> Option<(&'plan str, &'plan TemplatePlan)> {
    let by_type = |wanted: &str| {
        templates.by_type.iter().find(|(known, _)| **known == *wanted).map(|(name, plan)| (&**name, plan))
    };
    let accepted = accept.into_iter().flat_map(|accept| accept.split(',')).find_map(|range| by_type(&essence(range)));
    accepted
        .or_else(|| by_type(DEFAULT_TYPE))
        .or_else(|| templates.by_type.first().map(|(name, plan)| (&**name, plan)))
        .or_else(|| templates.default.as_ref().map(|plan| (DEFAULT_TYPE, plan)))
}
