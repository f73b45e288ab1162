//! HTTP/2 towards upstreams: hyper's codec, streams of connections that are shared.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HOST};
use http::{HeaderMap, Uri, Version};
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::http2::SendRequest;
use moongate_exchange::{Body, BodyError, Request, Response};
use moongate_runtime::{Upstream, UpstreamError};
use tokio::time::Sleep;

use crate::fields;
use crate::upstream::chain;
use crate::upstream::h1::BODY_STALL;

/// Sends a request on a stream of its own and waits for the answer's head.
pub(super) async fn send(
    upstream: &Arc<Upstream>,
    mut sender: SendRequest<Body>,
    request: Request,
) -> Result<Response, UpstreamError> {
    let Request { method, target, headers, body } = request;
    let mut outgoing = hyper::Request::new(body);
    let scheme = if upstream.tls.is_some() { "https" } else { "http" };
    let uri = Uri::builder()
        .scheme(scheme)
        .authority(upstream.authority.as_bytes())
        .path_and_query(target.into_path_and_query())
        .build();
    *outgoing.uri_mut() = uri.map_err(|error| UpstreamError::Exchange { reason: error.to_string().into() })?;
    *outgoing.method_mut() = method;
    *outgoing.version_mut() = Version::HTTP_2;
    *outgoing.headers_mut() = HeaderMap::from(headers);
    // The body is framed by what it is, not by what a field says; the authority is a pseudo-header field.
    outgoing.headers_mut().remove(CONTENT_LENGTH);
    outgoing.headers_mut().remove(HOST);
    let response = sender.send_request(outgoing).await.map_err(exchange_error)?;
    let (mut parts, received) = response.into_parts();
    // An upstream that names protected fields in `Connection` harms only itself: what it names first is gone, the rest stays.
    let _ = fields::strip_connection(&mut parts.headers);
    let body = Body::stream(Received { incoming: received, timer: None });
    Ok(Response { status: parts.status, headers: parts.headers.into(), body })
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

/// An upstream's body while it is read; hyper's own task drives the connection.
struct Received {
    incoming: Incoming,
    timer: Option<Pin<Box<Sleep>>>,
}

impl HttpBody for Received {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        if let Poll::Ready(frame) = Pin::new(&mut this.incoming).poll_frame(cx) {
            this.timer = None;
            return Poll::Ready(frame.map(|frame| frame.map_err(|error| BodyError::Aborted(error.into()))));
        }
        let timer = this.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(BODY_STALL)));
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(Some(Err(BodyError::TimedOut)))
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
