//! Integration responses and gateway responses.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode};
use indexmap::IndexMap;
use moongate_config::Compat;
use moongate_config::gateway_response::{GatewayResponseConfig, GatewayResponseType};
use moongate_config::integration::{IntegrationConfig, IntegrationType};
use moongate_exchange::Kind;
use regex::{Regex, RegexBuilder};

use crate::compile::context::{ApiContext, child};
use crate::compile::scripts::Scripts;
use crate::compile::{expression, integration as compile_integration};
use crate::plan::{GatewayResponsePlan, GatewayResponses, ResponsePlan, Responses, TextPart, ValueSource};

/// Largest compiled regular expression, in bytes: a pattern from a configuration must not take the gateway's memory.
const REGEX_BYTES_MAX: usize = 256 * 1024;

type Variables = IndexMap<String, String>;

/// A regular expression that a text must match as a whole, as AWS's patterns do.
pub(super) fn whole(cx: &mut ApiContext<'_>, pattern: &str, pointer: &str) -> Option<Regex> {
    match RegexBuilder::new(&format!("^(?:{pattern})$")).size_limit(REGEX_BYTES_MAX).build() {
        Ok(regex) => Some(regex),
        Err(error) => {
            cx.error("E103", pointer, format!("`{pattern}` is not a usable regular expression: {error}"));
            None
        }
    }
}

/// Integration responses, in declared order.
pub(super) fn compile(
    cx: &mut ApiContext<'_>,
    scripts: &Scripts,
    integration: &IntegrationConfig,
    variables: &Variables,
    pointer: &str,
) -> Option<Responses> {
    let mut by_pattern = Vec::new();
    let mut default = None;
    for (index, config) in integration.responses.iter().enumerate() {
        let pointer = format!("{pointer}/{index}");
        let plan = ResponsePlan {
            // The range was checked by `moongate_config::check`.
            status: StatusCode::from_u16(config.status_code).ok()?,
            headers: headers(
                cx,
                &config.response_parameters,
                "method.response.header.",
                variables,
                &child(&pointer, "response_parameters"),
            )?,
            templates: compile_integration::templates(
                scripts,
                &config.response_templates,
                &child(&pointer, "response_templates"),
            ),
            content: config.content_handling,
        };
        match config.selection_pattern.as_deref().filter(|pattern| !pattern.is_empty()) {
            Some(pattern) => by_pattern.push((whole(cx, pattern, &child(&pointer, "selection_pattern"))?, plan)),
            None => default = Some(plan),
        }
    }
    let has_body = matches!(integration.kind, IntegrationType::Http | IntegrationType::Aws);
    let converts_bodies = has_body && cx.api.compat == Compat::Aws;
    Some(Responses { by_pattern: by_pattern.into(), default, converts_bodies })
}

/// The gateway's own answers.
pub(super) fn gateway(cx: &mut ApiContext<'_>, variables: &Variables) -> Option<GatewayResponses> {
    let api = cx.api;
    let mut responses = GatewayResponses::default();
    for (kind, config) in &api.gateway_responses {
        let name = serde_json::to_value(kind).ok()?;
        let pointer = child("/gateway_responses", name.as_str().unwrap_or_default());
        let plan = gateway_response(cx, config, variables, &pointer)?;
        match of_type(*kind) {
            Some(kind) => {
                responses.by_kind.insert(kind, plan);
            }
            None if *kind == GatewayResponseType::Default4xx => responses.default_4xx = Some(plan),
            None => responses.default_5xx = Some(plan),
        }
    }
    Some(responses)
}

fn gateway_response(
    cx: &mut ApiContext<'_>,
    config: &GatewayResponseConfig,
    variables: &Variables,
    pointer: &str,
) -> Option<GatewayResponsePlan> {
    let mut templates = Vec::new();
    for (media_type, text) in &config.response_templates {
        let Ok(value) = HeaderValue::from_str(media_type) else {
            cx.error("E105", &child(pointer, "response_templates"), format!("`{media_type}` is not a media type"));
            return None;
        };
        templates.push((value, text_parts(text, variables)));
    }
    Some(GatewayResponsePlan {
        status: config.status_code.and_then(|status| StatusCode::from_u16(status).ok()),
        headers: headers(
            cx,
            &config.response_parameters,
            "gatewayresponse.header.",
            variables,
            &child(pointer, "response_parameters"),
        )?,
        templates: templates.into(),
    })
}

/// Header fields to set; `prefix` may stand before their names.
fn headers(
    cx: &mut ApiContext<'_>,
    parameters: &IndexMap<String, String>,
    prefix: &str,
    variables: &Variables,
    pointer: &str,
) -> Option<Box<[(HeaderName, ValueSource)]>> {
    let mut fields = Vec::with_capacity(parameters.len());
    for (destination, text) in parameters {
        let name = destination.strip_prefix(prefix).unwrap_or(destination);
        let Ok(name) = HeaderName::from_bytes(name.as_bytes()) else {
            cx.error("E105", &child(pointer, destination), format!("`{name}` is not a header name"));
            continue;
        };
        match expression::source(text, variables) {
            Ok(source) => fields.push((name, source)),
            Err(message) => cx.error("E101", &child(pointer, destination), message),
        }
    }
    (fields.len() == parameters.len()).then(|| fields.into())
}

/// Splits a gateway response's body at `$context.NAME`, `$stageVariables.NAME` and `$method.request.PLACE.NAME`, which are all
/// there is: gateway responses have no template language (source: API Gateway, "Gateway responses").
fn text_parts(text: &str, variables: &Variables) -> Box<[TextPart]> {
    let mut parts = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        literal.push_str(&rest[..at]);
        rest = &rest[at..];
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let length = rest[1..].find(|c| !is_name(c)).map_or(rest.len(), |length| length + 1);
        let name = rest[1..length].trim_end_matches('.');
        let part = match name.split_once('.') {
            Some(("context", name)) => Some(TextPart::Context(name.into())),
            Some(("stageVariables", name)) => {
                literal.push_str(variables.get(name).map_or("", String::as_str));
                rest = &rest[1 + "stageVariables.".len() + name.len()..];
                continue;
            }
            Some(("method", _)) => expression::source(name, variables).ok().map(TextPart::Request),
            _ => None,
        };
        match part {
            Some(part) => {
                if !literal.is_empty() {
                    parts.push(TextPart::Text(Bytes::from(std::mem::take(&mut literal))));
                }
                parts.push(part);
                rest = &rest[1 + name.len()..];
            }
            None => {
                literal.push('$');
                rest = &rest[1..];
            }
        }
    }
    literal.push_str(rest);
    if !literal.is_empty() {
        parts.push(TextPart::Text(Bytes::from(literal)));
    }
    parts.into()
}

fn of_type(declared: GatewayResponseType) -> Option<Kind> {
    use GatewayResponseType as T;
    Some(match declared {
        T::AccessDenied => Kind::AccessDenied,
        T::ApiConfigurationError => Kind::ApiConfigurationError,
        T::AuthorizerConfigurationError => Kind::AuthorizerConfigurationError,
        T::AuthorizerFailure => Kind::AuthorizerFailure,
        T::BadRequestBody => Kind::BadRequestBody,
        T::BadRequestParameters => Kind::BadRequestParameters,
        T::ExpiredToken => Kind::ExpiredToken,
        T::IntegrationFailure => Kind::IntegrationFailure,
        T::IntegrationTimeout => Kind::IntegrationTimeout,
        T::InvalidApiKey => Kind::InvalidApiKey,
        T::InvalidSignature => Kind::InvalidSignature,
        T::MethodNotAllowed => Kind::MethodNotAllowed,
        T::MissingAuthenticationToken => Kind::MissingAuthenticationToken,
        T::QuotaExceeded => Kind::QuotaExceeded,
        T::RequestTooLarge => Kind::RequestTooLarge,
        T::ResourceNotFound => Kind::ResourceNotFound,
        T::Throttled => Kind::Throttled,
        T::Unauthorized => Kind::Unauthorized,
        T::UnsupportedMediaType => Kind::UnsupportedMediaType,
        T::WafFiltered => Kind::WafFiltered,
        T::Default4xx | T::Default5xx => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gateway_response_bodies_are_split_at_variables() {
        let text = |text: &'static str| TextPart::Text(Bytes::from_static(text.as_bytes()));
        let context = |name: &str| TextPart::Context(name.into());
        let variables = Variables::from([("a".to_owned(), "blue".to_owned())]);
        let template = r#"{"m":$context.error.messageString,"id":"$context.requestId."} $ctx $stageVariables.a!"#;
        let parts = text_parts(template, &variables);
        let want = [
            text(r#"{"m":"#),
            context("error.messageString"),
            text(r#","id":""#),
            context("requestId"),
            text(r#"."} $ctx blue!"#),
        ];
        assert_eq!(*parts, want);
    }
}
