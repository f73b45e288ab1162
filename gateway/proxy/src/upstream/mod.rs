//! The upstream's side: connections that are kept, and requests that are sent on them.
//!
//! Every worker has a [`Pool`] of its own, so that a connection never leaves its thread. An HTTP/1 connection is driven by the very
//! task that waits for its answer, without a task or a channel in between; when the answer's body has ended it goes back into
//! the pool. HTTP/2 connections are driven by tasks of their own and shared.

mod connect;
mod h1;
mod pool;
mod resolve;

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use http::header::{CONTENT_LENGTH, HOST, TE};
use http::{HeaderMap, Method, Uri, Version};
use moongate_exchange::{Body, BodyError, IntegrationFacts, Request, Response};
use moongate_runtime::{Upstream, UpstreamError, Upstreams};

pub use pool::Pool;

use crate::fields;
use crate::upstream::connect::Connected;
use crate::upstream::h1::{H1, Sent};

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

/// A request in hyper's form.
type Outgoing = hyper::Request<Body>;

impl Upstreams for Pool {
    async fn send(
        &self,
        upstream: &Arc<Upstream>,
        request: Request,
        deadline: Instant,
        facts: &mut IntegrationFacts,
    ) -> Result<Response, UpstreamError> {
        let patience = deadline.saturating_duration_since(Instant::now());
        let (request, upload) = Upload::watch(request);
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

/// A request's body that is still being sent.
struct Upload(Arc<h1::Progress>);

impl Upload {
    /// Watches a body that streams; others are sent in no time.
    fn watch(request: Request) -> (Request, Option<Self>) {
        if !matches!(request.body, Body::Stream(_)) {
            return (request, None);
        }
        let progress = Arc::new(h1::Progress::default());
        let body = Body::stream(h1::SentBody::new(request.body, Arc::clone(&progress)));
        (Request { body, ..request }, Some(Self(progress)))
    }

    /// Whether it is not over, and some of it was sent since this was last asked.
    fn has_moved(&self) -> bool {
        !self.0.sent.load(Ordering::Relaxed) && self.0.moved.swap(false, Ordering::Relaxed)
    }
}

async fn exchange(
    pool: &Pool,
    upstream: &Arc<Upstream>,
    request: Request,
    facts: &mut IntegrationFacts,
) -> Result<Response, UpstreamError> {
    let mut request = outgoing(request);
    facts.attempts += 1;
    if let Some(kept) = pool.take_h1(upstream.id) {
        // A kept connection may have been closed by the upstream just now. A request that was certainly not acted on, or may be
        // repeated (RFC 9110 section 9.2.2), is sent once more, on a new connection: on another kept one, a request that makes
        // its upstream fail would be tried on all of them.
        match send_h1(pool, upstream, kept, request).await? {
            Ok(response) => return Ok(response),
            Err(again) => request = again,
        }
        facts.attempts += 1;
    } else if let Some(sender) = pool.h2(upstream.id) {
        return send_h2(upstream, sender, request).await;
    }
    match connect::connect(pool, upstream).await? {
        Connected::H1(fresh) => send_h1(pool, upstream, fresh, request).await?.map_err(|_| UpstreamError::Exchange {
            reason: "the connection was closed before the request was sent".into(),
        }),
        Connected::H2(sender) => {
            pool.keep_h2(upstream.id, sender.clone());
            send_h2(upstream, sender, request).await
        }
    }
}

/// Sends on an HTTP/1 connection. Gives the request back when it may be sent again on another.
async fn send_h1(
    pool: &Pool,
    upstream: &Arc<Upstream>,
    connection: H1,
    mut request: Outgoing,
) -> Result<Result<Response, Outgoing>, UpstreamError> {
    request.headers_mut().remove(TE);
    let is_reused = connection.is_reused;
    let copy = if is_reused && is_repeatable(&request) { Some(copy_of(&request)) } else { None };
    match connection.send(request).await {
        Ok(Sent { response, rest }) => {
            if response.status().is_informational() {
                // Nobody asked for another protocol, and no other 1xx is an answer.
                let reason = format!("the upstream answered {} unasked", response.status());
                return Err(UpstreamError::Exchange { reason: reason.into() });
            }
            Ok(Ok(incoming(response, |body| h1::body(body, rest, pool.clone(), upstream.id))))
        }
        Err((error, unsent)) => match unsent.filter(|_| is_reused).or(copy) {
            Some(again) => Ok(Err(again)),
            None => Err(exchange_error(error)),
        },
    }
}

async fn send_h2(
    upstream: &Arc<Upstream>,
    mut sender: hyper::client::conn::http2::SendRequest<Body>,
    mut request: Outgoing,
) -> Result<Response, UpstreamError> {
    request.headers_mut().remove(HOST);
    let scheme = if upstream.tls.is_some() { "https" } else { "http" };
    let path = request.uri().path_and_query().cloned().unwrap_or_else(|| http::uri::PathAndQuery::from_static("/"));
    let uri = Uri::builder().scheme(scheme).authority(upstream.authority.as_bytes()).path_and_query(path).build();
    *request.uri_mut() = uri.map_err(|error| UpstreamError::Exchange { reason: error.to_string().into() })?;
    *request.version_mut() = Version::HTTP_2;
    let response = sender.send_request(request).await.map_err(exchange_error)?;
    Ok(incoming(response, |body| Body::stream(h1::Plain::new(body))))
}

/// A request in hyper's form. Its body is framed by what it is, not by what a field says.
fn outgoing(request: Request) -> Outgoing {
    let Request { method, target, headers, body } = request;
    let mut outgoing = hyper::Request::new(body);
    *outgoing.method_mut() = method;
    *outgoing.uri_mut() = Uri::from(target.into_path_and_query());
    *outgoing.headers_mut() = HeaderMap::from(headers);
    outgoing.headers_mut().remove(CONTENT_LENGTH);
    outgoing
}

/// An upstream's answer in our form.
fn incoming<B>(response: hyper::Response<B>, body: impl FnOnce(B) -> Body) -> Response {
    let (mut parts, received) = response.into_parts();
    // An upstream that names protected fields in `Connection` harms only itself: what it names first is gone, the rest stays.
    let _ = fields::strip_connection(&mut parts.headers);
    Response { status: parts.status, headers: parts.headers.into(), body: body(received) }
}

/// Whether sending the request twice does no more than sending it once, and there is nothing in it that can be read only once.
fn is_repeatable(request: &Outgoing) -> bool {
    let is_idempotent = matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS | Method::PUT | Method::DELETE | Method::TRACE
    );
    is_idempotent && matches!(request.body(), Body::Empty | Body::Full(_))
}

fn copy_of(request: &Outgoing) -> Outgoing {
    let body = match request.body() {
        Body::Full(bytes) => Body::Full(bytes.clone()),
        _ => Body::Empty,
    };
    let mut copy = hyper::Request::new(body);
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    copy
}

/// What a failed exchange was: the client's body that broke off, or the upstream.
fn exchange_error(error: hyper::Error) -> UpstreamError {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    while let Some(error) = cause {
        match error.downcast_ref::<BodyError>() {
            Some(BodyError::TooLarge { bytes_max }) => {
                return UpstreamError::RequestBody(BodyError::TooLarge { bytes_max: *bytes_max });
            }
            Some(BodyError::TimedOut) => return UpstreamError::RequestBody(BodyError::TimedOut),
            Some(BodyError::Aborted(source)) => {
                return UpstreamError::RequestBody(BodyError::Aborted(source.to_string().into()));
            }
            None => cause = error.source(),
        }
    }
    UpstreamError::Exchange { reason: chain(&error).into() }
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
