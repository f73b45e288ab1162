//! Stage 9, integrate: whatever answers is asked.
//!
//! *Reads* the integration request. *Writes* [`Exchange::integration`] and the integration response. *May end with* 502
//! (or 503) `INTEGRATION_FAILURE`, 504 `INTEGRATION_TIMEOUT`, 429 `THROTTLED`, 500 `API_CONFIGURATION_ERROR`, 400, 413. *Limits*: the
//! integration's timeout until the head of the answer; bodies stream. *Source*: RFC 9110 sections 15.6.3 and 15.6.5.

use std::time::Instant;

use http::StatusCode;
use moongate_exchange::{Exchange, Exit, Kind, Rejection, Request, Response};

use crate::outbound::Sender;
use crate::pipeline::affinity;
use crate::pipeline::map_request::IntegrationRequest;
use crate::pipeline::{function, validate};
use crate::plan::{HttpPlan, IntegrationPlan, RoutePlan, SitePlan};
use crate::upstream::{UpstreamError, Upstreams};

/// What AWS's REST APIs say of an upstream that cannot be reached.
const NETWORK_ERROR: &str = "Network error communicating with endpoint";

/// What an integration answered, and by what its mapping is selected.
pub(super) struct Answered {
    pub(super) response: Response,
    pub(super) selector: Selector,
}

/// By what an integration response is selected.
pub(super) enum Selector {
    /// The answer's status.
    Status,
    /// The number a mock was told, which need not be a status.
    Number(i64),
    /// The text of the error that a function raised; empty where it raised none.
    Message(String),
}

impl From<Response> for Answered {
    fn from(response: Response) -> Self {
        Self { response, selector: Selector::Status }
    }
}

pub(super) async fn call<U: Upstreams>(
    site: &SitePlan,
    route: &RoutePlan,
    outside: &Sender<'_, U>,
    exchange: &mut Exchange,
    request: IntegrationRequest,
) -> Result<Answered, Exit> {
    match (&route.integration, request) {
        (IntegrationPlan::HttpProxy(plan) | IntegrationPlan::Http(plan), IntegrationRequest::Http(request)) => {
            http(site, plan, outside.upstreams, exchange, request).await.map(Answered::from)
        }
        (IntegrationPlan::Mock(_), IntegrationRequest::Mock(number)) => {
            Ok(Answered { response: Response::new(StatusCode::OK), selector: Selector::Number(number) })
        }
        (IntegrationPlan::Function(plan), IntegrationRequest::Event(event)) => {
            function::call(site, route, plan, exchange, event, outside).await.map_err(Exit::from)
        }
        (IntegrationPlan::Unavailable { reason, .. }, _) => {
            Err(Rejection::new(Kind::ApiConfigurationError, reason.to_string()).into())
        }
        _ => {
            Err(Rejection::new(Kind::ApiConfigurationError, "the integration was given another kind's request").into())
        }
    }
}

async fn http<U: Upstreams>(
    site: &SitePlan,
    plan: &HttpPlan,
    upstreams: &U,
    exchange: &mut Exchange,
    request: Request,
) -> Result<Response, Exit> {
    let started = Instant::now();
    let hash = plan.call.hash_on.as_ref().and_then(|key| affinity::hash(key, &request, exchange));
    let deadline = started + plan.timeout;
    let outcome = upstreams.send(&plan.call, request, hash, deadline, &mut exchange.integration).await;
    exchange.integration.latency = Some(started.elapsed());
    match outcome {
        Ok(response) => {
            exchange.integration.status = Some(response.status);
            Ok(response)
        }
        Err(UpstreamError::RequestBody(error)) => Err(validate::broken_body(error).into()),
        Err(error @ UpstreamError::Overloaded { .. }) => {
            exchange.integration.error = Some(error.to_string().into());
            let rejection = Rejection::new(Kind::IntegrationFailure, error.to_string());
            // Not the upstream's failure: it was not asked (RFC 9110 section 15.6.4).
            Err(rejection.status(StatusCode::SERVICE_UNAVAILABLE).public("Service Unavailable").source(error).into())
        }
        Err(error) => {
            let kind = if matches!(error, UpstreamError::TimedOut) {
                Kind::IntegrationTimeout
            } else {
                Kind::IntegrationFailure
            };
            exchange.integration.error = Some(error.to_string().into());
            let rejection = Rejection::new(kind, error.to_string());
            let is_network = kind == Kind::IntegrationFailure && site.is_aws_rest();
            let rejection = if is_network { rejection.public(NETWORK_ERROR) } else { rejection };
            Err(rejection.source(error).into())
        }
    }
}
