//! Stage 6, validate: the request has what the route declares, and its body is at hand where a stage reads it.
//!
//! *Reads* parameters and body. *Writes* [`Exchange::request_body`] on routes whose plan says that a stage reads it; all other
//! bodies stream on unread. *May end with* 400 `BAD_REQUEST_PARAMETERS` or `BAD_REQUEST_BODY`, 413 `REQUEST_TOO_LARGE`, 408. *Limits*:
//! `limits.buffered_body_bytes_max`.
//!
//! Bodies are collected no earlier than here: a caller who may not call cannot make the gateway hold anything.

use std::fmt::Write as _;

use http::StatusCode;
use moongate_exchange::{BodyError, Caller, Exchange, Exit, Kind, Problem, Rejection};

use crate::pipeline::{guard, lookup, template};
use crate::plan::{RoutePlan, ValueSource};

/// Most problems of a body that are told.
const PROBLEMS_MAX: usize = 5;

pub(super) async fn check(route: &RoutePlan, _caller: &Caller, exchange: &mut Exchange) -> Result<(), Exit> {
    let parameters = required_parameters(route, exchange);
    settle(route, exchange, parameters)?;
    if !route.reads_request_body {
        return Ok(());
    }
    let body = std::mem::take(&mut exchange.request.body);
    let bytes = body.collect(route.buffer_bytes_max).await.map_err(broken_body)?;
    let matches = body_model(route, exchange, &bytes);
    settle(route, exchange, matches)?;
    exchange.request_body = Some(bytes);
    Ok(())
}

/// Refuses the request, or only notes what is wrong with it where the route's validator says so.
fn settle(route: &RoutePlan, exchange: &mut Exchange, outcome: Result<(), Rejection>) -> Result<(), Rejection> {
    match outcome {
        Err(rejection) if route.only_reports => {
            tracing::warn!(
                api.id = &*route.facts.api_id,
                route = &*route.facts.key,
                request.id = exchange.id.as_str(),
                error.kind = rejection.kind.face().name,
                "let pass though it fails validation: {}",
                rejection.detail
            );
            exchange.script_log.push(format!("validation (report only): {}", rejection.detail));
            Ok(())
        }
        other => other,
    }
}

fn required_parameters(route: &RoutePlan, exchange: &Exchange) -> Result<(), Rejection> {
    let mut missing = String::new();
    let mut problems = Vec::new();
    for (name, source) in &route.required_parameters {
        // Present and not blank, as in AWS.
        if lookup::value(source, exchange, None).is_none_or(|value| value.trim().is_empty()) {
            let separator = if missing.is_empty() { "" } else { ", " };
            write!(missing, "{separator}{name}").expect("writing to a String does not fail");
            let place = match source {
                ValueSource::Path(_) => "path",
                ValueSource::Query(_) => "query",
                _ => "header",
            };
            let parameter = Some(format!("{place} {name}").into());
            problems.push(Problem { pointer: None, parameter, detail: "is missing or blank".into() });
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let text = format!("Missing required request parameters: [{missing}]");
    Err(Rejection::new(Kind::BadRequestParameters, text.clone()).public(text).problems(problems))
}

/// Checks the body against the model of its media type, or of any (`$default`). Media types without a model are not checked, as
/// in AWS; an empty body counts as `{}`, as there.
fn body_model(route: &RoutePlan, exchange: &Exchange, body: &[u8]) -> Result<(), Rejection> {
    if route.body_models.is_empty() {
        return Ok(());
    }
    let media_type = template::media_type(&exchange.request.headers);
    let by_type = |wanted: &str| route.body_models.iter().find(|(known, _)| **known == *wanted);
    let Some((_, model)) = by_type(&media_type).or_else(|| by_type("$default")) else { return Ok(()) };
    let refused = |detail: String, problems| Rejection::new(Kind::BadRequestBody, detail).problems(problems);
    let body = if body.is_empty() { b"{}" } else { body };
    let value = serde_json::from_slice(body).map_err(|error| {
        let detail = format!("is not JSON: {error}");
        refused(format!("the body {detail}"), vec![problem("", detail)])
    })?;
    let problems: Vec<Problem> = model
        .iter_errors(&value)
        .take(PROBLEMS_MAX)
        .map(|error| problem(error.instance_path().as_str(), error.masked().to_string()))
        .collect();
    if problems.is_empty() {
        return Ok(());
    }
    let all: Vec<String> = problems
        .iter()
        .map(|problem| format!("{}: {}", problem.pointer.as_deref().unwrap_or_default(), problem.detail))
        .collect();
    Err(refused(format!("the body does not match its model: {}", all.join("; ")), problems))
}

fn problem(pointer: &str, detail: String) -> Problem {
    Problem { pointer: Some(format!("#{pointer}").into()), parameter: None, detail: detail.into() }
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
