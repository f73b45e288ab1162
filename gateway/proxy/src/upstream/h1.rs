//! One HTTP/1 connection to an upstream, driven by whoever waits for its answer.
//!
//! hyper gives a connection in two halves: one that takes requests and one that must be polled for anything to happen. Usually the
//! second is given to a task; here it is polled in place, by the request's own task while it waits for the head and by the body
//! while it is read. That saves a task switch and two channel hops per direction. The exception is a request whose own body is
//! still being sent when the answer's head arrives: then both directions must go on independently of the client reading the
//! answer, and the connection gets a task.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use moongate_exchange::{Body, BodyError};
use moongate_runtime::UpstreamError;
use pingora_core::protocols::Stream;
use tokio::time::Sleep;

use crate::upstream::Outgoing;
use crate::upstream::pool::{Pool, poll_now};

/// Longest pause in an upstream's body (source: API Gateway response streaming, idle timeout of 5 minutes).
const BODY_STALL: Duration = Duration::from_secs(300);

/// Largest head of an upstream's answer, in bytes.
const HEAD_BYTES_MAX: usize = 128 * 1024;

type Driver = http1::Connection<TokioIo<Stream>, SentBody>;

/// A connection to an upstream.
pub(super) struct H1 {
    sender: SendRequest<SentBody>,
    driver: Box<Driver>,
    /// Whether it carried a request before: then it may have been closed while it waited.
    pub(super) is_reused: bool,
}

/// An answer's head, and what drives the rest of it.
pub(super) struct Sent {
    pub(super) response: hyper::Response<Incoming>,
    pub(super) rest: Rest,
}

/// Who drives the connection while the answer's body is read.
pub(super) enum Rest {
    /// The body itself; the connection can be kept afterwards.
    InPlace(H1),
    /// A task, because the request's body is still being sent.
    Task,
}

impl H1 {
    /// Speaks HTTP/1 on a new stream.
    pub(super) async fn new(stream: Stream) -> Result<Self, UpstreamError> {
        let mut builder = http1::Builder::new();
        builder.max_header_size(HEAD_BYTES_MAX).max_buf_size(HEAD_BYTES_MAX * 2);
        let (sender, driver) = builder
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| UpstreamError::Exchange { reason: super::chain(&error).into() })?;
        Ok(Self { sender, driver: Box::new(driver), is_reused: false })
    }

    /// Whether the upstream has neither closed the connection nor sent anything unasked, as far as one can see without waiting.
    pub(super) fn is_open(&mut self) -> bool {
        poll_now(&mut self.driver).is_pending() && self.sender.is_ready()
    }

    /// Sends a request and waits for the answer's head.
    ///
    /// # Errors
    ///
    /// What went wrong, and the request where it certainly never left.
    pub(super) async fn send(mut self, request: Outgoing) -> Result<Sent, (hyper::Error, Option<Outgoing>)> {
        let progress = Arc::new(Progress::default());
        progress.sent.store(request.body().is_end_stream(), Ordering::Relaxed);
        let request = request.map(|body| SentBody::new(body, Arc::clone(&progress)));
        let mut answer = std::pin::pin!(self.sender.try_send_request(request));
        let mut is_over = false;
        let outcome = poll_fn(|cx| {
            if !is_over {
                // An error of the connection reaches us through the answer.
                is_over = Pin::new(&mut self.driver).poll(cx).is_ready();
            }
            answer.as_mut().poll(cx)
        })
        .await;
        let response = match outcome {
            Ok(response) => response,
            Err(mut failed) => {
                let unsent = failed.take_message().map(|request| request.map(|body| body.body));
                return Err((failed.into_error(), unsent));
            }
        };
        let rest = if is_over {
            Rest::Task
        } else if progress.sent.load(Ordering::Relaxed) {
            Rest::InPlace(self)
        } else {
            // The sender must live as long as the connection: dropping it would end it after this exchange, which is what we want.
            tokio::spawn(async move {
                if let Err(error) = self.driver.await {
                    tracing::debug!(error = super::chain(&error), "upstream connection ended");
                }
            });
            Rest::Task
        };
        Ok(Sent { response, rest })
    }
}

/// The answer's body, which drives the connection where nothing else does.
pub(super) fn body(incoming: Incoming, rest: Rest, pool: Pool, upstream: u64) -> Body {
    let connection = match rest {
        Rest::InPlace(connection) => Some(connection),
        Rest::Task => None,
    };
    let is_over = incoming.is_end_stream();
    let mut received = Received { incoming, connection, pool, upstream, timer: None, is_over };
    if is_over {
        received.give_back();
        return Body::Empty;
    }
    Body::Stream(Box::pin(received))
}

/// How far a request's body has come.
#[derive(Default)]
pub(super) struct Progress {
    /// All of it was taken.
    pub(super) sent: AtomicBool,
    /// Some of it was taken since this was last cleared.
    pub(super) moved: AtomicBool,
}

/// A request's body that says how far it has come.
pub(super) struct SentBody {
    body: Body,
    progress: Arc<Progress>,
}

impl SentBody {
    pub(super) fn new(body: Body, progress: Arc<Progress>) -> Self {
        Self { body, progress }
    }
}

impl HttpBody for SentBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        self.progress.moved.store(true, Ordering::Relaxed);
        if frame.is_none() || self.body.is_end_stream() {
            self.progress.sent.store(true, Ordering::Relaxed);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// An upstream's body while it is read.
struct Received {
    incoming: Incoming,
    connection: Option<H1>,
    pool: Pool,
    upstream: u64,
    timer: Option<Pin<Box<Sleep>>>,
    is_over: bool,
}

impl Received {
    /// Returns the connection to the pool if it can carry another request.
    fn give_back(&mut self) {
        if let Some(mut connection) = self.connection.take()
            && connection.is_open()
        {
            self.pool.keep_h1(self.upstream, connection);
        }
    }
}

impl HttpBody for Received {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        if this.is_over {
            return Poll::Ready(None);
        }
        if let Some(connection) = &mut this.connection
            && Pin::new(&mut connection.driver).poll(cx).is_ready()
        {
            // Closed, or failed: what arrived before is still in the body, and so is the failure.
            this.connection = None;
        }
        match Pin::new(&mut this.incoming).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                this.timer = None;
                if this.incoming.is_end_stream() {
                    this.is_over = true;
                    this.give_back();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(None) => {
                this.is_over = true;
                this.give_back();
                Poll::Ready(None)
            }
            Poll::Ready(Some(Err(error))) => {
                this.is_over = true;
                this.connection = None;
                Poll::Ready(Some(Err(BodyError::Aborted(error.into()))))
            }
            Poll::Pending => {
                let timer = this.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(BODY_STALL)));
                ready!(timer.as_mut().poll(cx));
                Poll::Ready(Some(Err(BodyError::TimedOut)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.is_over
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

/// A body that needs no driving: of an HTTP/2 stream.
pub(super) struct Plain {
    incoming: Incoming,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Plain {
    pub(super) fn new(incoming: Incoming) -> Self {
        Self { incoming, timer: None }
    }
}

impl HttpBody for Plain {
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
