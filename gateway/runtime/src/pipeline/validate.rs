//! Stage 6, validate: the request has what the route declares, and its body is at hand where a stage reads it.
//!
//! *Reads* parameters and body. *Writes* [`Exchange::request_body`] on routes whose plan says that a stage reads it; all other
//! bodies stream on unread. *May end with* 400 `BAD_REQUEST_PARAMETERS` or `BAD_REQUEST_BODY`, 413 `REQUEST_TOO_LARGE`, 408. *Limits*:
//! `limits.buffered_body_bytes_max`.
//!
//! Bodies are collected no earlier than here: a caller who may not call cannot make the gateway hold anything.

use std::fmt::Write as _;

use http::StatusCode;
use moongate_exchange::{BodyError, Caller, Exchange, Exit, Kind, Rejection};

use crate::pipeline::{guard, lookup, template};
use crate::plan::RoutePlan;

/// Most problems of a body that are told.
const PROBLEMS_MAX: usize = 5;

pub(super) async fn check(route: &RoutePlan, _caller: &Caller, exchange: &mut Exchange) -> Result<(), Exit> {
    required_parameters(route, exchange)?;
    if !route.reads_request_body {
        return Ok(());
    }
    let body = std::mem::take(&mut exchange.request.body);
    let bytes = body.collect(route.buffer_bytes_max).await.map_err(broken_body)?;
    body_model(route, exchange, &bytes)?;
    exchange.request_body = Some(bytes);
    Ok(())
}

fn required_parameters(route: &RoutePlan, exchange: &Exchange) -> Result<(), Rejection> {
    let mut missing = String::new();
    for (name, source) in &route.required_parameters {
        // Present and not blank, as in AWS.
        if lookup::value(source, exchange, None).is_none_or(|value| value.trim().is_empty()) {
            let separator = if missing.is_empty() { "" } else { ", " };
            write!(missing, "{separator}{name}").expect("writing to a String does not fail");
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let text = format!("Missing required request parameters: [{missing}]");
    Err(Rejection::new(Kind::BadRequestParameters, text.clone()).public(text))
}

/// Checks the body against the model of its media type. Media types without a model are not checked, as in AWS.
fn body_model(route: &RoutePlan, exchange: &Exchange, body: &[u8]) -> Result<(), Rejection> {
    if route.body_models.is_empty() {
        return Ok(());
    }
    let media_type = template::media_type(&exchange.request.headers);
    let Some((_, model)) = route.body_models.iter().find(|(known, _)| **known == *media_type) else { return Ok(()) };
    let refused = |detail: String| Rejection::new(Kind::BadRequestBody, detail);
    let value = serde_json::from_slice(body).map_err(|error| refused(format!("the body is not JSON: {error}")))?;
    let problems: Vec<String> = model
        .iter_errors(&value)
        .take(PROBLEMS_MAX)
        .map(|error| format!("{}: {}", error.instance_path(), error.masked()))
        .collect();
    if problems.is_empty() {
        Ok(())
    } else {
        Err(refused(format!("the body does not match its model: {}", problems.join("; "))))
    }
}

/// The rejection of a request whose body broke off while the gateway read it.
pub(super) fn broken_body(error: BodyError) -> Rejection {
    match error {
        BodyError::TooLarge { bytes_max } => guard::too_large(bytes_max),
        BodyError::TimedOut => Rejection::new(Kind::BadRequestBody, "the request's body made no progress")
            .status(StatusCode::REQUEST_TIMEOUT)
            .source(error),
        BodyError::Aborted(_) => {
            Rejection::new(Kind::BadRequestBody, "the client broke the request's body off").source(error)
        }
    }
}
