//! A message's body: nothing, bytes at hand, or a stream.

use std::error::Error as StdError;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt;

use crate::upgrade::Duplex;

/// A body that is read frame by frame.
pub type Stream = Pin<Box<dyn HttpBody<Data = Bytes, Error = BodyError> + Send>>;

/// First allocation when a body of unknown length is collected, in bytes; it grows from there.
const COLLECT_BYTES_INITIAL: usize = 4 * 1024;

/// A message's body.
///
/// Streams are passed on unread in constant memory unless the plan of the route says that a stage reads them.
#[derive(Default)]
pub enum Body {
    /// No body.
    #[default]
    Empty,
    /// All of it, at hand.
    Full(Bytes),
    /// Frames still to come.
    Stream(Stream),
    /// No body but what is left of the upstream's connection, after 101 (Switching Protocols).
    Duplex(Box<dyn Duplex>),
}

/// Why a body broke off.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The peer closed or reset the connection before the end.
    #[error("the peer ended the connection before the end of the body")]
    Aborted(#[source] Box<dyn StdError + Send + Sync>),
    /// Nothing came, or nothing could be written, for as long as the deadline allows.
    #[error("the body made no progress within its deadline")]
    TimedOut,
    /// It grew beyond a limit.
    #[error("the body is larger than {bytes_max} bytes")]
    TooLarge {
        /// The limit, in bytes.
        bytes_max: u64,
    },
}

impl Body {
    /// Wraps a stream, or nothing at all when the stream is known to be empty.
    pub fn stream(stream: impl HttpBody<Data = Bytes, Error = BodyError> + Send + 'static) -> Self {
        if stream.is_end_stream() { Self::Empty } else { Self::Stream(Box::pin(stream)) }
    }

    /// Whether there is certainly nothing in it.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Empty | Self::Duplex(_) => true,
            Self::Full(bytes) => bytes.is_empty(),
            Self::Stream(stream) => stream.is_end_stream(),
        }
    }

    /// Its length in bytes where that is known beforehand.
    pub fn len(&self) -> Option<u64> {
        match self {
            Self::Empty | Self::Duplex(_) => Some(0),
            Self::Full(bytes) => Some(bytes.len() as u64),
            Self::Stream(stream) => stream.size_hint().exact(),
        }
    }

    /// Reads all of it into memory, at most `bytes_max` bytes. Trailers are dropped.
    ///
    /// # Errors
    ///
    /// [`BodyError::TooLarge`] as soon as the limit is known to be passed, and whatever the stream fails with.
    pub async fn collect(self, bytes_max: u64) -> Result<Bytes, BodyError> {
        let too_large = BodyError::TooLarge { bytes_max };
        let mut stream = match self {
            Self::Empty | Self::Duplex(_) => return Ok(Bytes::new()),
            Self::Full(bytes) if bytes.len() as u64 > bytes_max => return Err(too_large),
            Self::Full(bytes) => return Ok(bytes),
            Self::Stream(stream) => stream,
        };
        let hint = stream.size_hint();
        if hint.lower() > bytes_max {
            return Err(too_large);
        }
        let mut first: Option<Bytes> = None;
        let mut rest = BytesMut::new();
        while let Some(frame) = stream.frame().await {
            let Ok(data) = frame?.into_data() else { continue };
            let held = first.as_ref().map_or(0, Bytes::len) + rest.len();
            if (held + data.len()) as u64 > bytes_max {
                return Err(too_large);
            }
            // Most bodies that a stage reads come in one frame: those are not copied.
            match &first {
                None => first = Some(data),
                Some(head) => {
                    if rest.is_empty() {
                        rest.reserve(COLLECT_BYTES_INITIAL.max(hint.lower() as usize));
                        rest.extend_from_slice(head);
                        first = Some(Bytes::new());
                    }
                    rest.extend_from_slice(&data);
                }
            }
        }
        Ok(if rest.is_empty() { first.unwrap_or_default() } else { rest.freeze() })
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut *self {
            Self::Empty | Self::Duplex(_) => Poll::Ready(None),
            Self::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                *self = Self::Empty;
                Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
            }
            Self::Stream(stream) => stream.as_mut().poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty | Self::Duplex(_) => SizeHint::with_exact(0),
            Self::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Stream(stream) => stream.size_hint(),
        }
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        if bytes.is_empty() { Self::Empty } else { Self::Full(bytes) }
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Bytes::from(text).into()
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.len() {
            Some(length) => write!(f, "Body({length} bytes)"),
            None => f.write_str("Body(stream)"),
        }
    }
}
