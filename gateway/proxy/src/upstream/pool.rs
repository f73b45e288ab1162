//! Kept connections of one worker.

use std::collections::HashMap;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use hyper::client::conn::http2::SendRequest;
use moongate_exchange::Body;
use parking_lot::Mutex;
use pingora_core::connectors::TransportConnector;

use crate::upstream::h1::H1;
use crate::upstream::resolve::Resolver;

/// How long a connection is kept without use. Below the 60 to 75 seconds after which most servers close it, so that most
/// connections are closed by us and not under a request.
const IDLE: Duration = Duration::from_secs(50);

/// Most connections kept per upstream and worker. A pool smaller than the concurrency costs a connection per request.
const KEPT_MAX: usize = 512;

/// How often connections that nobody takes are looked through.
const SWEEP: Duration = Duration::from_secs(10);

/// Connections of one worker that wait for a request, and what makes new ones. Clones are the same pool.
#[derive(Clone, Default)]
pub struct Pool(Arc<Inner>);

/// The lock is taken by one thread only and never across a wait.
struct Inner {
    idle: Mutex<HashMap<u64, Idle>>,
    connector: TransportConnector,
    resolver: Resolver,
}

#[derive(Default)]
struct Idle {
    /// Used last, taken first: the others may rest and be closed.
    h1: Vec<(Instant, H1)>,
    h2: Option<SendRequest<Body>>,
}

impl Pool {
    /// An empty pool.
    pub fn new() -> Self {
        Self::default()
    }

    /// What makes connections.
    pub(super) fn connector(&self) -> &TransportConnector {
        &self.0.connector
    }

    /// What finds addresses.
    pub(super) fn resolver(&self) -> &Resolver {
        &self.0.resolver
    }

    /// A kept HTTP/1 connection that is still open as far as one can see without waiting.
    pub(super) fn take_h1(&self, upstream: u64) -> Option<H1> {
        loop {
            let (since, mut kept) = self.0.idle.lock().get_mut(&upstream)?.h1.pop()?;
            if since.elapsed() < IDLE && kept.is_open() {
                kept.is_reused = true;
                return Some(kept);
            }
        }
    }

    /// Keeps an HTTP/1 connection whose last exchange is complete.
    pub(super) fn keep_h1(&self, upstream: u64, connection: H1) {
        let mut idle = self.0.idle.lock();
        let kept = &mut idle.entry(upstream).or_default().h1;
        if kept.len() < KEPT_MAX {
            kept.push((Instant::now(), connection));
        }
    }

    /// The HTTP/2 connection to an upstream, if there is one that takes requests.
    pub(super) fn h2(&self, upstream: u64) -> Option<SendRequest<Body>> {
        let mut idle = self.0.idle.lock();
        let kept = &mut idle.get_mut(&upstream)?.h2;
        if kept.as_ref().is_some_and(SendRequest::is_closed) {
            *kept = None;
        }
        kept.clone()
    }

    /// Shares an HTTP/2 connection.
    pub(super) fn keep_h2(&self, upstream: u64, sender: SendRequest<Body>) {
        self.0.idle.lock().entry(upstream).or_default().h2 = Some(sender);
    }

    /// Closes connections that were not used for long, or that their upstream has closed. Runs until dropped.
    pub async fn sweep(&self) {
        loop {
            tokio::time::sleep(SWEEP).await;
            let mut closed = Vec::new();
            {
                let mut idle = self.0.idle.lock();
                for kept in idle.values_mut() {
                    let (keep, drop): (Vec<_>, Vec<_>) = kept
                        .h1
                        .drain(..)
                        .map(|(since, mut kept)| (since.elapsed() < IDLE && kept.is_open(), since, kept))
                        .partition(|(is_open, ..)| *is_open);
                    kept.h1 = keep.into_iter().map(|(_, since, kept)| (since, kept)).collect();
                    closed.extend(drop);
                    if kept.h2.as_ref().is_some_and(SendRequest::is_closed) {
                        kept.h2 = None;
                    }
                }
                idle.retain(|_, kept| !kept.h1.is_empty() || kept.h2.is_some());
            }
            // Closing sockets is work of its own: outside the lock.
            drop(closed);
        }
    }
}

impl Default for Inner {
    fn default() -> Self {
        Self { idle: Mutex::default(), connector: TransportConnector::new(None), resolver: Resolver::default() }
    }
}

/// Polls a future once without waiting for it.
pub(super) fn poll_now<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}
