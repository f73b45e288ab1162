//! Rest: what a client's connection is while it has nothing to say.
//!
//! hyper keeps two buffers of 8 KiB for as long as a connection lasts. Most keep-alive connections idle most of the time, so one that
//! has idled for [`REST`] leaves its codec: it looks to the codec as if the client had closed it, and the codec ends and gives
//! everything back. The stream itself is put where it can be found again, waits for the next request's first bytes, and gets a new codec
//! then. A busy connection never gets here.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::downstream::io::ClientStream;

/// How long a connection idles before it rests. A new codec costs about a tenth of a request, which is nothing once a second.
pub(super) const REST: Duration = Duration::from_secs(1);

/// Where a connection is put when it rests.
#[derive(Clone, Default)]
pub(super) struct Place(Arc<Mutex<Option<ClientStream>>>);

impl Place {
    /// The connection, if it rests.
    pub(super) fn take(&self) -> Option<ClientStream> {
        self.0.lock().take()
    }
}

/// A client's stream as the codec sees it: one that ends when the connection is over or rests.
pub(super) struct Wakeful {
    stream: Option<ClientStream>,
    place: Place,
}

impl Wakeful {
    /// A stream that is put into `place` when it rests.
    pub(super) fn new(stream: ClientStream, place: Place) -> Self {
        Self { stream: Some(stream), place }
    }
}

impl AsyncRead for Wakeful {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let Some(stream) = &mut this.stream else { return Poll::Ready(Ok(())) };
        let outcome = Pin::new(&mut *stream).poll_read(cx, buffer);
        if stream.rests() {
            *this.place.0.lock() = this.stream.take();
        }
        outcome
    }
}

impl AsyncWrite for Wakeful {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.stream {
            Some(stream) => Pin::new(stream).poll_write(cx, bytes),
            None => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.stream {
            Some(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            None => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.as_ref().is_some_and(AsyncWrite::is_write_vectored)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Some(stream) => Pin::new(stream).poll_flush(cx),
            None => Poll::Ready(Ok(())),
        }
    }

    /// The codec closes what it takes for closed: a connection that rests stays open.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Some(stream) => Pin::new(stream).poll_shutdown(cx),
            None => Poll::Ready(Ok(())),
        }
    }
}
