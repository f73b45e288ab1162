//! One HTTP/1 connection to an upstream, driven by whoever waits for its answer.
//!
//! There is no task and no channel behind a connection: the request's own task writes, waits for the head, and the answer's body
//! reads on. The exception is a request whose own body is still being sent when the answer's head arrives: then both directions must
//! go on independently of the client reading the answer, and the rest of the upload gets a task. An answer that has arrived whole
//! with its head (most answers of APIs) is handed on as bytes at hand, and its connection is free at once.

mod received;
mod sending;
mod switched;

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::Bytes;
use http::header::UPGRADE;
use http::{Method, StatusCode};
use moongate_exchange::{Body, Request, Response};
use moongate_runtime::UpstreamError;
use pingora_core::protocols::Stream;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::sync::OwnedSemaphorePermit;

use crate::upstream::chain;
use crate::upstream::codec::{Head, HeadError, HeadReader};
use crate::upstream::endpoint::Busy;
use crate::upstream::h1::received::{Received, Source};
use crate::upstream::h1::sending::{Sending, SendingError};
use crate::upstream::h1::switched::Switched;
use crate::upstream::pool::Home;

/// Most interim answers (1xx) before the final one. 100 and 103 come once; a flood of them is an attack.
const INTERIM_MAX: u32 = 16;

/// Most bytes read at a time.
const SCRATCH_BYTES: usize = 64 * 1024;

thread_local! {
    /// Where is read to. One per worker instead of one per connection: nothing stays in it between two reads, and what was read is
    /// copied into as much memory as it needs.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; SCRATCH_BYTES].into_boxed_slice());
}

/// Reads what is there and shows it to `take`; nothing at all when the connection has ended.
fn poll_read<S, T>(cx: &mut Context<'_>, stream: &mut S, take: impl FnOnce(&[u8]) -> T) -> Poll<io::Result<T>>
where
    S: AsyncRead + Unpin,
{
    SCRATCH.with_borrow_mut(|scratch| {
        let mut buffer = ReadBuf::new(scratch);
        ready!(Pin::new(stream).poll_read(cx, &mut buffer))?;
        Poll::Ready(Ok(take(buffer.filled())))
    })
}

/// A connection to an upstream.
pub(super) struct H1 {
    stream: Stream,
    /// Held for as long as the connection lives.
    permit: Option<OwnedSemaphorePermit>,
    /// Whether it carried a request before: then it may have been closed while it waited.
    pub(super) is_reused: bool,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// The connection failed or ended before anything of an answer came.
    #[error("{source}")]
    Silent {
        /// Nothing of the request was written either.
        is_unsent: bool,
        /// How it ended.
        source: io::Error,
    },
    /// It ended in the middle of the head.
    #[error("the connection ended in the middle of the answer's head")]
    HeadCut,
    /// The head is not one we take.
    #[error("the answer is refused: {0}")]
    Head(#[from] HeadError),
    /// An interim answer that nobody asked for, or too many of them.
    #[error("the upstream answered {0} unasked")]
    Interim(http::StatusCode),
    /// The request's own body failed.
    #[error(transparent)]
    RequestBody(moongate_exchange::BodyError),
    /// The request's body was not as long as its length said.
    #[error("the request's body is not as long as it was said to be")]
    RequestLength,
}

impl From<Error> for UpstreamError {
    fn from(error: Error) -> Self {
        match error {
            Error::RequestBody(error) => Self::RequestBody(error),
            other => Self::Exchange { reason: chain(&other).into() },
        }
    }
}

impl H1 {
    /// Speaks HTTP/1 on a new stream.
    pub(super) fn new(stream: Stream, permit: Option<OwnedSemaphorePermit>) -> Self {
        Self { stream, permit, is_reused: false }
    }

    /// Whether the upstream has neither closed the connection nor sent anything unasked, as far as one can see without waiting.
    pub(super) fn is_open(&mut self) -> bool {
        let mut byte = [0];
        let mut buffer = ReadBuf::new(&mut byte);
        // Unconstrained: a task that has used up its turn would see every stream as having nothing to read.
        let look = tokio::task::unconstrained(poll_fn(|cx| Pin::new(&mut self.stream).poll_read(cx, &mut buffer)));
        std::pin::pin!(look).poll(&mut Context::from_waker(Waker::noop())).is_pending()
    }

    /// Sends a request and waits for the answer's head; the answer's body reads on, and returns the connection to its `home`.
    /// `patience` is the longest pause in a body.
    ///
    /// The request stays the caller's, who may send it again: all but a body that streams, which is used up once something of it
    /// was sent.
    pub(super) async fn send(
        mut self,
        request: &mut Request,
        home: Home,
        busy: Busy,
        patience: Duration,
    ) -> Result<Response, Error> {
        let mut sending = Sending::new(request);
        let mut reading = Reading::new(request.method == Method::HEAD, request.headers.contains(UPGRADE));
        let body = &mut request.body;
        let head = poll_fn(|cx| self.poll_exchange(cx, &mut sending, body, &mut reading)).await?;
        if head.status == StatusCode::SWITCHING_PROTOCOLS {
            // What the upstream has said behind it belongs to the other protocol.
            let switched = Switched::new(self.stream, reading.rest, self.permit, busy);
            let body = Body::Duplex(Box::new(switched));
            return Ok(Response { status: head.status, headers: head.fields.into(), body });
        }
        let answer = Received::new(head.body, reading.rest, head.is_persistent, home, busy, patience);
        let body = if sending.is_over() {
            answer.reading(Source::Connection(self))
        } else {
            let (read, write) = tokio::io::split(self.stream);
            tokio::spawn(sending.finish(std::mem::take(&mut request.body), write, patience));
            answer.reading(Source::Half { read, _permit: self.permit })
        };
        Ok(Response { status: head.status, headers: head.fields.into(), body })
    }

    /// Writes what can be written and reads what has come, until the final answer's head is there.
    fn poll_exchange(
        &mut self,
        cx: &mut Context<'_>,
        sending: &mut Sending,
        body: &mut Body,
        reading: &mut Reading,
    ) -> Poll<Result<Head, Error>> {
        if !sending.is_over()
            && let Poll::Ready(Err(error)) = sending.poll(cx, &mut self.stream, body)
        {
            match error {
                SendingError::Body(error) => return Poll::Ready(Err(Error::RequestBody(error))),
                SendingError::Length => return Poll::Ready(Err(Error::RequestLength)),
                // An upstream that has heard enough answers and closes: its answer is still to be read.
                SendingError::Io(error) => reading.write_error = Some(error),
            }
        }
        match ready!(reading.poll(cx, &mut self.stream)) {
            Ok(head) => Poll::Ready(Ok(head)),
            Err(ReadingError::Io(error)) => {
                let source = reading.write_error.take().unwrap_or(error);
                Poll::Ready(Err(Error::Silent { is_unsent: sending.is_untouched(), source }))
            }
            Err(ReadingError::Cut) => Poll::Ready(Err(Error::HeadCut)),
            Err(ReadingError::Head(error)) => Poll::Ready(Err(Error::Head(error))),
            Err(ReadingError::Interim(status)) => Poll::Ready(Err(Error::Interim(status))),
        }
    }
}

/// An answer's head on its way.
struct Reading {
    answers_head: bool,
    /// Whether 101 was asked for.
    may_switch: bool,
    head: HeadReader,
    /// What has come of a head that is not complete.
    partial: Vec<u8>,
    /// What came behind the head.
    rest: Bytes,
    interim: u32,
    write_error: Option<io::Error>,
}

enum ReadingError {
    Io(io::Error),
    Cut,
    Head(HeadError),
    Interim(http::StatusCode),
}

impl Reading {
    fn new(answers_head: bool, may_switch: bool) -> Self {
        let (head, partial, rest) = (HeadReader::default(), Vec::new(), Bytes::new());
        Self { answers_head, may_switch, head, partial, rest, interim: 0, write_error: None }
    }

    fn poll(&mut self, cx: &mut Context<'_>, stream: &mut Stream) -> Poll<Result<Head, ReadingError>> {
        loop {
            match ready!(poll_read(cx, stream, |arrived| self.take(arrived))) {
                Ok(Ok(None)) => {}
                Ok(Ok(Some(head))) => return Poll::Ready(Ok(head)),
                Ok(Err(error)) => return Poll::Ready(Err(error)),
                Err(error) => return Poll::Ready(Err(ReadingError::Io(error))),
            }
        }
    }

    /// What it means that the connection ended here.
    fn cut(&self) -> ReadingError {
        if self.partial.is_empty() && self.interim == 0 {
            let closed = "the upstream closed the connection without an answer";
            ReadingError::Io(io::Error::new(io::ErrorKind::UnexpectedEof, closed))
        } else {
            ReadingError::Cut
        }
    }

    /// Takes what has arrived, and gives the final answer's head once it is complete.
    fn take(&mut self, arrived: &[u8]) -> Result<Option<Head>, ReadingError> {
        if arrived.is_empty() {
            return Err(self.cut());
        }
        // In nearly every case a head comes in one piece and is read where it lies.
        if self.partial.is_empty() {
            return self.read(arrived);
        }
        let mut partial = std::mem::take(&mut self.partial);
        partial.extend_from_slice(arrived);
        self.read(&partial)
    }

    fn read(&mut self, mut received: &[u8]) -> Result<Option<Head>, ReadingError> {
        loop {
            let Some((head, length)) = self.head.read(received, self.answers_head).map_err(ReadingError::Head)? else {
                self.partial.extend_from_slice(received);
                return Ok(None);
            };
            received = &received[length..];
            let switches = self.may_switch && head.status == StatusCode::SWITCHING_PROTOCOLS;
            if switches || !head.status.is_informational() {
                self.rest = Bytes::copy_from_slice(received);
                return Ok(Some(head));
            }
            // 100 and 103 tell something about an answer that is still to come (RFC 9110 section 15.2); nobody asked for 101.
            self.interim += 1;
            if head.status == StatusCode::SWITCHING_PROTOCOLS || self.interim > INTERIM_MAX {
                return Err(ReadingError::Interim(head.status));
            }
        }
    }
}

impl Received {
    /// The answer's body: bytes at hand where all of it has come, else a stream.
    fn reading(mut self, source: Source) -> Body {
        if let Some(body) = self.at_hand() {
            self.finish(source);
            return body;
        }
        self.source = Some(source);
        Body::Stream(Box::pin(self))
    }
}
