//! Bodies between hyper and the pipeline.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use moongate_exchange::{Body, BodyError, Outcome};
use tokio::time::{Instant, Sleep};

use crate::downstream::service::Run;
use crate::downstream::state::ConnectionState;
use crate::downstream::streams::StreamState;
use crate::fields;

/// How much of a body at hand an HTTP/2 stream is given at a time, in bytes.
const SLICE_BYTES: usize = 32 * 1024;

/// Fewest bytes that a client must send of a body in the deadline for pauses: less is a client that keeps a request open on purpose.
const RECEIVED_BYTES_MIN: u64 = 1024;

/// What a request knows about its upload.
#[derive(Debug, Default)]
pub(super) struct Upload {
    /// The answer has begun: what is still uploaded goes on beside it, at any pace. A call in both directions may be silent for
    /// long; how long is for the answer's side to decide.
    is_answered: AtomicBool,
}

impl Upload {
    /// The answer begins.
    pub(super) fn answer_begins(&self) {
        self.is_answered.store(true, Ordering::Relaxed);
    }
}

/// A client's body as it arrives. While nothing is answered, it must make progress: so many bytes in every stretch of time that
/// somebody waits for it.
pub(super) struct ClientBody {
    incoming: Incoming,
    state: Arc<ConnectionState>,
    upload: Arc<Upload>,
    stall: Duration,
    timer: Option<Pin<Box<Sleep>>>,
    /// Bytes since the timer was armed.
    received: u64,
    /// Since when nobody waits, while a timer is armed.
    paused_at: Option<Instant>,
    has_ended: bool,
}

impl ClientBody {
    pub(super) fn new(incoming: Incoming, state: Arc<ConnectionState>, upload: Arc<Upload>, stall: Duration) -> Self {
        Self { incoming, state, upload, stall, timer: None, received: 0, paused_at: None, has_ended: false }
    }

    /// Takes note of what came, and checks trailers.
    fn note(&mut self, frame: Option<Frame<Bytes>>) -> Option<Result<Frame<Bytes>, BodyError>> {
        let Some(frame) = frame else {
            self.has_ended = true;
            return None;
        };
        match frame.into_data() {
            Ok(data) => {
                self.received += data.len() as u64;
                self.state.add_payload(data.len() as u64);
                if self.received >= RECEIVED_BYTES_MIN {
                    self.received = 0;
                    self.timer = None;
                } else if self.timer.is_some() {
                    self.paused_at.get_or_insert_with(Instant::now);
                }
                Some(Ok(Frame::data(data)))
            }
            Err(other) => {
                self.has_ended = true;
                let mut trailers = other.into_trailers().unwrap_or_default();
                match fields::check_request_trailers(&mut trailers) {
                    Ok(()) => Some(Ok(Frame::trailers(trailers))),
                    Err(error) => {
                        // Whoever tries that means the next request, too.
                        self.state.must_close();
                        Some(Err(BodyError::Aborted(error.into())))
                    }
                }
            }
        }
    }

    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<BodyError> {
        if self.upload.is_answered.load(Ordering::Relaxed) {
            self.timer = None;
            return Poll::Pending;
        }
        let stall = self.stall;
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(stall)));
        if let Some(paused_at) = self.paused_at.take() {
            // Time in which nobody asked is not the client's.
            let deadline = timer.deadline() + paused_at.elapsed();
            timer.as_mut().reset(deadline);
        }
        ready!(timer.as_mut().poll(cx));
        if self.upload.is_answered.load(Ordering::Relaxed) {
            self.timer = None;
            return Poll::Pending;
        }
        Poll::Ready(BodyError::TimedOut)
    }
}

impl HttpBody for ClientBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        match Pin::new(&mut this.incoming).poll_frame(cx) {
            Poll::Ready(None) => Poll::Ready(this.note(None)),
            Poll::Ready(Some(Ok(frame))) => Poll::Ready(this.note(Some(frame))),
            Poll::Ready(Some(Err(error))) => {
                this.state.must_close();
                Poll::Ready(Some(Err(BodyError::Aborted(error.into()))))
            }
            Poll::Pending => this.poll_deadline(cx).map(|error| Some(Err(error))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

impl Drop for ClientBody {
    fn drop(&mut self) {
        if !self.has_ended && !self.incoming.is_end_stream() {
            // The rest will not be read: on HTTP/1 there is no next request behind it.
            self.state.must_close();
        }
    }
}

/// The answer on its way to the client. It holds the exchange, which ends when the answer was sent or dropped.
///
/// On an HTTP/2 connection it tells its stream while it waits for the client.
pub(crate) struct Answer {
    body: Body,
    /// `None` when the exchange goes on elsewhere, behind a 101.
    run: Option<Run>,
    failure: Option<BodyError>,
}

impl Answer {
    pub(super) fn new(body: Body, run: Run) -> Self {
        let answer = Self { body, run: Some(run), failure: None };
        if !answer.body.is_end_stream() {
            answer.waits();
        }
        answer
    }

    /// An answer without a body, of an exchange that does not end with it.
    pub(super) fn interim() -> Self {
        Self { body: Body::Empty, run: None, failure: None }
    }

    fn stream(&self) -> Option<&StreamState> {
        self.run.as_ref()?.stream.as_deref()
    }

    fn outcome(&mut self) -> Option<&mut Outcome> {
        self.run.as_mut().map(|run| &mut run.exchange.outcome)
    }

    /// Something was handed on; on HTTP/2 the client may take its time with it, the last piece too.
    fn waits(&self) {
        if let Some(stream) = self.stream() {
            stream.answer_waits();
        }
    }

    fn goes_on(&self) {
        if let Some(stream) = self.stream() {
            stream.answer_goes_on();
        }
    }

    /// The next piece of a body that is at hand. The HTTP/2 codec asks when the client has opened a window; given all at once it
    /// would keep the rest itself, and we would take the answer for sent.
    fn slice(&mut self) -> Option<Bytes> {
        let is_http2 = self.stream().is_some();
        match &mut self.body {
            Body::Full(bytes) if is_http2 && bytes.len() > SLICE_BYTES => Some(bytes.split_to(SLICE_BYTES)),
            _ => None,
        }
    }

    /// The next frame, with what the log needs of it.
    fn note(&mut self, frame: Frame<Bytes>) -> Frame<Bytes> {
        match frame.into_data() {
            Ok(data) => {
                if let Some(outcome) = self.outcome() {
                    outcome.body_bytes += data.len() as u64;
                }
                Frame::data(data)
            }
            Err(other) => {
                let mut trailers = other.into_trailers().unwrap_or_default();
                fields::strip_trailers(&mut trailers);
                Frame::trailers(trailers)
            }
        }
    }
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        this.goes_on();
        if let Some(failure) = this.failure.take() {
            return Poll::Ready(Some(Err(failure)));
        }
        let frame = match this.slice() {
            Some(slice) => Some(Ok(Frame::data(slice))),
            None => ready!(Pin::new(&mut this.body).poll_frame(cx)),
        };
        match frame {
            Some(Ok(frame)) => {
                let frame = this.note(frame);
                this.waits();
                Poll::Ready(Some(Ok(frame)))
            }
            Some(Err(failure)) => {
                if let Some(outcome) = this.outcome() {
                    outcome.is_aborted = true;
                    outcome.detail = Some(format!("the answer broke off: {failure}").into());
                }
                // hyper drops what it has not written yet when a body fails. Pausing once lets it write: the client sees how far
                // the answer came, and that it broke off.
                this.failure = Some(failure);
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        let is_late = self.stream().is_some_and(StreamState::is_late);
        let is_cut = is_late || !self.body.is_end_stream();
        let Some(outcome) = self.outcome() else { return };
        if is_cut && !outcome.is_aborted {
            outcome.is_aborted = true;
            let detail = if is_late {
                "the client took too little of the answer"
            } else {
                "the client left before the end of the answer"
            };
            outcome.detail = Some(detail.into());
        }
    }
}
