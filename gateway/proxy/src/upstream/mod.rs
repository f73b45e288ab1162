//! The upstream's side: which target a request goes to, connections that are kept, and requests that are sent on them.
//!
//! Every worker has a [`Pool`] of its own, so that a connection never leaves its thread. An HTTP/1 connection is driven by the very
//! task that waits for its answer, without a task or a channel in between; when the answer's body has ended it goes back onto
//! its [`shelf`]. HTTP/2 connections are driven by tasks of their own and shared.
//!
//! What is known about an upstream (its addresses, how they fare, counts) is one [`state`] for all workers; [`fleet`] keeps it current
//! on a thread of its own, with the resolver in [`dns`] and the health [`check`]s. [`send`] is the path of a request: admitted by the
//! [`circuit`], sent to the address that [`balance`] picks, tried again where that is safe and wanted.

mod balance;
mod check;
mod circuit;
mod clock;
mod codec;
mod connect;
mod dns;
mod endpoint;
mod figures;
mod fleet;
mod h1;
mod h2;
mod mirror;
mod pool;
mod progress;
mod send;
mod shelf;
mod state;

use std::future::Future;
use std::time::{Duration, Instant};

use http::header::{CONTENT_LENGTH, HOST};
use http::{HeaderMap, HeaderValue, Uri, Version};
use moongate_exchange::{IntegrationFacts, Request, Response};
use moongate_runtime::plan::{CallPlan, FaultPlan};
use moongate_runtime::{UpstreamError, Upstreams};

pub use dns::ResolverOptions;
pub use fleet::Fleet;
pub use pool::Pool;

impl Upstreams for Pool {
    async fn send(
        &self,
        call: &CallPlan,
        request: Request,
        hash: Option<u64>,
        deadline: Instant,
        facts: &mut IntegrationFacts,
    ) -> Result<Response, UpstreamError> {
        if call.fault.is_some() || call.mirror.is_some() {
            let state = self.state(&call.upstream);
            let number = state.requests.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            if let Some(fault) = &call.fault
                && let Some(answer) = fail_on_purpose(fault, number, deadline).await
            {
                return Ok(answer);
            }
            if let Some(mirror) = &call.mirror {
                mirror::send_copy(self, &state, mirror, &request, number, deadline);
            }
        }
        send::run(self, call, request, hash, deadline, facts).await
    }
}

/// Holds a request back, and answers it, where that is wanted.
async fn fail_on_purpose(fault: &FaultPlan, number: u64, deadline: Instant) -> Option<Response> {
    if let Some((delay, share)) = fault.delay
        && share.takes(number)
    {
        tokio::time::sleep(delay.min(deadline.saturating_duration_since(Instant::now()))).await;
    }
    let (status, share) = fault.abort?;
    share.takes(number).then(|| Response::new(status))
}

/// A request's head as HTTP/2 has it: with scheme and authority in its target (RFC 9113 section 8.3.1). The fields are copied, so that
/// a request which the upstream refuses can be sent again.
fn to_h2(request: &Request, authority: &HeaderValue, is_tls: bool) -> Result<http::Request<()>, UpstreamError> {
    let mut head = http::Request::new(());
    *head.headers_mut() = HeaderMap::from(request.headers.clone());
    // The body is framed by what it is, not by what a field says.
    head.headers_mut().remove(CONTENT_LENGTH);
    // A mapping may have set another host.
    let host = head.headers_mut().remove(HOST).unwrap_or_else(|| authority.clone());
    let scheme = if is_tls { "https" } else { "http" };
    let path = request.target.clone().into_path_and_query();
    let uri = Uri::builder().scheme(scheme).authority(host.as_bytes()).path_and_query(path).build();
    *head.uri_mut() = uri.map_err(|error| UpstreamError::Exchange { reason: error.to_string().into() })?;
    *head.method_mut() = request.method.clone();
    *head.version_mut() = Version::HTTP_2;
    Ok(head)
}

/// Runs something for at most so long. Timers of this kind are shared between requests: one that is dropped in time costs next to
/// nothing.
async fn within<F: Future>(limit: Duration, future: F) -> Option<F::Output> {
    pingora_timeout::fast_timeout::fast_timeout(limit, future).await.ok()
}

/// An error and its causes in one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
