//! One worker's way to upstreams: connections that are kept, and new ones.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use foldhash::fast::RandomState;
use moongate_config::integration::HttpVersion;
use moongate_runtime::{Upstream, UpstreamError};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use crate::upstream::connect::{Connected, Connector};
use crate::upstream::endpoint::Endpoint;
use crate::upstream::fleet::Fleet;
use crate::upstream::h1::H1;
use crate::upstream::h2::{H2, Streaming};
use crate::upstream::state::State;

/// How often connections that nobody takes are looked through, at most and at least.
const SWEEP: Duration = Duration::from_secs(10);
const SWEEP_MIN: Duration = Duration::from_millis(20);

/// One worker's way to upstreams. Clones are the same one.
///
/// Connections never leave their thread; what is known about addresses is shared by all workers.
#[derive(Clone)]
pub struct Pool(Arc<Inner>);

struct Inner {
    worker: usize,
    fleet: Arc<Fleet>,
    connector: Connector,
    /// Upstreams that this worker has used. The lock is taken by one thread only.
    states: Mutex<HashMap<u64, Arc<State>, RandomState>>,
    /// Wakes the sweep when there is one more of them.
    added: Notify,
}

/// A connection for a request.
pub(super) enum Acquired {
    H1(H1),
    H2(H2, Streaming),
}

impl Pool {
    /// The pool of worker number `worker`.
    pub fn new(fleet: Arc<Fleet>, worker: usize) -> Self {
        let states = Mutex::default();
        Self(Arc::new(Inner { worker, fleet, connector: Connector::default(), states, added: Notify::new() }))
    }

    /// What is known about an upstream.
    pub(super) fn state(&self, upstream: &Arc<Upstream>) -> Arc<State> {
        let mut states = self.0.states.lock();
        if let Some(known) = states.get(&upstream.id) {
            return Arc::clone(known);
        }
        let state = self.0.fleet.state(upstream);
        states.insert(upstream.id, Arc::clone(&state));
        drop(states);
        self.0.added.notify_one();
        state
    }

    /// Where a connection goes back to.
    pub(super) fn home(&self, state: &Arc<State>) -> Home {
        Home { state: Arc::clone(state), worker: Some(self.0.worker) }
    }

    /// A connection to an address: a kept one if there is, else a new one. A new one may lead to another address of the same name,
    /// which is said then.
    ///
    /// # Errors
    ///
    /// When there can be none.
    pub(super) async fn acquire(
        &self,
        state: &State,
        endpoint: &Arc<Endpoint>,
        limit: Duration,
    ) -> Result<(Option<Arc<Endpoint>>, Acquired), UpstreamError> {
        let worker = self.0.worker;
        let mut waits_for_others = true;
        loop {
            let opening = match self.look(state, endpoint, waits_for_others) {
                Look::Kept(kept) => return Ok((None, kept)),
                Look::Opening(mut opening) => {
                    // One that was made is shared; when it failed, whoever waited tries on his own, and not one after the other.
                    waits_for_others = opening.changed().await.is_ok();
                    continue;
                }
                Look::Open(opening) => opening,
            };
            // Nothing but a permit and the connection is waited for while others wait for us.
            let Some(permit) = state.place(endpoint, worker).await? else { continue };
            let (reached, connected) = self.0.connector.connect(state, endpoint, limit, Some(permit)).await?;
            let mut shelf = reached.shelf(worker).lock();
            let acquired = match connected {
                Connected::H1(fresh) => {
                    shelf.speaks_h2 = Some(false);
                    Acquired::H1(fresh)
                }
                Connected::H2(shared) => {
                    let streaming = shared.reserve();
                    shelf.keep_h2(shared.clone());
                    Acquired::H2(shared, streaming)
                }
            };
            drop(shelf);
            if let Some(opening) = opening {
                opening.made();
            }
            return Ok((Some(reached), acquired));
        }
    }

    /// A new connection that shares nothing with any other, for what must not meet a stale one.
    pub(super) async fn fresh(
        &self,
        state: &State,
        endpoint: &Arc<Endpoint>,
        limit: Duration,
    ) -> Result<(Option<Arc<Endpoint>>, Acquired), UpstreamError> {
        // The kept ones may be as stale as the one that failed; what is left of them is closed by the sweep.
        let Some(permit) = state.place(endpoint, self.0.worker).await? else {
            return self.acquire(state, endpoint, limit).await;
        };
        let (reached, connected) = self.0.connector.connect(state, endpoint, limit, Some(permit)).await?;
        let acquired = match connected {
            Connected::H1(fresh) => Acquired::H1(fresh),
            Connected::H2(shared) => {
                let streaming = shared.reserve();
                reached.shelf(self.0.worker).lock().keep_h2(shared.clone());
                Acquired::H2(shared, streaming)
            }
        };
        Ok((Some(reached), acquired))
    }

    fn look(&self, state: &State, endpoint: &Arc<Endpoint>, waits_for_others: bool) -> Look {
        let worker = self.0.worker;
        let mut shelf = endpoint.shelf(worker).lock();
        while let Some(mut kept) = shelf.take_h1(state.spec.pool.idle) {
            if kept.is_open() {
                kept.is_reused = true;
                return Look::Kept(Acquired::H1(kept));
            }
        }
        let may_be_h2 = match state.spec.version {
            HttpVersion::Http11 => return Look::Open(None),
            HttpVersion::Http2 => true,
            // Without TLS nothing but prior knowledge leads to HTTP/2 (RFC 9113 section 3.1).
            HttpVersion::Auto => state.spec.targets[endpoint.target].tls.is_some() && shelf.speaks_h2 != Some(false),
        };
        if !may_be_h2 {
            return Look::Open(None);
        }
        if let Some(shared) = shelf.h2() {
            let streaming = shared.reserve();
            return Look::Kept(Acquired::H2(shared, streaming));
        }
        match &shelf.opening {
            Some(opening) if waits_for_others => return Look::Opening(opening.clone()),
            Some(_) => return Look::Open(None),
            None => {}
        }
        let (sender, receiver) = watch::channel(());
        shelf.opening = Some(receiver);
        Look::Open(Some(Opening { endpoint: Arc::clone(endpoint), worker, sender }))
    }

    /// Closes connections that were not used for long, or that their upstream has closed. Runs until dropped.
    pub async fn sweep(&self) {
        loop {
            let states: Vec<Arc<State>> = self.0.states.lock().values().cloned().collect();
            let shortest = states.iter().map(|state| state.spec.pool.idle / 2).min().unwrap_or(SWEEP);
            tokio::select! {
                () = tokio::time::sleep(shortest.clamp(SWEEP_MIN, SWEEP)) => {}
                () = self.0.added.notified() => continue,
            }
            for state in &states {
                for endpoint in &state.endpoints().list {
                    let closed = endpoint.shelf(self.0.worker).lock().sweep(state.spec.pool.idle);
                    // Closing sockets is work of its own: outside the lock.
                    drop(closed);
                }
            }
            let mut known = self.0.states.lock();
            known.retain(|_, state| state.is_wanted());
            for state in states.iter().filter(|state| !known.contains_key(&state.id)) {
                for endpoint in &state.endpoints().list {
                    // Nobody looks here again: what is not in use is closed now, what is closes by itself.
                    drop(endpoint.shelf(self.0.worker).lock().sweep(Duration::ZERO));
                }
            }
            let is_alive = |upstream| known.contains_key(&upstream);
            self.0.connector.forget(is_alive);
        }
    }
}

enum Look {
    Kept(Acquired),
    /// Somebody makes one that can be shared.
    Opening(watch::Receiver<()>),
    /// One has to be made; others wait for it if it may be shared.
    Open(Option<Opening>),
}

/// An HTTP/2 connection in the making. Whoever waits for it hears that it was made, or that this was dropped without.
struct Opening {
    endpoint: Arc<Endpoint>,
    worker: usize,
    sender: watch::Sender<()>,
}

impl Opening {
    fn made(self) {
        self.sender.send_replace(());
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        self.endpoint.shelf(self.worker).lock().opening = None;
    }
}

/// Where a connection goes back to.
pub(super) struct Home {
    state: Arc<State>,
    /// `None` for a connection that is not kept.
    worker: Option<usize>,
}

impl Home {
    /// For a connection that is used once.
    pub(super) fn none(state: &Arc<State>) -> Self {
        Self { state: Arc::clone(state), worker: None }
    }

    /// Keeps a connection whose last exchange is complete, or hands it to a request that waits for one.
    pub(super) fn keep(&self, endpoint: &Endpoint, connection: H1) {
        let Some(worker) = self.worker.filter(|_| !endpoint.is_gone.load(Ordering::Relaxed)) else { return };
        let mut shelf = endpoint.shelf(worker).lock();
        if self.state.is_short_of_connections() {
            if shelf.waiters == 0 {
                // Somebody on another worker, or for another address, waits for its place.
                drop(shelf);
                drop(connection);
                return;
            }
            shelf.keep_h1(connection, usize::MAX);
            shelf.returned.notify_one();
            return;
        }
        shelf.keep_h1(connection, self.state.spec.pool.idle_max as usize);
    }
}
