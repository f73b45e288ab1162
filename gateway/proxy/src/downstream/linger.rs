//! Closing a connection so that the client still gets the answer.
//!
//! A client that is still sending when it is answered (413, 401 during an upload) has bytes in our receive buffer. Closing the
//! socket with bytes unread resets the connection, and the reset may destroy the answer before the client has read it (RFC 9112
//! section 9.6). So the sending side is closed first, and what still comes is read and thrown away for a short while.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use pingora_core::protocols::Stream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// How long a client has to notice that it was answered.
const LINGER: Duration = Duration::from_secs(2);
/// How much is read and thrown away, in bytes.
const DISCARD_BYTES_MAX: usize = 16 * 1024 * 1024;

/// A connection that is being closed.
pub(super) struct Linger {
    has_shut_down: bool,
    left: usize,
    timer: Pin<Box<Sleep>>,
}

impl Linger {
    pub(super) fn new() -> Self {
        Self { has_shut_down: false, left: DISCARD_BYTES_MAX, timer: Box::pin(tokio::time::sleep(LINGER)) }
    }

    /// Ready when the stream may be dropped.
    pub(super) fn poll(&mut self, stream: &mut Stream, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.timer.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Ok(()));
        }
        if !self.has_shut_down {
            std::task::ready!(Pin::new(&mut *stream).poll_shutdown(cx))?;
            self.has_shut_down = true;
        }
        let mut sink = [0_u8; 8 * 1024];
        loop {
            let mut read = ReadBuf::new(&mut sink);
            std::task::ready!(Pin::new(&mut *stream).poll_read(cx, &mut read))?;
            let length = read.filled().len();
            self.left = self.left.saturating_sub(length);
            if length == 0 || self.left == 0 {
                return Poll::Ready(Ok(()));
            }
        }
    }
}
