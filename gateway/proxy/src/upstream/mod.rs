//! The upstream's side: connections that are kept, and requests that are sent on them.
//!
//! Every worker has a [`Pool`] of its own, so that a connection never leaves its thread. An HTTP/1 connection is driven by the very
//! task that waits for its answer, without a task or a channel in between; when the answer's body has ended it goes back into
//! the pool. HTTP/2 connections are driven by tasks of their own and shared.

mod codec;
mod connect;
mod h1;
mod h2;
mod pool;
mod progress;
mod resolve;

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

use http::Method;
use moongate_exchange::{Body, IntegrationFacts, Request, Response};
use moongate_runtime::{Upstream, UpstreamError, Upstreams};

pub use pool::Pool;

use crate::upstream::connect::Connected;
use crate::upstream::progress::Upload;

/// Runs hyper's own tasks on the worker that asks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spawn;

impl<F> hyper::rt::Executor<F> for Spawn
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, future: F) {
        tokio::spawn(future);
    }
}

impl Upstreams for Pool {
    async fn send(
        &self,
        upstream: &Arc<Upstream>,
        mut request: Request,
        deadline: Instant,
        facts: &mut IntegrationFacts,
    ) -> Result<Response, UpstreamError> {
        let patience = deadline.saturating_duration_since(Instant::now());
        let upload = Upload::watch(&mut request);
        let mut answer = pin!(exchange(self, upstream, request, facts));
        loop {
            // Timers of this kind are shared between requests: one that is dropped in time costs next to nothing.
            match pingora_timeout::fast_timeout::fast_timeout(patience, answer.as_mut()).await {
                Ok(outcome) => return outcome,
                // While the upload goes on, the upstream is not late; one that takes nothing of it for this long is.
                Err(_) if upload.as_ref().is_some_and(Upload::has_moved) => {}
                Err(_) => return Err(UpstreamError::TimedOut),
            }
        }
    }
}

async fn exchange(
    pool: &Pool,
    upstream: &Arc<Upstream>,
    mut request: Request,
    facts: &mut IntegrationFacts,
) -> Result<Response, UpstreamError> {
    facts.attempts += 1;
    if let Some(kept) = pool.take_h1(upstream.id) {
        // A kept connection may have been closed by the upstream just now. A request that was certainly not acted on, or may be
        // repeated (RFC 9110 section 9.2.2), is sent once more, on a new connection: on another kept one, a request that makes
        // its upstream fail would be tried on all of them.
        match kept.send(&mut request, pool, upstream.id).await {
            Err(h1::Error::Silent { is_unsent, .. }) if is_unsent || is_repeatable(&request) => {}
            outcome => return outcome.map_err(UpstreamError::from),
        }
        facts.attempts += 1;
    } else if let Some(sender) = pool.h2(upstream.id) {
        return h2::send(upstream, sender, request).await;
    }
    match connect::connect(pool, upstream).await? {
        Connected::H1(fresh) => fresh.send(&mut request, pool, upstream.id).await.map_err(UpstreamError::from),
        Connected::H2(sender) => {
            pool.keep_h2(upstream.id, sender.clone());
            h2::send(upstream, sender, request).await
        }
    }
}

/// Whether sending the request twice does no more than sending it once, and there is nothing in it that can be read only once.
fn is_repeatable(request: &Request) -> bool {
    let is_idempotent = matches!(
        request.method,
        Method::GET | Method::HEAD | Method::OPTIONS | Method::PUT | Method::DELETE | Method::TRACE
    );
    is_idempotent && matches!(request.body, Body::Empty | Body::Full(_))
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
