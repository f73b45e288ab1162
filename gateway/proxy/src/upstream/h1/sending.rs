//! A request on its way out: head, then body as fast as both sides go.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use http_body::Body as HttpBody;
use moongate_exchange::{Body, BodyError, Request};
use tokio::io::AsyncWrite;

use crate::upstream::codec::{self, LAST_CHUNK, RequestBody};

/// Bytes of a body that are copied behind what is written before them, so that both go out in one call to the system.
const COPY_BYTES_MAX: usize = 16 * 1024;

/// What goes out, and how far it has come.
pub(super) struct Sending {
    /// Heads of messages and chunks, small pieces of the body.
    wire: Vec<u8>,
    /// How much of `wire` is written.
    at: usize,
    /// A piece of the body, behind `wire`.
    data: Bytes,
    /// What ends it.
    tail: &'static [u8],
    framing: RequestBody,
    /// Bytes that a body of known length has left.
    left: u64,
    state: State,
    is_untouched: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// The body goes on.
    Body,
    /// All is in `wire`, `data` and `tail`.
    Last,
    /// All is written.
    Over,
}

pub(super) enum SendingError {
    /// The request's body failed.
    Body(BodyError),
    /// It is longer or shorter than its length said.
    Length,
    /// The upstream does not take it.
    Io(io::Error),
}

impl Sending {
    /// Writes the head of a request, and its body where that is at hand, into the buffer.
    pub(super) fn new(request: &Request) -> Self {
        let framing = match request.body.len() {
            Some(0) => RequestBody::None,
            Some(bytes) => RequestBody::Length(bytes),
            None => RequestBody::Chunked,
        };
        let mut wire = Vec::with_capacity(1024);
        codec::write_head(&mut wire, &request.method, request.target.as_str(), &request.headers, framing);
        let left = if let RequestBody::Length(bytes) = framing { bytes } else { 0 };
        let (data, tail) = (Bytes::new(), &b""[..]);
        let mut sending = Self { wire, at: 0, data, tail, framing, left, state: State::Body, is_untouched: true };
        match &request.body {
            Body::Empty | Body::Duplex(_) => sending.state = State::Last,
            Body::Full(bytes) => {
                sending.push(bytes.clone());
                sending.state = State::Last;
            }
            Body::Stream(_) => {}
        }
        sending
    }

    pub(super) fn is_over(&self) -> bool {
        self.state == State::Over
    }

    /// Whether nothing was written, and nothing of the body read.
    pub(super) fn is_untouched(&self) -> bool {
        self.is_untouched
    }

    /// Writes on until all is written. `body` is the request's.
    pub(super) fn poll<W>(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut W,
        body: &mut Body,
    ) -> Poll<Result<(), SendingError>>
    where
        W: AsyncWrite + Unpin,
    {
        loop {
            ready!(self.poll_write(cx, stream)).map_err(SendingError::Io)?;
            match self.state {
                State::Body => {}
                State::Last => {
                    ready!(Pin::new(&mut *stream).poll_flush(cx)).map_err(SendingError::Io)?;
                    self.state = State::Over;
                }
                State::Over => return Poll::Ready(Ok(())),
            }
            if self.state == State::Body {
                match Pin::new(&mut *body).poll_frame(cx) {
                    Poll::Ready(frame) => self.take(frame.transpose().map_err(SendingError::Body)?)?,
                    Poll::Pending => {
                        // What there is goes out while the client thinks.
                        ready!(Pin::new(&mut *stream).poll_flush(cx)).map_err(SendingError::Io)?;
                        return Poll::Pending;
                    }
                }
            }
        }
    }

    /// The rest of an upload whose answer is already there. Ends when all is sent, the upstream stops taking it, or nothing
    /// moves for as long as `patience`; the connection is closed with it.
    pub(super) async fn finish<W>(mut self, mut body: Body, mut stream: W, patience: Duration)
    where
        W: AsyncWrite + Unpin + Send + 'static,
    {
        let mut stalled = Box::pin(tokio::time::sleep(patience));
        std::future::poll_fn(|cx| {
            let before = (self.left, self.wire.len(), self.at, self.data.len());
            if self.poll(cx, &mut stream, &mut body).is_ready() {
                return Poll::Ready(());
            }
            if before != (self.left, self.wire.len(), self.at, self.data.len()) {
                stalled.as_mut().reset(tokio::time::Instant::now() + patience);
            }
            Future::poll(stalled.as_mut(), cx)
        })
        .await;
    }

    /// Takes a frame of the body, or its end.
    fn take(&mut self, frame: Option<http_body::Frame<Bytes>>) -> Result<(), SendingError> {
        self.is_untouched = false;
        let Some(frame) = frame else {
            return self.end(None);
        };
        match frame.into_data() {
            Ok(data) if data.is_empty() => Ok(()),
            Ok(data) => {
                match self.framing {
                    RequestBody::None => return Err(SendingError::Length),
                    RequestBody::Length(_) => {
                        self.left = self.left.checked_sub(data.len() as u64).ok_or(SendingError::Length)?;
                    }
                    RequestBody::Chunked => {
                        codec::write_chunk_head(&mut self.wire, data.len());
                        self.tail = b"\r\n";
                    }
                }
                self.push(data);
                Ok(())
            }
            Err(frame) => match frame.into_trailers() {
                Ok(trailers) => self.end(Some(&trailers)),
                Err(_) => Ok(()),
            },
        }
    }

    fn end(&mut self, trailers: Option<&http::HeaderMap>) -> Result<(), SendingError> {
        self.state = State::Last;
        match (self.framing, trailers) {
            (RequestBody::Chunked, Some(trailers)) => codec::write_trailers(&mut self.wire, trailers),
            (RequestBody::Chunked, None) => self.wire.extend_from_slice(LAST_CHUNK),
            _ if self.left > 0 => return Err(SendingError::Length),
            _ => {}
        }
        Ok(())
    }

    /// Queues a piece of the body behind what is in `wire`.
    fn push(&mut self, data: Bytes) {
        if data.len() <= COPY_BYTES_MAX {
            self.wire.extend_from_slice(&data);
            self.wire.extend_from_slice(std::mem::take(&mut self.tail));
        } else {
            self.data = data;
        }
    }

    fn poll_write<W: AsyncWrite + Unpin>(&mut self, cx: &mut Context<'_>, stream: &mut W) -> Poll<io::Result<()>> {
        while self.at < self.wire.len() {
            self.at += ready!(write_some(cx, stream, &self.wire[self.at..]))?;
            self.is_untouched = false;
        }
        self.wire.clear();
        self.at = 0;
        while !self.data.is_empty() {
            let written = ready!(write_some(cx, stream, &self.data))?;
            self.data.advance(written);
        }
        while !self.tail.is_empty() {
            let written = ready!(write_some(cx, stream, self.tail))?;
            self.tail = &self.tail[written..];
        }
        Poll::Ready(Ok(()))
    }
}

fn write_some<W: AsyncWrite + Unpin>(cx: &mut Context<'_>, stream: &mut W, bytes: &[u8]) -> Poll<io::Result<usize>> {
    match ready!(Pin::new(stream).poll_write(cx, bytes))? {
        0 => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
        written => Poll::Ready(Ok(written)),
    }
}
