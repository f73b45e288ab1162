//! What is known about an upstream in this process: its addresses and how they fare, its connections, its counts. Shared by all
//! workers, and kept for as long as the upstream does not change, whatever else is published.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, Guard};
use moongate_runtime::UpstreamError;
use moongate_runtime::upstream::{Outliers, Upstream, UpstreamSpec};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};

use crate::upstream::balance::{Endpoints, scramble};
use crate::upstream::circuit::{Budget, Circuit, Pass};
use crate::upstream::endpoint::Endpoint;

/// How long addresses whose time is up serve without a request waiting for news: longer than asking takes, even in vain. While
/// requests come, names are asked for again as soon as their time is up, so that this is not how old addresses become.
const GRACE: Duration = Duration::from_secs(10);

/// Longest wait for a name that is asked for again after nobody wanted it for a while; then its last addresses serve.
const REFRESH_PATIENCE: Duration = Duration::from_millis(500);

/// What is known about an upstream.
pub(super) struct State {
    pub(super) id: u64,
    pub(super) spec: UpstreamSpec,
    upstream: Weak<Upstream>,
    workers: usize,
    endpoints: ArcSwap<Endpoints>,
    /// Changes whenever the addresses were looked for, with or without success.
    looked: watch::Sender<u64>,
    /// Whether addresses have to be found out.
    pub(super) has_names: bool,
    /// Whether a request came since names were last looked up.
    was_used: AtomicBool,
    /// Wakes whoever looks names up, when a request comes after a time without.
    pub(super) wanted: Notify,
    cursor: AtomicU64,
    connections: Arc<Semaphore>,
    /// Requests that wait for a connection.
    pending: AtomicU32,
    in_flight: AtomicU32,
    pub(super) circuit: Circuit,
    pub(super) budget: Budget,
    /// Requests so far, for shares of them.
    pub(super) requests: AtomicU64,
    /// Copies under way.
    pub(super) mirrored: AtomicU32,
    /// Requests sent again by a policy, so far.
    pub(super) retries: AtomicU64,
}

impl State {
    pub(super) fn new(upstream: &Arc<Upstream>, workers: usize) -> Self {
        let spec = upstream.spec.clone();
        let has_names =
            spec.targets.iter().any(|target| target.is_srv || target.host.parse::<std::net::IpAddr>().is_err());
        let connections = Arc::new(Semaphore::new(spec.pool.connections_max as usize));
        let state = Self {
            id: upstream.id,
            spec,
            upstream: Arc::downgrade(upstream),
            workers,
            endpoints: ArcSwap::default(),
            looked: watch::Sender::new(0),
            has_names,
            was_used: AtomicBool::new(false),
            wanted: Notify::new(),
            cursor: AtomicU64::new(0),
            connections,
            pending: AtomicU32::new(0),
            in_flight: AtomicU32::new(0),
            circuit: Circuit::default(),
            budget: Budget::default(),
            requests: AtomicU64::new(0),
            mirrored: AtomicU32::new(0),
            retries: AtomicU64::new(0),
        };
        if !has_names {
            let address = |(index, target): (usize, &moongate_runtime::upstream::Target)| {
                let ip = target.host.parse::<std::net::IpAddr>().ok()?;
                Some(Address { target: index, address: (ip, target.port).into(), weight: target.weight })
            };
            let addresses: Vec<Address> = state.spec.targets.iter().enumerate().filter_map(address).collect();
            state.set_addresses(&addresses, None, None);
        }
        state
    }

    /// Whether the upstream is still part of a configuration, or of a request that began with one.
    pub(super) fn is_wanted(&self) -> bool {
        self.upstream.strong_count() > 0
    }

    /// The name by which logs speak of it.
    pub(super) fn name(&self) -> &str {
        self.spec.name.as_deref().unwrap_or(&self.spec.targets[0].host)
    }

    /// The addresses now.
    pub(super) fn endpoints(&self) -> Guard<Arc<Endpoints>> {
        self.endpoints.load()
    }

    /// Replaces the addresses. Those that stay keep their health and connections; it gives those that are new.
    pub(super) fn set_addresses(
        &self,
        addresses: &[Address],
        until: Option<Instant>,
        failure: Option<(Box<str>, &'static str)>,
    ) -> Vec<Arc<Endpoint>> {
        let before = self.endpoints.load_full();
        let (mut list, mut fresh) = (Vec::with_capacity(addresses.len()), Vec::new());
        for wanted in addresses {
            let is_same = |known: &&Arc<Endpoint>| {
                known.address == wanted.address && known.target == wanted.target && known.weight == wanted.weight
            };
            match before.list.iter().find(is_same) {
                Some(known) => list.push(Arc::clone(known)),
                None => {
                    let seed = seed(wanted);
                    let made = Endpoint::new(wanted.address, wanted.target, wanted.weight, seed, self.workers);
                    let made = Arc::new(made);
                    fresh.push(Arc::clone(&made));
                    list.push(made);
                }
            }
        }
        let gone: Vec<_> =
            before.list.iter().filter(|known| !list.iter().any(|kept| Arc::ptr_eq(kept, known))).cloned().collect();
        self.endpoints.store(Arc::new(Endpoints::new(list, until, failure)));
        gone.iter().for_each(|endpoint| endpoint.clear());
        self.looked.send_modify(|times| *times += 1);
        fresh
    }

    /// Keeps the addresses for another while.
    pub(super) fn prolong(&self, until: Instant) {
        let now = self.endpoints.load();
        let list = now.list.to_vec();
        drop(now);
        self.endpoints.store(Arc::new(Endpoints::new(list, Some(until), None)));
        self.looked.send_modify(|times| *times += 1);
    }

    /// Whether a request came since this was last asked.
    pub(super) fn take_use(&self) -> bool {
        self.was_used.swap(false, Ordering::Relaxed)
    }

    /// Waits until addresses are known, and asks for them again when they are old.
    async fn refresh(&self) {
        if !self.was_used.load(Ordering::Relaxed) {
            self.was_used.store(true, Ordering::Relaxed);
            self.wanted.notify_one();
        }
        // Nearly always: what is known still holds, or is being asked for.
        if self.endpoints.load().until.is_some_and(|until| until + GRACE > Instant::now()) {
            return;
        }
        let mut looked = self.looked.subscribe();
        let before = *looked.borrow_and_update();
        if before == 0 {
            // The sender is part of this state: it cannot be gone.
            let _ = looked.changed().await;
            return;
        }
        let _ = tokio::time::timeout(REFRESH_PATIENCE, looked.changed()).await;
    }

    /// The address for a request.
    ///
    /// # Errors
    ///
    /// [`UpstreamError::Resolve`] when there is none at all.
    pub(super) async fn pick(
        &self,
        hash: Option<u64>,
        tried: &[Arc<Endpoint>],
    ) -> Result<Arc<Endpoint>, UpstreamError> {
        if self.has_names {
            self.refresh().await;
        }
        let endpoints = self.endpoints.load();
        let picked = endpoints.pick(self.spec.balance, &self.cursor, hash, tried);
        picked.map(Arc::clone).ok_or_else(|| {
            let (host, reason) =
                endpoints.failure.clone().unwrap_or_else(|| (self.name().into(), "there is no address"));
            UpstreamError::Resolve { host, reason: reason.into() }
        })
    }

    /// Lets a request in, or says what is too much.
    pub(super) fn admit(self: &Arc<Self>) -> Result<Admitted, UpstreamError> {
        let Some(breaker) = &self.spec.breaker else { return Ok(Admitted { counted: None, pass: Pass::Usual }) };
        let mut pass = Pass::Usual;
        let mut counted = None;
        if let Some(most) = breaker.requests_max {
            let before = self.in_flight.fetch_add(1, Ordering::Relaxed);
            let guard = Arc::new(InFlight(Arc::clone(self)));
            if before >= most {
                return Err(UpstreamError::Overloaded { reason: "too many requests are under way" });
            }
            counted = Some(guard);
        }
        if let Some(limit) = &breaker.errors {
            let refused = UpstreamError::Overloaded { reason: "its circuit is open, because too many requests failed" };
            pass = self.circuit.admits(limit).ok_or(refused)?;
        }
        Ok(Admitted { counted, pass })
    }

    /// A place for one more connection: at once, or when another one ends. `Ok(None)` means that a connection was given back on this
    /// worker, which can be taken instead.
    ///
    /// # Errors
    ///
    /// [`UpstreamError::Overloaded`] when too many wait already.
    pub(super) async fn place(
        &self,
        endpoint: &Endpoint,
        worker: usize,
    ) -> Result<Option<OwnedSemaphorePermit>, UpstreamError> {
        if let Ok(permit) = Arc::clone(&self.connections).try_acquire_owned() {
            return Ok(Some(permit));
        }
        let before = self.pending.fetch_add(1, Ordering::Relaxed);
        let returned = {
            let mut shelf = endpoint.shelf(worker).lock();
            shelf.waiters += 1;
            Arc::clone(&shelf.returned)
        };
        let waiting = Waiting { state: self, endpoint, worker };
        if before >= self.spec.pool.pending_max {
            return Err(UpstreamError::Overloaded { reason: "too many requests wait for a connection" });
        }
        // A connection that waits unused, to another address or on another worker, keeps this request from its own.
        self.give_up_unused();
        let place = tokio::select! {
            permit = Arc::clone(&self.connections).acquire_owned() => permit.ok(),
            () = returned.notified() => None,
        };
        drop(waiting);
        Ok(place)
    }

    /// Closes one connection that nobody uses, if there is one, on whatever worker: rare enough to reach across threads.
    fn give_up_unused(&self) {
        for endpoint in &self.endpoints.load().list {
            for worker in 0..self.workers {
                let given_up = endpoint.shelf(worker).lock().give_up_one();
                if given_up.is_some() {
                    return;
                }
            }
        }
    }

    /// Whether requests wait for a connection, on whatever worker.
    pub(super) fn is_short_of_connections(&self) -> bool {
        self.pending.load(Ordering::Relaxed) > 0
    }

    /// An attempt has ended at an address: what that means for it.
    pub(super) fn ended(&self, busy: &Endpoint, is_failure: bool) {
        if is_failure {
            let failures = busy.failed();
            if let Some(rules) = &self.spec.outliers
                && failures >= rules.consecutive_failures
                && self.may_eject(rules, busy)
            {
                busy.eject(rules.ejection);
                let (upstream, address) = (self.name(), busy.address);
                tracing::warn!(upstream, %address, failures, "target set aside for failed requests");
            }
        } else {
            busy.succeeded();
        }
    }

    /// A request has ended, after all its attempts.
    pub(super) fn counted(&self, pass: Pass, is_failure: bool) {
        let Some(limit) = self.spec.breaker.as_ref().and_then(|breaker| breaker.errors.as_ref()) else { return };
        match self.circuit.ended(limit, pass, is_failure) {
            Some(true) => tracing::warn!(upstream = self.name(), "circuit opened: too many requests failed"),
            Some(false) => tracing::info!(upstream = self.name(), "circuit closed"),
            None => {}
        }
    }

    /// Open connections to all addresses, over all workers.
    pub(super) fn connections(&self) -> usize {
        (self.spec.pool.connections_max as usize).saturating_sub(self.connections.available_permits())
    }

    /// Requests that wait for a connection.
    pub(super) fn pending(&self) -> u32 {
        self.pending.load(Ordering::Relaxed)
    }

    fn may_eject(&self, rules: &Outliers, candidate: &Endpoint) -> bool {
        let endpoints = self.endpoints.load();
        let total = endpoints.list.len();
        let ejected = endpoints.list.iter().filter(|endpoint| endpoint.is_ejected()).count();
        // One of several always may; the last one never: nobody would be left.
        let most = (total * rules.ejected_percent_max as usize / 100).max(1).min(total.saturating_sub(1));
        !candidate.is_ejected() && ejected < most
    }
}

/// An address that a name led to, or that was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) target: usize,
    pub(super) address: std::net::SocketAddr,
    pub(super) weight: u32,
}

/// The same for the same address in every process.
fn seed(address: &Address) -> u64 {
    let bytes = match address.address.ip() {
        std::net::IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        std::net::IpAddr::V6(v6) => v6.octets(),
    };
    let (high, low) = bytes.split_at(8);
    let number = |bytes: &[u8]| bytes.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    scramble(number(high) ^ scramble(number(low) ^ scramble(address.address.port().into())))
}

/// A request that was let in.
pub(super) struct Admitted {
    /// Counted until this is dropped.
    pub(super) counted: Option<Arc<InFlight>>,
    pub(super) pass: Pass,
}

/// A request under way, where those are limited.
pub(super) struct InFlight(Arc<State>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A request that waits for a connection.
struct Waiting<'state> {
    state: &'state State,
    endpoint: &'state Endpoint,
    worker: usize,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.state.pending.fetch_sub(1, Ordering::Relaxed);
        let mut shelf = self.endpoint.shelf(self.worker).lock();
        shelf.waiters = shelf.waiters.saturating_sub(1);
    }
}
