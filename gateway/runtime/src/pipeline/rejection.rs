//! Where a failure becomes an answer: the only place on the request path that writes error bodies.
//!
//! Moongate's own body is `{"error", "message", "request_id"}` (with `stage` where one is known, and `detail` where
//! [`Behaviour::shows_details`] allows it); under `compat: aws` it is AWS's `{"message"}` with `x-amzn-ErrorType`. An API may
//! replace status, headers and body by kind (source: API Gateway, "Gateway responses").

use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue};
use moongate_config::Compat;
use moongate_exchange::{Body, Exchange, Kind, Rejection, Response, context};
use serde::Serialize;

use crate::pipeline::{Behaviour, lookup};
use crate::plan::{GatewayResponsePlan, SitePlan, TextPart};

const AWS_ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");
const AWS_REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

#[derive(Serialize)]
struct Problem<'text> {
    error: &'static str,
    message: &'text str,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'text str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    stage: &'text str,
    request_id: &'text str,
}

/// Makes the answer to a rejected request and notes the rejection for the log.
pub(super) fn answer(
    site: Option<&SitePlan>,
    behaviour: Behaviour,
    exchange: &mut Exchange,
    rejection: Rejection,
) -> Response {
    exchange.outcome.rejection = Some(rejection.kind);
    exchange.outcome.detail = Some(rejection.detail.as_ref().into());
    let is_aws = site.is_some_and(|site| site.compat == Compat::Aws);
    let face = rejection.kind.face();
    let status = rejection.status.unwrap_or(if is_aws { face.aws_status } else { face.status });
    let mut response = Response::new(status);
    response.headers.set(CONTENT_TYPE, JSON);
    if is_aws {
        response.headers.set(AWS_ERROR_TYPE, HeaderValue::from_static(face.aws_error_type));
        response.headers.set(AWS_REQUEST_ID, exchange.id.header_value());
    }
    for (name, value) in &rejection.headers {
        response.headers.append(name, value.clone());
    }
    match site.and_then(|site| site.responses.find(rejection.kind, status)) {
        Some(plan) => replace(plan, exchange, &mut response, || body(is_aws, behaviour, exchange, &rejection)),
        None => response.body = body(is_aws, behaviour, exchange, &rejection),
    }
    response
}

fn body(is_aws: bool, behaviour: Behaviour, exchange: &Exchange, rejection: &Rejection) -> Body {
    let face = rejection.kind.face();
    let json = if is_aws {
        aws_body(rejection.kind, rejection.public.as_deref().or(face.aws_message))
    } else {
        let problem = Problem {
            error: face.code,
            message: rejection.public.as_deref().unwrap_or(face.message),
            detail: behaviour.shows_details.then_some(&*rejection.detail),
            stage: exchange.matched.as_ref().map_or("", |matched| &matched.stage.name),
            request_id: exchange.id.as_str(),
        };
        serde_json::to_string(&problem).unwrap_or_default()
    };
    Body::from(json)
}

fn aws_body(kind: Kind, message: Option<&str>) -> String {
    // AWS spells this one key with a capital letter (recorded behaviour).
    let key = if kind == Kind::AccessDenied { "Message" } else { "message" };
    serde_json::json!({ key: message }).to_string()
}

fn replace(
    plan: &GatewayResponsePlan,
    exchange: &Exchange,
    response: &mut Response,
    default_body: impl FnOnce() -> Body,
) {
    response.status = plan.status.unwrap_or(response.status);
    for (name, source) in &plan.headers {
        let value = lookup::value(source, exchange, None);
        if let Some(value) = value.and_then(|value| HeaderValue::from_str(&value).ok()) {
            response.headers.set(name.clone(), value);
        }
    }
    let Some((media_type, parts)) = plan.templates.first() else {
        response.body = default_body();
        return;
    };
    response.headers.set(CONTENT_TYPE, media_type.clone());
    let mut bytes = Vec::new();
    for part in parts {
        match part {
            TextPart::Text(text) => bytes.extend_from_slice(text),
            TextPart::Context(name) => bytes.extend_from_slice(error_variable(exchange, name).as_bytes()),
        }
    }
    response.body = bytes::Bytes::from(bytes).into();
}

/// `$context` as gateway responses see it: with `error.message` (plain) and `error.messageString` (quoted JSON).
fn error_variable(exchange: &Exchange, name: &str) -> String {
    let message = || exchange.outcome.rejection.and_then(|kind| kind.face().aws_message);
    match name {
        "error.message" => message().unwrap_or("null").to_owned(),
        "error.messageString" => {
            message().map_or_else(|| "null".to_owned(), |text| serde_json::json!(text).to_string())
        }
        _ => context::variable(exchange, name).map(std::borrow::Cow::into_owned).unwrap_or_default(),
    }
}
