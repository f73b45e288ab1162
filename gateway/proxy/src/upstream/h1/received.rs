//! An answer's body while it is read from an HTTP/1 connection.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use moongate_exchange::{Body, BodyError};
use pingora_core::protocols::Stream;
use tokio::io::ReadHalf;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Sleep;

use crate::upstream::codec::{AnswerBody, ChunkError, Chunked, Decoded};
use crate::upstream::endpoint::Busy;
use crate::upstream::h1::{H1, poll_read};
use crate::upstream::pool::Home;

/// An upstream's body while it is read.
pub(super) struct Received {
    framing: Framing,
    /// Received, not yet handed on.
    rest: Bytes,
    pub(super) source: Option<Source>,
    is_persistent: bool,
    home: Home,
    busy: Busy,
    /// Longest pause.
    patience: Duration,
    timer: Option<Pin<Box<Sleep>>>,
    is_over: bool,
}

/// Where the rest comes from.
pub(super) enum Source {
    /// The connection, which can be kept afterwards.
    Connection(H1),
    /// One half of it: the request's body is still being sent on the other.
    Half {
        read: ReadHalf<Stream>,
        /// Held for as long as the connection lives.
        _permit: Option<OwnedSemaphorePermit>,
    },
}

enum Framing {
    Length(u64),
    Chunked(Box<Chunked>),
    UntilClose,
}

/// What is the next thing to do.
enum Step {
    Frame(Frame<Bytes>),
    End,
    Read,
}

impl Received {
    pub(super) fn new(
        body: AnswerBody,
        rest: Bytes,
        is_persistent: bool,
        home: Home,
        busy: Busy,
        patience: Duration,
    ) -> Self {
        let framing = match body {
            AnswerBody::None => Framing::Length(0),
            AnswerBody::Length(bytes) => Framing::Length(bytes),
            AnswerBody::Chunked => Framing::Chunked(Box::default()),
            AnswerBody::UntilClose => Framing::UntilClose,
        };
        Self { framing, rest, source: None, is_persistent, home, busy, patience, timer: None, is_over: false }
    }

    /// All of the body, where it has come with the head.
    pub(super) fn at_hand(&mut self) -> Option<Body> {
        match self.framing {
            Framing::Length(0) => Some(Body::Empty),
            Framing::Length(bytes) if self.rest.len() as u64 >= bytes => {
                Some(Body::Full(self.rest.split_to(usize::try_from(bytes).ok()?)))
            }
            _ => None,
        }
    }

    /// The body is over: keeps the connection if it can carry another request. One on which more came than the answer is closed:
    /// what follows would be taken for the answer to somebody else's request.
    pub(super) fn finish(&mut self, source: Source) {
        self.is_over = true;
        if let Source::Connection(connection) = source
            && self.is_persistent
            && self.rest.is_empty()
        {
            self.home.keep(&self.busy.endpoint, connection);
        }
    }

    fn step(&mut self) -> Result<Step, ChunkError> {
        match &mut self.framing {
            Framing::Length(0) => Ok(Step::End),
            Framing::Length(_) | Framing::UntilClose if self.rest.is_empty() => Ok(Step::Read),
            Framing::Length(left) => {
                let bytes = self.rest.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= bytes as u64;
                Ok(Step::Frame(Frame::data(self.rest.split_to(bytes))))
            }
            Framing::Chunked(chunked) => Ok(match chunked.decode(&mut self.rest)? {
                Decoded::Data(data) => Step::Frame(Frame::data(data)),
                Decoded::Trailers(trailers) => Step::Frame(Frame::trailers(trailers)),
                Decoded::End => Step::End,
                Decoded::More => Step::Read,
            }),
            Framing::UntilClose => Ok(Step::Frame(Frame::data(std::mem::take(&mut self.rest)))),
        }
    }

    fn poll_step(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        loop {
            match self.step() {
                Ok(Step::Frame(frame)) => {
                    if matches!(self.framing, Framing::Length(0)) {
                        self.end();
                    }
                    return Poll::Ready(Some(Ok(frame)));
                }
                Ok(Step::End) => {
                    self.end();
                    return Poll::Ready(None);
                }
                Ok(Step::Read) => {}
                Err(error) => return self.fail(error),
            }
            let arrived = match &mut self.source {
                Some(Source::Connection(connection)) => {
                    ready!(poll_read(cx, &mut connection.stream, Bytes::copy_from_slice))
                }
                Some(Source::Half { read, .. }) => ready!(poll_read(cx, read, Bytes::copy_from_slice)),
                None => Ok(Bytes::new()),
            };
            match arrived {
                Ok(arrived) if !arrived.is_empty() => self.rest = arrived,
                Ok(_) if matches!(self.framing, Framing::UntilClose) => {
                    self.end();
                    return Poll::Ready(None);
                }
                Ok(_) => return self.fail(io::Error::from(io::ErrorKind::UnexpectedEof)),
                Err(error) => return self.fail(error),
            }
        }
    }

    fn end(&mut self) {
        self.is_over = true;
        if let Some(source) = self.source.take() {
            self.finish(source);
        }
    }

    fn fail(
        &mut self,
        error: impl std::error::Error + Send + Sync + 'static,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.is_over = true;
        self.source = None;
        Poll::Ready(Some(Err(BodyError::Aborted(error.into()))))
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
        if let Poll::Ready(frame) = this.poll_step(cx) {
            this.timer = None;
            return Poll::Ready(frame);
        }
        let patience = this.patience;
        let timer = this.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
        ready!(timer.as_mut().poll(cx));
        this.is_over = true;
        this.source = None;
        Poll::Ready(Some(Err(BodyError::TimedOut)))
    }

    fn is_end_stream(&self) -> bool {
        self.is_over
    }

    fn size_hint(&self) -> SizeHint {
        match self.framing {
            Framing::Length(left) => SizeHint::with_exact(left),
            Framing::Chunked(_) | Framing::UntilClose => SizeHint::default(),
        }
    }
}
