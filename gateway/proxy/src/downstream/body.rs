//! Bodies between hyper and the pipeline.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::Version;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use moongate_exchange::{Body, BodyError};
use tokio::time::Sleep;

use crate::downstream::service::Run;

/// How much of a body at hand an HTTP/2 stream is given at a time, in bytes.
const SLICE_BYTES: usize = 32 * 1024;

/// A client's body as it arrives, with a deadline for every pause.
pub(super) struct ClientBody {
    incoming: Incoming,
    stall: Duration,
    timer: Option<Pin<Box<Sleep>>>,
}

impl ClientBody {
    pub(super) fn new(incoming: Incoming, stall: Duration) -> Self {
        Self { incoming, stall, timer: None }
    }
}

impl HttpBody for ClientBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        if let Poll::Ready(frame) = Pin::new(&mut this.incoming).poll_frame(cx) {
            this.timer = None;
            return Poll::Ready(frame.map(|frame| frame.map_err(|error| BodyError::Aborted(error.into()))));
        }
        let timer = this.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(this.stall)));
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

/// The answer on its way to the client. It holds the exchange, which ends when the answer was sent or dropped.
///
/// On an HTTP/2 connection it tells the connection while it waits for the client: a stream without flow-control window is written
/// nothing, so no deadline of the socket would ever pass.
pub(crate) struct Answer {
    body: Body,
    run: Run,
    failure: Option<BodyError>,
    is_waiting: bool,
}

impl Answer {
    pub(super) fn new(body: Body, run: Run) -> Self {
        let mut answer = Self { body, run, failure: None, is_waiting: false };
        if !answer.body.is_end_stream() {
            answer.waits();
        }
        answer
    }
}

impl Answer {
    /// Something was handed on; on HTTP/2 the client may take its time with it, the last piece too.
    fn waits(&mut self) {
        if self.is_http2() {
            self.is_waiting = true;
            self.run.state.answer_waits(self.run.number);
        }
    }

    fn is_http2(&self) -> bool {
        self.run.exchange.version == Version::HTTP_2
    }

    /// The next piece of a body that is at hand. The HTTP/2 codec asks when the client has opened a window; given all at once it
    /// would keep the rest itself, and we would take the answer for sent.
    fn slice(&mut self) -> Option<Bytes> {
        let is_http2 = self.is_http2();
        match &mut self.body {
            Body::Full(bytes) if is_http2 && bytes.len() > SLICE_BYTES => Some(bytes.split_to(SLICE_BYTES)),
            _ => None,
        }
    }

    fn goes_on(&mut self) {
        if std::mem::take(&mut self.is_waiting) {
            self.run.state.answer_goes_on(self.run.number);
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
        let outcome = &mut this.run.exchange.outcome;
        match &frame {
            Some(Ok(frame)) => outcome.body_bytes += frame.data_ref().map_or(0, |data| data.len() as u64),
            Some(Err(error)) => {
                outcome.is_aborted = true;
                outcome.detail = Some(format!("the answer broke off: {error}").into());
            }
            None => {}
        }
        if let Some(Err(failure)) = frame {
            // hyper drops what it has not written yet when a body fails. Pausing once lets it write: the client sees how far the
            // answer came, and that it broke off.
            this.failure = Some(failure);
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if frame.is_some() {
            this.waits();
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

impl Drop for Answer {
    fn drop(&mut self) {
        self.goes_on();
        if !self.body.is_end_stream() && !self.run.exchange.outcome.is_aborted {
            self.run.exchange.outcome.is_aborted = true;
            self.run.exchange.outcome.detail = Some("the client left before the end of the answer".into());
        }
    }
}
