//! Asking a function: a script in the gateway, or a process beside it. Part of stage 9, integrate.
//!
//! *Writes* [`Exchange::integration`] and the integration response. *May end with* 429 `THROTTLED` where all processes are busy for too
//! long, 502 `INTEGRATION_FAILURE` where the function fails or its result is no response, 504 `INTEGRATION_TIMEOUT`. *Source*: API
//! Gateway, "Handle Lambda errors in API Gateway", and recorded behaviour.

use std::time::Instant;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use moongate_config::Protocol;
use moongate_config::integration::PayloadFormat;
use moongate_exchange::{Body, Exchange, Kind, Rejection, Response};
use moongate_function::local::{Invocation, InvokeError, Outcome, ResultBody};
use moongate_function::result::{ResultError, v1, v2};
use moongate_lua::{ErrorKind, Outside};

use crate::pipeline::integrate::{Answered, Selector};
use crate::pipeline::{script, template};
use crate::plan::{FunctionForm, FunctionPlan, FunctionRunner, ProcessPlan, RoutePlan, SitePlan};

/// What a function gave.
enum Given {
    /// Its result.
    Result(Bytes),
    /// Its result, piece by piece, and what describes it.
    Stream(Option<Bytes>, Body),
    /// An error document, and its message.
    Failure(Bytes, String),
}

pub(super) async fn call(
    site: &SitePlan,
    route: &RoutePlan,
    plan: &FunctionPlan,
    exchange: &mut Exchange,
    event: Bytes,
    outside: &impl Outside,
) -> Result<Answered, Rejection> {
    let started = Instant::now();
    let given = match &plan.runner {
        FunctionRunner::Script(id) => match script::bank(route)?.call_function(*id, &event, exchange, outside).await {
            Ok(result) => Ok(Given::Result(result)),
            // As Lambda reports an error that a function raised; a run over its budget ends the request as everywhere.
            Err(error) if error.kind == ErrorKind::Raised && matches!(plan.form, FunctionForm::Mapped { .. }) => {
                let body = serde_json::json!({ "errorMessage": &error.message, "errorType": "Error" });
                Ok(Given::Failure(body.to_string().into(), error.message))
            }
            Err(error) => Err(script::failed(error)),
        },
        FunctionRunner::Process(process) => run(process, exchange, event).await,
    };
    exchange.integration.latency = Some(started.elapsed());
    let answered = match (&plan.form, given?) {
        (FunctionForm::Proxy(format), given) => described(site, *format, exchange, given)?.into(),
        (FunctionForm::Mapped { .. }, Given::Result(body)) => mapped(body.into(), String::new()),
        (FunctionForm::Mapped { .. }, Given::Stream(_, body)) => mapped(body, String::new()),
        (FunctionForm::Mapped { .. }, Given::Failure(body, message)) => mapped(body.into(), message),
    };
    exchange.integration.status = Some(answered.response.status);
    Ok(answered)
}

/// Runs a process on the event.
async fn run(process: &ProcessPlan, exchange: &mut Exchange, event: Bytes) -> Result<Given, Rejection> {
    let invocation =
        Invocation { request_id: exchange.id.as_str().into(), event, trace_id: None, client_context: None };
    exchange.integration.attempts += 1;
    let outcome = process.functions.invoke(&process.name, invocation, Instant::now() + process.timeout).await;
    let Outcome { body, error, .. } = outcome.map_err(|error| {
        let kind = match error {
            InvokeError::Overloaded => Kind::Throttled,
            InvokeError::TimedOut => Kind::IntegrationTimeout,
            InvokeError::Unknown | InvokeError::Stopped => Kind::IntegrationFailure,
        };
        Rejection::new(kind, format!("function `{}`: {error}", process.name))
    })?;
    match (body, error) {
        (ResultBody::Whole(result), None) => Ok(Given::Result(result)),
        (ResultBody::Stream { prelude, pieces }, _) => Ok(Given::Stream(prelude, Body::stream(pieces))),
        (ResultBody::Whole(document), Some(error)) => {
            exchange.integration.error = Some(error.to_string().into());
            let parsed: Option<serde_json::Value> = serde_json::from_slice(&document).ok();
            let message = parsed.as_ref().and_then(|parsed| parsed.get("errorMessage")?.as_str());
            Ok(Given::Failure(document.clone(), message.unwrap_or_default().to_owned()))
        }
    }
}

/// A result that an integration response maps.
fn mapped(body: Body, message: String) -> Answered {
    let mut response = Response::new(StatusCode::OK);
    response.headers.set(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.body = body;
    Answered { response, selector: Selector::Message(message) }
}

/// A result that describes the response.
fn described(site: &SitePlan, format: PayloadFormat, exchange: &Exchange, given: Given) -> Result<Response, Rejection> {
    let failed = |detail: String| Rejection::new(Kind::IntegrationFailure, detail).status(StatusCode::BAD_GATEWAY);
    let (result, stream) = match given {
        Given::Result(result) => (result, None),
        Given::Stream(prelude, body) => (prelude.unwrap_or(Bytes::from_static(b"{\"statusCode\":200}")), Some(body)),
        Given::Failure(_, message) => return Err(failed(format!("the function failed: {message}"))),
    };
    let malformed = |error: ResultError| {
        // AWS answers a malformed proxy response with 502 and its text for internal errors.
        let is_base64 = matches!(error, ResultError::Base64(_)) && site.is_aws_rest();
        let status = if is_base64 { StatusCode::INTERNAL_SERVER_ERROR } else { StatusCode::BAD_GATEWAY };
        failed(format!("the function's result cannot be used: {error}")).status(status)
    };
    let response = match format {
        PayloadFormat::V2 => v2::response(&result),
        PayloadFormat::V1 => {
            let dialect = if site.protocol == Protocol::Rest { v1::Dialect::Rest } else { v1::Dialect::Http };
            v1::response(&result, dialect, |_| !site.is_aws_rest() || accepts_binary(site, exchange))
        }
    };
    let mut response = response.map_err(malformed)?;
    if let Some(body) = stream {
        response.body = body;
    }
    Ok(response)
}

/// AWS's REST APIs read Base64 only for a client that accepts one of the binary media types; others get the text as it is
/// (recorded behaviour).
fn accepts_binary(site: &SitePlan, exchange: &Exchange) -> bool {
    template::accepted(&exchange.request.headers).is_some_and(|media_type| site.binary.contain(&media_type))
}
