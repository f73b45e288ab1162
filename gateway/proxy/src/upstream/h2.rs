//! One HTTP/2 connection to an upstream, shared by the requests of a worker.
//!
//! The `h2` crate is used as it is, without hyper's client around it: that shows how many streams the upstream allows, which streams
//! it refused (RFC 9113 section 8.7), and that it is going away.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use h2::client::{Connection, ResponseFuture, SendRequest};
use h2::{Ping, Reason, RecvStream, SendStream};
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, HeaderValue, Method};
use http_body::{Body as HttpBody, Frame, SizeHint};
use moongate_exchange::{Body, BodyError};
use pingora_core::protocols::Stream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Sleep;

use crate::upstream::clock;
use crate::upstream::endpoint::Busy;

/// Windows, in bytes: enough for a fast link, far less than an upstream could fill our memory with.
const STREAM_WINDOW: u32 = 1024 * 1024;
const CONNECTION_WINDOW: u32 = 4 * 1024 * 1024;

/// Largest head of an answer, in bytes.
const HEAD_BYTES_MAX: u32 = 128 * 1024;

/// Streams that are opened before the upstream has said how many it allows (RFC 9113 section 6.5.2 recommends at least 100).
const STREAMS_INITIAL: usize = 100;

/// How often an upstream with requests under way is asked whether it is still there, and how long it has to say so.
const PING_INTERVAL: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// A connection. Clones are the same one.
#[derive(Clone)]
pub(super) struct H2 {
    sender: SendRequest<Bytes>,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    streams: AtomicUsize,
    is_over: AtomicBool,
    /// When the last stream ended, by [`clock`].
    idle_since_ms: AtomicU64,
}

/// Why a request got no answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// The client's body broke off.
    RequestBody(BodyError),
    /// The upstream, or the connection.
    Upstream(h2::Error),
}

impl Failure {
    /// Whether the upstream certainly did not process the request: it refused the stream, or is going away and the stream is
    /// beyond the last that it looked at (RFC 9113 section 8.7).
    pub(super) fn is_unprocessed(&self) -> bool {
        let Self::Upstream(error) = self else { return false };
        error.is_remote() && (error.is_go_away() || error.reason() == Some(Reason::REFUSED_STREAM))
    }
}

impl H2 {
    /// Speaks HTTP/2 on a new stream. `permit` is held for as long as the connection lives.
    pub(super) async fn new(stream: Stream, permit: Option<OwnedSemaphorePermit>) -> Result<Self, h2::Error> {
        let (sender, connection) = h2::client::Builder::new()
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(HEAD_BYTES_MAX)
            .initial_max_send_streams(STREAMS_INITIAL)
            .enable_push(false)
            .handshake(stream)
            .await?;
        let state = Arc::new(State::default());
        state.idle_since_ms.store(clock::now(), Ordering::Relaxed);
        let for_task = Arc::clone(&state);
        tokio::spawn(async move {
            drive(connection, &for_task).await;
            for_task.is_over.store(true, Ordering::Relaxed);
            drop(permit);
        });
        Ok(Self { sender, state })
    }

    /// Whether requests can still be sent: neither side has closed, and the upstream has not said that it is going away.
    pub(super) fn takes_requests(&self) -> bool {
        let mut sender = self.sender.clone();
        let ready = sender.poll_ready(&mut Context::from_waker(std::task::Waker::noop()));
        !self.state.is_over.load(Ordering::Relaxed) && !matches!(ready, Poll::Ready(Err(_)))
    }

    /// Streams under way.
    pub(super) fn streams(&self) -> usize {
        self.state.streams.load(Ordering::Relaxed)
    }

    /// Whether the upstream allows one more.
    pub(super) fn has_room(&self) -> bool {
        self.streams() < self.sender.current_max_send_streams()
    }

    /// How long it has had no stream.
    pub(super) fn idle_for(&self) -> Duration {
        if self.streams() > 0 {
            return Duration::ZERO;
        }
        Duration::from_millis(clock::now().saturating_sub(self.state.idle_since_ms.load(Ordering::Relaxed)))
    }

    /// Counts a stream for as long as it lives. Taken when the connection is chosen, so that the next request sees it.
    pub(super) fn reserve(&self) -> Streaming {
        self.state.streams.fetch_add(1, Ordering::Relaxed);
        Streaming(Arc::clone(&self.state))
    }

    /// Sends a request (scheme and authority in its target) and waits for the answer's head.
    ///
    /// Dropping the future resets the stream. `patience` is how long the upstream may open no window for the request's body.
    pub(super) async fn send(
        self,
        mut head: http::Request<()>,
        body: Body,
        streaming: Streaming,
        patience: Duration,
    ) -> Result<(http::response::Parts, RecvStream, Streaming), Failure> {
        let mut sender = self.sender.ready().await.map_err(Failure::Upstream)?;
        set_length(&head.method().clone(), head.headers_mut(), &body);
        let is_bodiless = body.is_end_stream();
        let (mut answer, stream) = sender.send_request(head, is_bodiless).map_err(Failure::Upstream)?;
        if !is_bodiless {
            let mut upload: Pin<Box<dyn Future<Output = Result<(), BodyError>> + Send>> =
                Box::pin(pump(body, stream, patience));
            let mut is_sent = false;
            let answered = poll_fn(|cx| {
                if !is_sent && let Poll::Ready(outcome) = upload.as_mut().poll(cx) {
                    is_sent = true;
                    if let Err(error) = outcome {
                        return Poll::Ready(Err(Failure::RequestBody(error)));
                    }
                }
                poll_answer(&mut answer, cx)
            });
            let response = answered.await?;
            if !is_sent {
                // The answer came first: both directions go on independently.
                tokio::spawn(async move {
                    if let Err(error) = upload.await {
                        tracing::debug!(%error, "upload to the upstream ended");
                    }
                });
            }
            return Ok(taken_apart(response, streaming));
        }
        let response = poll_fn(|cx| poll_answer(&mut answer, cx)).await?;
        Ok(taken_apart(response, streaming))
    }
}

fn poll_answer(answer: &mut ResponseFuture, cx: &mut Context<'_>) -> Poll<Result<http::Response<RecvStream>, Failure>> {
    Pin::new(answer).poll(cx).map_err(Failure::Upstream)
}

fn taken_apart(
    response: http::Response<RecvStream>,
    streaming: Streaming,
) -> (http::response::Parts, RecvStream, Streaming) {
    let (parts, stream) = response.into_parts();
    (parts, stream, streaming)
}

/// States the body's length where it is known and means something (RFC 9110 section 8.6).
fn set_length(method: &Method, headers: &mut HeaderMap, body: &Body) {
    let has_meaning = !matches!(*method, Method::GET | Method::HEAD | Method::DELETE | Method::OPTIONS | Method::TRACE);
    if let Some(length) = body.len().filter(|length| *length > 0 || has_meaning) {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
}

/// Sends a body as the upstream opens its windows.
async fn pump(mut body: Body, mut stream: SendStream<Bytes>, patience: Duration) -> Result<(), BodyError> {
    loop {
        let frame = poll_fn(|cx| {
            // An upstream that needs no more of the body resets the stream (RFC 9113 section 8.1).
            if stream.poll_reset(cx).is_ready() {
                return Poll::Ready(None);
            }
            Pin::new(&mut body).poll_frame(cx).map(Some)
        });
        let frame = match frame.await {
            None => return Ok(()),
            Some(None) => {
                // An error means that the stream is over, which the answer tells.
                let _ = stream.send_data(Bytes::new(), true);
                return Ok(());
            }
            Some(Some(Err(error))) => {
                stream.send_reset(Reason::CANCEL);
                return Err(error);
            }
            Some(Some(Ok(frame))) => frame,
        };
        let data = match frame.into_data() {
            Ok(data) => data,
            Err(frame) => {
                if let Ok(trailers) = frame.into_trailers() {
                    let _ = stream.send_trailers(trailers);
                    return Ok(());
                }
                continue;
            }
        };
        if send_all(data, body.is_end_stream(), &mut stream, patience).await.is_none() {
            return Ok(());
        }
    }
}

/// Sends a piece within the windows. `None` when the stream, or the body, is over by it.
async fn send_all(mut data: Bytes, is_last: bool, stream: &mut SendStream<Bytes>, patience: Duration) -> Option<()> {
    while !data.is_empty() {
        stream.reserve_capacity(data.len());
        let Ok(capacity) = tokio::time::timeout(patience, poll_fn(|cx| stream.poll_capacity(cx))).await else {
            stream.send_reset(Reason::CANCEL);
            return None;
        };
        let capacity = capacity?.ok()?;
        let piece = data.split_to(capacity.min(data.len()));
        let is_end = is_last && data.is_empty();
        stream.send_data(piece, is_end).ok()?;
        if is_end {
            return None;
        }
    }
    Some(())
}

/// A stream under way.
pub(super) struct Streaming(Arc<State>);

impl Drop for Streaming {
    fn drop(&mut self) {
        self.0.idle_since_ms.store(clock::now(), Ordering::Relaxed);
        self.0.streams.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Keeps a connection going until it ends, and asks for a sign of life while requests are under way.
async fn drive(mut connection: Connection<Stream, Bytes>, state: &State) {
    let Some(mut ping) = connection.ping_pong() else { return };
    let mut connection = std::pin::pin!(connection);
    loop {
        tokio::select! {
            ended = &mut connection => return note(ended),
            () = tokio::time::sleep(PING_INTERVAL) => {}
        }
        if state.streams.load(Ordering::Relaxed) == 0 {
            continue;
        }
        tokio::select! {
            ended = &mut connection => return note(ended),
            pong = tokio::time::timeout(PING_TIMEOUT, ping.ping(Ping::opaque())) => {
                if !matches!(pong, Ok(Ok(_))) {
                    tracing::debug!("upstream connection gives no sign of life");
                    return;
                }
            }
        }
    }
}

fn note(ended: Result<(), h2::Error>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "upstream connection ended");
    }
}

/// An answer's body.
pub(super) struct Received {
    stream: RecvStream,
    is_data_over: bool,
    is_over: bool,
    /// Bytes still to come, where the upstream has said how many there are; the codec holds it to that.
    left: Option<u64>,
    /// Longest pause.
    patience: Duration,
    timer: Option<Pin<Box<Sleep>>>,
    _streaming: Streaming,
    _busy: Busy,
}

/// The body of an answer, or nothing where it has none.
pub(super) fn body(
    headers: &HeaderMap,
    stream: RecvStream,
    streaming: Streaming,
    busy: Busy,
    patience: Duration,
) -> Body {
    if stream.is_end_stream() {
        return Body::Empty;
    }
    let length = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    Body::Stream(Box::pin(Received {
        stream,
        is_data_over: false,
        is_over: false,
        left: length,
        patience,
        timer: None,
        _streaming: streaming,
        _busy: busy,
    }))
}

impl Received {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        if !self.is_data_over {
            match ready!(self.stream.poll_data(cx)) {
                Some(Ok(data)) => {
                    // What was handed on is room again.
                    let _ = self.stream.flow_control().release_capacity(data.len());
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => self.is_data_over = true,
            }
        }
        let trailers = ready!(self.stream.poll_trailers(cx)).transpose();
        Poll::Ready(trailers.map(|trailers| trailers.map(Frame::trailers)))
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
        match this.poll_next(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                this.timer = None;
                let length = frame.data_ref().map_or(0, |data| data.len() as u64);
                this.left = this.left.map(|left| left.saturating_sub(length));
                this.is_over = frame.is_trailers();
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(None) => {
                this.is_over = true;
                Poll::Ready(None)
            }
            Poll::Ready(Some(Err(error))) => {
                this.is_over = true;
                // A reset without an error after a whole answer is no failure (RFC 9113 section 8.1), but here it is not whole.
                Poll::Ready(Some(Err(BodyError::Aborted(error.into()))))
            }
            Poll::Pending => {
                let patience = this.patience;
                let timer = this.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
                ready!(timer.as_mut().poll(cx));
                this.is_over = true;
                Poll::Ready(Some(Err(BodyError::TimedOut)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.is_over || self.stream.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
