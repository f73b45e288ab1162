//! HTTP/2 streams whose client stops taking its answer.
//!
//! A stream without flow-control window is written nothing, so no deadline of the socket would ever pass, and the codec does not ask
//! for more of the answer. So the task of every stream is watched: when an answer was handed on and not asked for more of within the
//! deadline, the task is dropped, which resets that stream (RST_STREAM, CANCEL) and no other.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Poll, ready};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::{Instant, sleep_until};

tokio::task_local! {
    /// The stream whose task is running.
    static CURRENT: Arc<StreamState>;
}

/// What an answer tells the task that sends it.
#[derive(Debug, Default)]
pub(super) struct StreamState {
    waiting_since: Mutex<Option<Instant>>,
    is_late: AtomicBool,
}

impl StreamState {
    /// The state of the stream whose task this is called in; `None` outside of HTTP/2.
    pub(super) fn current() -> Option<Arc<Self>> {
        CURRENT.try_with(Arc::clone).ok()
    }

    /// A piece of the answer was handed on, and the client may take its time with it.
    pub(super) fn answer_waits(&self) {
        *self.waiting_since.lock() = Some(Instant::now());
    }

    /// More of the answer is asked for.
    pub(super) fn answer_goes_on(&self) {
        *self.waiting_since.lock() = None;
    }

    /// Whether the client has taken too long.
    pub(super) fn is_late(&self) -> bool {
        self.is_late.load(Ordering::Relaxed)
    }
}

/// Runs the streams of a client's connection on the worker that serves it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Streams {
    /// Longest wait for a client to take a piece of an answer.
    pub(super) stall: Duration,
}

impl<F> hyper::rt::Executor<F> for Streams
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, stream: F) {
        tokio::spawn(watch(stream, self.stall));
    }
}

async fn watch<F: Future>(stream: F, stall: Duration) {
    let state = Arc::new(StreamState::default());
    let mut stream = pin!(CURRENT.scope(Arc::clone(&state), stream));
    let mut timer = None;
    poll_fn(|cx| {
        if stream.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        loop {
            let Some(since) = *state.waiting_since.lock() else { return Poll::Pending };
            let deadline = since + stall;
            let timer = timer.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
            ready!(timer.as_mut().poll(cx));
            if timer.deadline() >= deadline {
                state.is_late.store(true, Ordering::Relaxed);
                return Poll::Ready(());
            }
            timer.as_mut().reset(deadline);
        }
    })
    .await;
}
