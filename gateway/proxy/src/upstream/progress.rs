//! How far a request's body has come: an upstream that is being sent to is not late.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use moongate_exchange::{Body, BodyError, Request};

/// A request's body that is still being sent.
pub(super) struct Upload(Arc<Progress>);

#[derive(Default)]
struct Progress {
    /// All of it was taken.
    is_sent: AtomicBool,
    /// Some of it was taken since this was last cleared.
    has_moved: AtomicBool,
    /// The upstream would take more, and the client has not sent it yet.
    waits_for_client: AtomicBool,
}

impl Upload {
    /// Watches a body that streams; others are sent in no time.
    pub(super) fn watch(request: &mut Request) -> Option<Self> {
        if !matches!(request.body, Body::Stream(_)) {
            return None;
        }
        let progress = Arc::new(Progress::default());
        let body = std::mem::take(&mut request.body);
        request.body = Body::stream(Watched { body, progress: Arc::clone(&progress) });
        Some(Self(progress))
    }

    /// Whether all of it was taken.
    pub(super) fn is_over(&self) -> bool {
        self.0.is_sent.load(Ordering::Relaxed)
    }

    /// Whether some of it was taken since this was last asked, or it is the client who is waited for.
    pub(super) fn goes_on(&self) -> bool {
        self.0.has_moved.swap(false, Ordering::Relaxed) || self.0.waits_for_client.load(Ordering::Relaxed)
    }
}

/// A body that says how far it has come.
struct Watched {
    body: Body,
    progress: Arc<Progress>,
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        self.progress.waits_for_client.store(polled.is_pending(), Ordering::Relaxed);
        let frame = ready!(polled);
        self.progress.has_moved.store(true, Ordering::Relaxed);
        if frame.is_none() || self.body.is_end_stream() {
            self.progress.is_sent.store(true, Ordering::Relaxed);
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
