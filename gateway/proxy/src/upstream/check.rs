//! Active health checks: targets are asked whether they are well, off the request path and once per process.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use http::header::{CONNECTION, HOST, USER_AGENT};
use http::{HeaderValue, Method, StatusCode};
use moongate_config::upstream::HealthCheckType;
use moongate_exchange::{Body, Headers, Request, Target};
use moongate_runtime::UpstreamError;
use moongate_runtime::upstream::HealthCheck;

use crate::upstream::connect::{Connected, Connector};
use crate::upstream::endpoint::{Busy, Endpoint};
use crate::upstream::pool::Home;
use crate::upstream::state::State;
use crate::upstream::to_h2;

/// Who asks.
const AGENT: HeaderValue = HeaderValue::from_static("moongate-health-check");

/// Asks an address again and again, until it is gone.
pub(super) async fn watch(state: Arc<State>, endpoint: Arc<Endpoint>, rules: HealthCheck, connector: Arc<Connector>) {
    while state.is_wanted() && !endpoint.is_gone.load(Ordering::Relaxed) {
        let outcome = tokio::time::timeout(rules.timeout, ask(&state, &endpoint, &rules, &connector)).await;
        let outcome = outcome.unwrap_or_else(|_| Err("no answer in time".to_owned()));
        let changed = endpoint.checked(outcome.is_ok(), rules.healthy_after, rules.unhealthy_after);
        let (upstream, address) = (state.name(), endpoint.address);
        match (changed, outcome) {
            (Some(false), Err(reason)) => tracing::warn!(upstream, %address, reason, "target is unwell"),
            (Some(true), _) => tracing::info!(upstream, %address, "target is well"),
            _ => {}
        }
        tokio::time::sleep(rules.interval).await;
    }
}

/// Asks once. What is wrong, if anything.
async fn ask(
    state: &Arc<State>,
    endpoint: &Arc<Endpoint>,
    rules: &HealthCheck,
    connector: &Connector,
) -> Result<(), String> {
    let said = |error: UpstreamError| error.to_string();
    if rules.kind == HealthCheckType::Tcp {
        return connector.reach(state, endpoint, rules.timeout).await.map_err(said);
    }
    let connected = connector.connect_to(state, endpoint, rules.timeout).await.map_err(said)?;
    let target = &state.spec.targets[endpoint.target];
    let path = Target::from_text(rules.path.to_string()).map_err(|error| error.to_string())?;
    let mut request = Request { method: Method::GET, target: path, headers: Headers::new(), body: Body::Empty };
    request.headers.set(HOST, target.authority.clone());
    request.headers.set(USER_AGENT, AGENT);
    let status = match connected {
        Connected::H1(connection) => {
            request.headers.set(CONNECTION, HeaderValue::from_static("close"));
            let (home, busy) = (Home::none(state), Busy::new(Arc::clone(endpoint), None));
            connection.send(&mut request, home, busy, rules.timeout).await.map_err(|error| said(error.into()))?.status
        }
        Connected::H2(connection) => {
            let streaming = connection.reserve();
            let head = to_h2(&request, &target.authority, target.tls.is_some()).map_err(said)?;
            let answered = connection.send(head, Body::Empty, streaming, rules.timeout).await;
            answered.map_err(|failure| failure.to_string())?.0.status
        }
    };
    if is_well(rules, status) { Ok(()) } else { Err(format!("it answered {status}")) }
}

fn is_well(rules: &HealthCheck, status: StatusCode) -> bool {
    rules.statuses.iter().any(|(first, last)| (*first..=*last).contains(&status.as_u16()))
}
