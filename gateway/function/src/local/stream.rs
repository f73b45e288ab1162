//! A result that comes piece by piece.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame};
use moongate_exchange::BodyError;
use tokio::sync::mpsc;

use crate::local::invocation::FunctionError;

/// The pieces of a result, as the function writes them: the body of an answer.
#[derive(Debug)]
pub struct Pieces {
    received: mpsc::Receiver<Result<Bytes, FunctionError>>,
    is_over: bool,
}

/// Where the pieces come from.
pub(super) type PieceSender = mpsc::Sender<Result<Bytes, FunctionError>>;

impl Pieces {
    /// At most `pieces_max` pieces wait for whoever reads. An empty piece is the end; without one the result broke off.
    pub(super) fn channel(pieces_max: usize) -> (PieceSender, Self) {
        let (sender, received) = mpsc::channel(pieces_max);
        (sender, Self { received, is_over: false })
    }

    /// The next piece; `None` at the end.
    ///
    /// # Errors
    ///
    /// When the function fails on the way, or its process ends.
    pub async fn next(&mut self) -> Option<Result<Bytes, FunctionError>> {
        std::future::poll_fn(|cx| self.poll_next(cx)).await
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, FunctionError>>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        let piece = ready!(self.received.poll_recv(cx));
        self.is_over = !matches!(&piece, Some(Ok(piece)) if !piece.is_empty());
        Poll::Ready(match piece {
            Some(Ok(piece)) if piece.is_empty() => None,
            Some(piece) => Some(piece),
            None => Some(Err(FunctionError::Exited("before the end of its result".into()))),
        })
    }
}

impl HttpBody for Pieces {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let failed = |error: FunctionError| BodyError::Aborted(io::Error::other(error).into());
        self.poll_next(cx).map(|piece| piece.map(|piece| piece.map(Frame::data).map_err(failed)))
    }
}
