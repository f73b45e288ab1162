//! Where a failure becomes an answer: the only place on the request path that writes error bodies.
//!
//! Moongate's own body is a problem document (RFC 9457): `type`, `title`, `status`, with the members `error` (a short code),
//! `message`, `request_id`, `stage` where one is known, `errors` with what is wrong place by place, and `detail` where
//! [`Behaviour::shows_details`] allows it. Under `compat: aws` it is AWS's `{"message"}`, with `x-amzn-ErrorType` in REST APIs. An
//! API may replace status, headers and body by kind (source: API Gateway, "Gateway responses"). A gRPC call gets `grpc-status` instead.

use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue, StatusCode};
use moongate_exchange::{Body, Exchange, Kind, Problem, Rejection, Response, context};
use serde::Serialize;

use crate::pipeline::{Behaviour, lookup, template};
use crate::plan::{GatewayResponsePlan, SitePlan, TextPart};

const AWS_ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");

/// A problem document. Its `type` is always `about:blank`: what distinguishes kinds is `error`.
#[derive(Serialize)]
struct Document<'text> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    error: &'static str,
    message: &'text str,
    #[serde(skip_serializing_if = "<[Problem]>::is_empty")]
    errors: &'text [Problem],
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
    let habit = Habit::of(site);
    let face = habit.face(rejection.kind);
    let status = rejection.status.unwrap_or(face.status);
    let message = rejection.public.as_deref().filter(|_| face.takes_public_text).or(face.message);
    let outcome = &mut exchange.outcome;
    outcome.rejection = Some(rejection.kind);
    outcome.detail = Some(rejection.detail.as_ref().into());
    outcome.message = message.map(Into::into);
    if !rejection.problems.is_empty() {
        let lines = rejection.problems.iter().map(|problem| {
            let place = problem.pointer.as_deref().or(problem.parameter.as_deref()).unwrap_or_default();
            format!("{place} {}", problem.detail)
        });
        outcome.problems = Some(lines.collect::<Vec<_>>().join(", ").into());
    }
    let mut response = Response::new(status);
    response.headers.set(CONTENT_TYPE, if habit == Habit::Own { PROBLEM_JSON } else { JSON });
    if habit == Habit::AwsRest {
        let error_type = rejection.aws_error_type.unwrap_or(face.error_type);
        response.headers.set(AWS_ERROR_TYPE, HeaderValue::from_static(error_type));
    }
    for (name, value) in &rejection.headers {
        response.headers.append(name, value.clone());
    }
    match site.and_then(|site| site.responses.find(rejection.kind, status)) {
        Some(plan) => {
            replace(plan, exchange, &mut response, || body(habit, behaviour, exchange, &rejection, status));
        }
        None => response.body = body(habit, behaviour, exchange, &rejection, status),
    }
    if exchange.is_grpc {
        call_failed(behaviour, &rejection, &mut response);
    }
    response
}

/// The answer to a gRPC call that failed: its status in the head, where a call without messages has its trailers (source: gRPC over
/// HTTP/2, "Trailers-Only").
fn call_failed(behaviour: Behaviour, rejection: &Rejection, response: &mut Response) {
    let text = match &rejection.public {
        _ if behaviour.shows_details => &rejection.detail,
        Some(public) => &**public,
        None => rejection.kind.face().message,
    };
    // Percent-encoded: visible ASCII and spaces but the percent sign stay.
    let message: String = text
        .bytes()
        .map(|byte| match byte {
            b' '..=b'~' if byte != b'%' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect();
    response.status = StatusCode::OK;
    response.body = Body::Empty;
    response.headers.set(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response.headers.set(GRPC_STATUS, HeaderValue::from(u16::from(rejection.kind.grpc_status())));
    if let Ok(message) = HeaderValue::try_from(message) {
        response.headers.set(GRPC_MESSAGE, message);
    }
}

/// Whose errors an API's look like.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Habit {
    Own,
    AwsRest,
    AwsHttp,
}

/// How a kind looks under a habit.
struct Look {
    status: StatusCode,
    message: Option<&'static str>,
    error_type: &'static str,
    takes_public_text: bool,
}

impl Habit {
    fn of(site: Option<&SitePlan>) -> Self {
        match site {
            Some(site) if site.is_aws_rest() => Self::AwsRest,
            Some(site) if site.is_aws() => Self::AwsHttp,
            _ => Self::Own,
        }
    }

    fn face(self, kind: Kind) -> Look {
        use StatusCode as S;
        let face = kind.face();
        let look = |status, message, takes_public_text| Look {
            status,
            message,
            error_type: face.aws_error_type,
            takes_public_text,
        };
        match self {
            Self::Own => look(face.status, Some(face.message), true),
            Self::AwsRest => look(face.aws_status, face.aws_message, true),
            // HTTP APIs have few words of their own (source: recorded behaviour and the developer guide's troubleshooting pages).
            Self::AwsHttp => match kind {
                Kind::ResourceNotFound | Kind::MethodNotAllowed => look(S::NOT_FOUND, Some("Not Found"), false),
                Kind::AccessDenied | Kind::InvalidApiKey | Kind::WafFiltered => {
                    look(S::FORBIDDEN, Some("Forbidden"), false)
                }
                Kind::IntegrationFailure | Kind::IntegrationTimeout => {
                    look(S::SERVICE_UNAVAILABLE, Some("Service Unavailable"), false)
                }
                Kind::RequestTooLarge => look(S::PAYLOAD_TOO_LARGE, Some("Request Entity Too Large"), false),
                _ if face.aws_status.is_server_error() => {
                    look(S::INTERNAL_SERVER_ERROR, Some("Internal Server Error"), false)
                }
                _ => look(face.aws_status, face.aws_message, true),
            },
        }
    }
}

fn body(habit: Habit, behaviour: Behaviour, exchange: &Exchange, rejection: &Rejection, status: StatusCode) -> Body {
    let message = exchange.outcome.message.as_deref();
    let json = if habit == Habit::Own {
        let document = Document {
            r#type: "about:blank",
            title: status.canonical_reason().unwrap_or_default(),
            status: status.as_u16(),
            error: rejection.kind.face().code,
            message: message.unwrap_or_default(),
            errors: &rejection.problems,
            detail: behaviour.shows_details.then_some(&*rejection.detail),
            stage: exchange.matched.as_ref().map_or("", |matched| &matched.stage.name),
            request_id: exchange.id.as_str(),
        };
        serde_json::to_string(&document).unwrap_or_default()
    } else {
        aws_body(habit, rejection.kind, message)
    };
    Body::from(json)
}

fn aws_body(habit: Habit, kind: Kind, message: Option<&str>) -> String {
    // AWS spells this one key with a capital letter (recorded behaviour).
    let key = if kind == Kind::AccessDenied && habit == Habit::AwsRest { "Message" } else { "message" };
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
    let Some((media_type, parts)) = template(plan, exchange) else {
        response.body = default_body();
        return;
    };
    response.headers.set(CONTENT_TYPE, media_type.clone());
    let mut bytes = Vec::new();
    for part in parts {
        match part {
            TextPart::Text(text) => bytes.extend_from_slice(text),
            TextPart::Context(name) => bytes.extend_from_slice(error_variable(exchange, name).as_bytes()),
            TextPart::Request(source) => {
                bytes.extend_from_slice(lookup::value(source, exchange, None).unwrap_or_default().as_bytes());
            }
        }
    }
    response.body = bytes::Bytes::from(bytes).into();
}

/// The body's template: of the media type the client would like best, else JSON's, else the first.
fn template<'plan>(
    plan: &'plan GatewayResponsePlan,
    exchange: &Exchange,
) -> Option<&'plan (HeaderValue, Box<[TextPart]>)> {
    let by_type = |wanted: &str| plan.templates.iter().find(|(known, _)| known.as_bytes() == wanted.as_bytes());
    let accepted = template::accepted(&exchange.request.headers);
    accepted
        .and_then(|wanted| by_type(&wanted))
        .or_else(|| by_type("application/json"))
        .or_else(|| plan.templates.first())
}

/// `$context` as gateway responses see it: with `error.messageString`, the message in quotes.
fn error_variable(exchange: &Exchange, name: &str) -> String {
    let message = exchange.outcome.message.as_deref();
    match name {
        "error.message" => message.unwrap_or("null").to_owned(),
        "error.messageString" => message.map_or_else(|| "null".to_owned(), |text| serde_json::json!(text).to_string()),
        _ => context::variable(exchange, name).map(std::borrow::Cow::into_owned).unwrap_or_default(),
    }
}
