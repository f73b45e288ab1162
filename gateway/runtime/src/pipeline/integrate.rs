//! Stage 9, integrate: whatever answers is asked.
//!
//! *Reads* the integration request. *Writes* [`Exchange::integration`] and the integration response. *May end with* 502
//! `INTEGRATION_FAILURE`, 504 `INTEGRATION_TIMEOUT`, 500 `API_CONFIGURATION_ERROR`, 400, 413. *Limits*: the integration's timeout
//! until the head of the answer; bodies stream. *Source*: RFC 9110 sections 15.6.3 and 15.6.5.

use std::time::Instant;

use http::StatusCode;
use moongate_exchange::{Exchange, Exit, Kind, Rejection, Request, Response};

use crate::pipeline::map_request::IntegrationRequest;
use crate::pipeline::{script, validate};
use crate::plan::{HttpPlan, IntegrationPlan, RoutePlan};
use crate::upstream::{UpstreamError, Upstreams};

pub(super) async fn call<U: Upstreams>(
    route: &RoutePlan,
    upstreams: &U,
    exchange: &mut Exchange,
    request: IntegrationRequest,
) -> Result<Response, Exit> {
    match (&route.integration, request) {
        (IntegrationPlan::HttpProxy(plan) | IntegrationPlan::Http(plan), IntegrationRequest::Http(request)) => {
            http(plan, upstreams, exchange, request).await
        }
        (IntegrationPlan::Mock(_), IntegrationRequest::Mock(status)) => {
            let refused = |_| Rejection::new(Kind::ApiConfigurationError, format!("{status} is not a status"));
            Ok(Response::new(StatusCode::from_u16(status).map_err(refused)?))
        }
        (IntegrationPlan::Lua(id), IntegrationRequest::Event(event)) => {
            let started = Instant::now();
            let result = script::vm(route)?.call_function(*id, &event, exchange).map_err(script::failed)?;
            exchange.integration.latency = Some(started.elapsed());
            let malformed = |error: moongate_function::result::ResultError| {
                // AWS answers a malformed proxy response with 502 and its text for internal errors.
                Rejection::new(Kind::IntegrationFailure, format!("the function's result cannot be used: {error}"))
            };
            let response = moongate_function::result::v2::response(&result).map_err(malformed)?;
            exchange.integration.status = Some(response.status);
            Ok(response)
        }
        (IntegrationPlan::Unavailable(reason), _) => {
            Err(Rejection::new(Kind::ApiConfigurationError, reason.to_string()).into())
        }
        _ => {
            Err(Rejection::new(Kind::ApiConfigurationError, "the integration was given another kind's request").into())
        }
    }
}

async fn http<U: Upstreams>(
    plan: &HttpPlan,
    upstreams: &U,
    exchange: &mut Exchange,
    request: Request,
) -> Result<Response, Exit> {
    let started = Instant::now();
    let outcome = upstreams.send(&plan.upstream, request, started + plan.timeout, &mut exchange.integration).await;
    exchange.integration.latency = Some(started.elapsed());
    match outcome {
        Ok(response) => {
            exchange.integration.status = Some(response.status);
            Ok(response)
        }
        Err(UpstreamError::RequestBody(error)) => Err(validate::broken_body(error).into()),
        Err(error) => {
            let kind = if matches!(error, UpstreamError::TimedOut) {
                Kind::IntegrationTimeout
            } else {
                Kind::IntegrationFailure
            };
            exchange.integration.error = Some(error.to_string().into());
            Err(Rejection::new(kind, error.to_string()).source(error).into())
        }
    }
}
