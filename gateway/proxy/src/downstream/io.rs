//! A client's stream with deadlines: idle, head, and writing.
//!
//! hyper has one timer for a head, which also runs while a connection idles, and none for a client that takes nothing. So the
//! deadlines are kept here, where every read and write passes. A timer is armed only when a read or write has to wait, and one
//! that is armed is left to run on across requests: when it fires, it is checked against what has happened since. A busy
//! keep-alive connection pays a comparison per request.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use hyper::rt::{Read, ReadBufCursor, Write};
use pingora_core::protocols::Stream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use crate::downstream::linger::Linger;
use crate::downstream::state::ConnectionState;
use crate::downstream::{Limits, Shared};

/// What a client gets whose head is not complete in time (RFC 9110 section 15.5.9).
const HEAD_TIMED_OUT: &[u8] = b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// How soon an armed timer is looked at again when what it waits for has moved.
const TIMER_STEP: Duration = Duration::from_millis(50);

/// How many bytes one read takes at most.
const READ_BYTES: usize = 16 * 1024;

/// A client's stream that ends itself when a deadline passes.
pub(super) struct ClientStream {
    stream: Stream,
    /// Bytes that were read to find out the protocol.
    prefix: Bytes,
    state: Arc<ConnectionState>,
    shared: Arc<Shared>,
    limits: Limits,
    /// Whether bytes of an answer wait to be written.
    is_writing: bool,
    /// When the head that is being read began.
    head_began: Option<Instant>,
    /// When the connection was last seen with a request under way, or began.
    idle_since: Instant,
    /// How many requests had begun when that was seen.
    begun_seen: u32,
    read_timer: Option<Pin<Box<Sleep>>>,
    write_timer: Option<Pin<Box<Sleep>>>,
    linger: Option<Linger>,
    /// Whether heads are HTTP/1 text: then a late one is answered 408.
    is_text: bool,
}

impl ClientStream {
    pub(super) fn new(
        stream: Stream,
        prefix: Bytes,
        is_text: bool,
        state: Arc<ConnectionState>,
        shared: Arc<Shared>,
    ) -> Self {
        let now = Instant::now();
        if is_text {
            state.keep_head(&prefix);
        }
        Self {
            stream,
            head_began: (!prefix.is_empty()).then_some(now),
            prefix,
            state,
            limits: shared.limits,
            shared,
            is_writing: false,
            idle_since: now,
            begun_seen: 0,
            read_timer: None,
            write_timer: None,
            linger: None,
            is_text,
        }
    }

    /// What passed, if a deadline for reading did. Called when a read has to wait.
    fn poll_read_deadline(&mut self, cx: &mut Context<'_>) -> Poll<Late> {
        let is_idle = self.is_idle();
        let begun = self.state.begun();
        if !is_idle || begun != self.begun_seen {
            // A request has used up the head that was read; its body has a deadline of its own.
            self.begun_seen = begun;
            self.head_began = None;
            self.idle_since = Instant::now();
        }
        if !is_idle && self.is_text && self.read_timer.is_none() {
            return Poll::Pending;
        }
        loop {
            let (deadline, late) = self.deadline();
            let timer = self.read_timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
            if timer.deadline() > deadline {
                timer.as_mut().reset(deadline);
            }
            ready!(timer.as_mut().poll(cx));
            if self.is_text && !self.is_idle() {
                self.read_timer = None;
                return Poll::Pending;
            }
            let (deadline, late_now) = self.deadline();
            if late == late_now && Instant::now() >= deadline {
                return Poll::Ready(late);
            }
            if let Some(timer) = &mut self.read_timer {
                timer.as_mut().reset(deadline.max(Instant::now() + TIMER_STEP));
            }
        }
    }

    /// What the connection is waiting for, and until when.
    fn deadline(&self) -> (Instant, Late) {
        if let Some(began) = self.head_began {
            return (began + self.limits.head, Late::Head);
        }
        if self.is_idle() {
            return (self.idle_since + self.limits.idle, Late::Idle);
        }
        // HTTP/2 with requests under way: some answer may wait for a client that opens no window.
        let since = self.state.waits_since().map_or_else(Instant::now, Instant::from_std);
        (since + self.limits.stall, Late::Stalled)
    }

    /// Whether nothing is under way: no request, and no answer that is still being written.
    fn is_idle(&self) -> bool {
        self.state.is_idle() && !self.is_writing
    }

    /// Notes whether bytes of an answer wait to be written. They count as a request under way: the codec is done with an answer
    /// when it has taken it, not when the client has it.
    fn set_writing(&mut self, is_writing: bool) {
        if self.is_writing == is_writing {
            return;
        }
        self.is_writing = is_writing;
        if is_writing {
            self.shared.in_flight.fetch_add(1, Ordering::Relaxed);
        } else {
            self.shared.in_flight.fetch_sub(1, Ordering::Relaxed);
            self.idle_since = Instant::now();
        }
    }

    /// Notes what was read for the deadlines and for the check of the head.
    fn note_read(&mut self, bytes: &[u8]) {
        if bytes.is_empty() || !self.state.is_idle() {
            return;
        }
        if self.is_text {
            let begun = self.state.begun();
            if begun != self.begun_seen {
                self.begun_seen = begun;
                self.head_began = None;
            }
            self.head_began.get_or_insert_with(Instant::now);
            self.state.keep_head(bytes);
        } else {
            // HTTP/2: frames of a connection without streams keep it no longer than an idle one may last.
            self.head_began = None;
        }
    }

    fn poll_write_deadline(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let stall: Duration = self.limits.stall;
        let timer = self.write_timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(stall)));
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(io::Error::new(io::ErrorKind::TimedOut, "the client took nothing of the answer for too long"))
    }

    /// Passes a write's outcome on, or ends it when it has waited too long.
    fn bounded<T>(&mut self, cx: &mut Context<'_>, outcome: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            self.write_timer = None;
            return outcome;
        }
        self.set_writing(true);
        self.poll_write_deadline(cx).map(Err)
    }
}

/// Which deadline passed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Late {
    Head,
    Idle,
    Stalled,
}

impl Drop for ClientStream {
    fn drop(&mut self) {
        self.set_writing(false);
    }
}

impl Read for ClientStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if !this.prefix.is_empty() {
            let length = this.prefix.len().min(buffer.remaining());
            buffer.put_slice(&this.prefix[..length]);
            this.prefix.advance(length);
            return Poll::Ready(Ok(()));
        }
        let mut space = [std::mem::MaybeUninit::<u8>::uninit(); READ_BYTES];
        let length = space.len().min(buffer.remaining());
        let mut read = ReadBuf::uninit(&mut space[..length]);
        match Pin::new(&mut this.stream).poll_read(cx, &mut read) {
            Poll::Ready(outcome) => {
                outcome?;
                this.note_read(read.filled());
                buffer.put_slice(read.filled());
                Poll::Ready(Ok(()))
            }
            Poll::Pending => match ready!(this.poll_read_deadline(cx)) {
                Late::Idle => Poll::Ready(Ok(())),
                Late::Stalled => {
                    let reason = "the client took nothing of an answer for too long";
                    Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, reason)))
                }
                Late::Head => {
                    if this.is_text {
                        // Nothing else is being written: no request is under way. Whether it arrives is the client's matter.
                        let _ = Pin::new(&mut this.stream).poll_write(cx, HEAD_TIMED_OUT);
                        let _ = Pin::new(&mut this.stream).poll_flush(cx);
                    }
                    Poll::Ready(Ok(()))
                }
            },
        }
    }
}

impl Write for ClientStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.bounded(cx, outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.bounded(cx, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_flush(cx);
        if outcome.is_ready() && self.is_writing {
            self.set_writing(false);
            // The idle deadline begins now, and only a read arms its timer.
            cx.waker().wake_by_ref();
        }
        self.bounded(cx, outcome)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        this.linger.get_or_insert_with(Linger::new).poll(&mut this.stream, cx)
    }
}
