//! A client's stream: one request at a time, and deadlines for heads, idling and writing.
//!
//! hyper has one timer for a head, which also runs while a connection idles, and none for a client that takes nothing. So the
//! deadlines are kept here, where every read and write passes. A timer is armed only when a read or write has to wait, and one
//! that is armed is left to run on across requests: when it fires, it is checked against what has happened since. A busy
//! keep-alive connection pays a comparison per request.
//!
//! A client that closes its sending side behind a whole request (RFC 9112 section 9.6) is given its answer. Whether it has gone
//! altogether shows when something is written to it; while nothing is, it is believed for [`Limits::half_close`].

use std::future::Future;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use pingora_core::protocols::Stream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use crate::downstream::framing::Framing;
use crate::downstream::linger::Linger;
use crate::downstream::rest::REST;
use crate::downstream::state::ConnectionState;
use crate::downstream::{Limits, Shared};

/// What a client gets whose head is not complete in time (RFC 9110 section 15.5.9).
const HEAD_TIMED_OUT: &[u8] = b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// How soon an armed timer is looked at again when what it waits for has moved.
const TIMER_STEP: Duration = Duration::from_millis(50);

/// Most bytes that are read behind a request that is not answered yet: pipelined requests wait with the client.
const AHEAD_BYTES_MAX: usize = 16 * 1024;

/// How much of that is read at once, in bytes.
const AHEAD_READ_BYTES: usize = 4 * 1024;

/// How much of a request is read at once by a connection that rested, in bytes: what tells that it comes.
const AWAKE_READ_BYTES: usize = 64;

/// Fewest bytes of an answer that a client must take in [`Limits::stall`]. A rate of its own would cut off slow lines; this
/// cuts off whoever takes a byte now and then to keep an answer in our memory.
const WRITTEN_BYTES_MIN: u64 = 1024;

/// How many bytes of frames an HTTP/2 client may send for every byte of fields and bodies in them. A frame's head is 9 bytes, so only
/// floods of frames without content (PING, SETTINGS, WINDOW_UPDATE, PRIORITY, empty DATA) come near this.
const FRAMES_PER_PAYLOAD: u64 = 8;

/// For so many bytes of answers it may send one of frames: WINDOW_UPDATEs take 26 bytes for what is hardly less than 1 KiB, while the
/// answers to PING and SETTINGS are as long as what they answer.
const WRITTEN_PER_FRAMES: u64 = 16;

/// What every HTTP/2 connection may send beyond that, in bytes: 100,000 frames without content.
const FRAME_BYTES_FREE: u64 = 1024 * 1024;

/// What it may send beyond that for every second it lives, in bytes: 60 PINGs.
const FRAME_BYTES_PER_SECOND: u64 = 1024;

/// How often an HTTP/2 connection's account is looked at, in bytes read.
const ACCOUNT_STEP_BYTES: u64 = 256 * 1024;

/// A client's stream that ends itself when a deadline passes.
pub(super) struct ClientStream {
    stream: Stream,
    /// Bytes that were read but not handed to the codec: those that told the protocol, and those of later requests.
    held: BytesMut,
    /// Where requests begin and end; `None` on HTTP/2.
    framing: Option<Framing>,
    state: Arc<ConnectionState>,
    shared: Arc<Shared>,
    limits: Limits,
    began: Instant,
    /// Whether bytes of an answer wait to be written.
    is_writing: bool,
    /// Whether the client has closed its sending side behind a whole request.
    has_ended: bool,
    /// Whether it has idled long enough to do without a codec: see `rest.rs`.
    is_resting: bool,
    /// When the head that is being read began.
    head_began: Option<Instant>,
    /// When the connection was last seen with a request under way, or began.
    idle_since: Instant,
    /// How many requests had begun when that was seen.
    begun_seen: u32,
    /// Bytes read, on HTTP/2.
    read: u64,
    /// At how many bytes the account is looked at next.
    account_at: u64,
    /// Bytes written.
    written: u64,
    /// How many were written when the timer for writing, or for the half-closed side, was armed.
    written_seen: u64,
    read_timer: Option<Pin<Box<Sleep>>>,
    write_timer: Option<Pin<Box<Sleep>>>,
    half_close_timer: Option<Pin<Box<Sleep>>>,
    linger: Option<Linger>,
}

impl ClientStream {
    /// A stream of which `held` was read already. `head_began` is when its first byte came. `is_text` is HTTP/1.
    pub(super) fn new(
        stream: Stream,
        held: BytesMut,
        head_began: Option<Instant>,
        is_text: bool,
        state: Arc<ConnectionState>,
        shared: Arc<Shared>,
    ) -> Self {
        let now = Instant::now();
        Self {
            stream,
            held,
            framing: is_text.then(|| Framing::new(shared.limits.head_bytes_max)),
            state,
            limits: shared.limits,
            shared,
            began: now,
            is_writing: false,
            has_ended: false,
            is_resting: false,
            head_began: head_began.filter(|_| is_text),
            idle_since: now,
            begun_seen: 0,
            read: 0,
            account_at: ACCOUNT_STEP_BYTES,
            written: 0,
            written_seen: 0,
            read_timer: None,
            write_timer: None,
            half_close_timer: None,
            linger: None,
        }
    }

    /// HTTP/1: hands on what belongs to the request that is being read.
    fn poll_text(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Some(framing) = &mut self.framing else { return Poll::Ready(Ok(())) };
        if self.state.is_switched() {
            // Whoever passes the bytes on keeps the deadlines.
            return self.poll_switched(cx, buffer);
        }
        if framing.follow(&self.state) {
            let now = Instant::now();
            self.idle_since = now;
            self.head_began = (!self.held.is_empty()).then_some(now);
        }
        if framing.is_whole() {
            return self.poll_ahead(cx);
        }
        if !self.held.is_empty() {
            let length = self.held.len().min(buffer.remaining());
            let taken = framing.accept(&self.held[..length], &self.state);
            buffer.put_slice(&self.held[..taken]);
            self.take_held(taken);
            self.note_head();
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        match Pin::new(&mut self.stream).poll_read(cx, buffer)? {
            Poll::Ready(()) => {
                let read = &buffer.filled()[before..];
                if read.is_empty() {
                    return Poll::Ready(Ok(()));
                }
                let taken = framing.accept(read, &self.state);
                self.held.extend_from_slice(&read[taken..]);
                buffer.set_filled(before + taken);
                self.note_head();
                Poll::Ready(Ok(()))
            }
            Poll::Pending if framing.is_at_head() => self.poll_read_deadline(cx),
            // A body's pauses are bounded by whoever reads it.
            Poll::Pending => Poll::Pending,
        }
    }

    /// Whether the connection rests: the codec was told that it is over, which it is not.
    pub(super) fn rests(&self) -> bool {
        self.is_resting
    }

    /// Waits for what ends a rest: true with the first bytes of the next request, which are held; false when the client has gone or has
    /// idled too long.
    pub(super) fn poll_awake(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        let mut space = [MaybeUninit::<u8>::uninit(); AWAKE_READ_BYTES];
        let mut read = ReadBuf::uninit(&mut space);
        match Pin::new(&mut self.stream).poll_read(cx, &mut read) {
            Poll::Ready(outcome) => {
                self.is_resting = false;
                self.held.extend_from_slice(read.filled());
                self.head_began = (!self.held.is_empty()).then(Instant::now);
                Poll::Ready(outcome.is_ok() && !self.held.is_empty())
            }
            Poll::Pending => self.poll_read_deadline(cx).map(|_| false),
        }
    }

    /// Forgets bytes that were held and are handed on. What held them is given back with the last of them: an idle connection should
    /// not keep it.
    fn take_held(&mut self, length: usize) {
        if length == self.held.len() {
            self.held = BytesMut::new();
        } else {
            self.held.advance(length);
        }
    }

    /// Another protocol than HTTP: hands on everything.
    fn poll_switched(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.held.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buffer);
        }
        let length = self.held.len().min(buffer.remaining());
        buffer.put_slice(&self.held[..length]);
        self.take_held(length);
        Poll::Ready(Ok(()))
    }

    /// Starts a head's deadline with its first byte, and ends it with its last.
    fn note_head(&mut self) {
        if !self.framing.as_ref().is_some_and(Framing::is_at_head) {
            self.head_began = None;
        } else if self.head_began.is_none() {
            self.head_began = Some(Instant::now());
        }
    }

    /// The request is whole: what comes now is a later one, or the end of the client's side.
    fn poll_ahead(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut space = [MaybeUninit::<u8>::uninit(); AHEAD_READ_BYTES];
        while !self.has_ended && self.held.len() < AHEAD_BYTES_MAX {
            let mut read = ReadBuf::uninit(&mut space);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut read))?;
            self.has_ended = read.filled().is_empty();
            self.held.extend_from_slice(read.filled());
        }
        if self.has_ended { self.poll_half_closed(cx) } else { Poll::Pending }
    }

    /// Ready when a client that has closed its sending side is taken for gone.
    fn poll_half_closed(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let half_close = self.limits.half_close;
            let timer = self.half_close_timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(half_close)));
            ready!(timer.as_mut().poll(cx));
            if self.written == self.written_seen {
                return Poll::Ready(Ok(()));
            }
            self.written_seen = self.written;
            timer.as_mut().reset(Instant::now() + half_close);
        }
    }

    /// HTTP/2: hands on everything, and keeps an account of it.
    fn poll_frames(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.state.is_cut() {
            return Poll::Ready(Err(io::Error::other("the client cancels more requests than it lets finish")));
        }
        if !self.held.is_empty() {
            let length = self.held.len().min(buffer.remaining());
            buffer.put_slice(&self.held[..length]);
            self.take_held(length);
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        match Pin::new(&mut self.stream).poll_read(cx, buffer)? {
            Poll::Ready(()) => {
                self.read += (buffer.filled().len() - before) as u64;
                if self.read >= self.account_at && self.is_flooding() {
                    return Poll::Ready(Err(io::Error::other("the client sends little but frames without content")));
                }
                Poll::Ready(Ok(()))
            }
            Poll::Pending => self.poll_read_deadline(cx),
        }
    }

    fn is_flooding(&mut self) -> bool {
        self.account_at = self.read + ACCOUNT_STEP_BYTES;
        let allowed = FRAME_BYTES_FREE
            + self.state.payload().saturating_mul(FRAMES_PER_PAYLOAD)
            + self.written / WRITTEN_PER_FRAMES
            + self.began.elapsed().as_secs() * FRAME_BYTES_PER_SECOND;
        self.read > allowed
    }

    /// What passed, if a deadline for reading did. Called when a read has to wait.
    fn poll_read_deadline(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let begun = self.state.begun();
        if !self.is_idle() || begun != self.begun_seen {
            self.begun_seen = begun;
            self.idle_since = Instant::now();
        }
        if !self.is_idle() && self.head_began.is_none() && self.read_timer.is_none() {
            return Poll::Pending;
        }
        loop {
            let (deadline, late) = self.deadline();
            let timer = self.read_timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
            if timer.deadline() > deadline {
                timer.as_mut().reset(deadline);
            }
            ready!(timer.as_mut().poll(cx));
            let now = Instant::now();
            if now < deadline {
                timer.as_mut().reset(deadline.max(now + TIMER_STEP));
                continue;
            }
            if !self.is_idle() && self.head_began.is_none() {
                self.read_timer = None;
                return Poll::Pending;
            }
            if late == Late::Rest {
                self.is_resting = true;
                // What is left of the idle deadline gets a timer of its own.
                self.read_timer = None;
                return Poll::Ready(Ok(()));
            }
            if late == Late::Head && self.framing.is_some() {
                // Nothing else is being written: no request is under way. Whether it arrives is the client's matter.
                let _ = Pin::new(&mut self.stream).poll_write(cx, HEAD_TIMED_OUT);
                let _ = Pin::new(&mut self.stream).poll_flush(cx);
            }
            return Poll::Ready(Ok(()));
        }
    }

    /// What the connection is waiting for, and until when.
    fn deadline(&self) -> (Instant, Late) {
        match self.head_began {
            Some(began) => (began + self.limits.head, Late::Head),
            None if self.framing.is_some() && !self.is_resting && REST < self.limits.idle => {
                (self.idle_since + REST, Late::Rest)
            }
            None => (self.idle_since + self.limits.idle, Late::Idle),
        }
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

    /// Passes a write's outcome on, or ends it when too little was written for too long.
    fn bounded(&mut self, cx: &mut Context<'_>, outcome: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(outcome) = outcome {
            if let Ok(bytes) = outcome {
                self.written += bytes as u64;
            }
            return Poll::Ready(outcome);
        }
        self.poll_write_deadline(cx).map(Err)
    }

    fn poll_write_deadline(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        self.set_writing(true);
        let stall = self.limits.stall;
        loop {
            let timer = self.write_timer.get_or_insert_with(|| {
                self.written_seen = self.written;
                Box::pin(tokio::time::sleep(stall))
            });
            ready!(timer.as_mut().poll(cx));
            if self.written - self.written_seen < WRITTEN_BYTES_MIN {
                let reason = "the client took too little of the answer for too long";
                return Poll::Ready(io::Error::new(io::ErrorKind::TimedOut, reason));
            }
            self.write_timer = None;
        }
    }
}

/// Which deadline passed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Late {
    Head,
    Rest,
    Idle,
}

impl Drop for ClientStream {
    fn drop(&mut self) {
        self.set_writing(false);
    }
}

impl AsyncRead for ClientStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.framing.is_some() { self.poll_text(cx, buffer) } else { self.poll_frames(cx, buffer) }
    }
}

impl AsyncWrite for ClientStream {
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
        let this = &mut *self;
        if let Poll::Ready(outcome) = Pin::new(&mut this.stream).poll_flush(cx) {
            this.write_timer = None;
            let was_writing = this.is_writing;
            this.set_writing(false);
            // The idle deadline begins now, and only a read arms its timer. What was read ahead, or the client's end, is
            // there already, and nothing else would make the codec ask for it.
            let has_more = (this.has_ended || !this.held.is_empty())
                && this.framing.as_ref().is_some_and(Framing::is_whole)
                && this.state.is_idle();
            if was_writing || has_more {
                cx.waker().wake_by_ref();
            } else if this.framing.as_mut().is_some_and(|framing| framing.follow(&this.state)) {
                // A codec that has read up to where there is nothing more does not ask again: the idle deadline is armed here.
                this.idle_since = Instant::now();
                this.head_began = None;
                let _ = this.poll_read_deadline(cx);
            }
            return Poll::Ready(outcome);
        }
        this.poll_write_deadline(cx).map(Err)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        this.linger.get_or_insert_with(Linger::new).poll(&mut this.stream, cx)
    }
}
