//! One address of an upstream: how it has fared, how busy it is, and the connections to it that wait for a request.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use crate::upstream::clock;
use crate::upstream::shelf::Shelf;
use crate::upstream::state::InFlight;

/// How long an address that cannot be connected to rests the first time; doubles with each further time up to the second.
const CONNECT_REST: Duration = Duration::from_secs(1);
const CONNECT_REST_MAX: Duration = Duration::from_secs(30);

/// Longest an outlier is set aside, as a multiple of the first time.
const EJECTIONS_MAX: u32 = 10;

/// How an address counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    /// It gets requests.
    Available,
    /// The health check finds it unwell.
    Unwell,
    /// It is set aside for failed requests.
    Aside,
    /// It takes no connections.
    Resting,
}

/// An address of an upstream, shared by all workers.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) address: SocketAddr,
    /// The target it belongs to: an index into the upstream's.
    pub(super) target: usize,
    /// Its share, relative to the other addresses'.
    pub(super) weight: u32,
    /// What its place among others depends on, for consistent hashing.
    pub(super) seed: u64,
    /// Requests under way.
    pub(super) active: AtomicU32,
    /// Whether it was dropped from the upstream: its connections are not kept any more.
    pub(super) is_gone: AtomicBool,
    health: Health,
    /// Connections, one shelf for each worker.
    shelves: Box<[Mutex<Shelf>]>,
}

/// How an address has fared.
#[derive(Debug, Default)]
struct Health {
    /// Whether the active check finds it unwell.
    is_unwell: AtomicBool,
    /// Good or bad answers of the check in a row.
    streak: AtomicU32,
    was_checked: AtomicBool,
    /// Until when it is set aside for failed requests, by [`clock`]; 0 for not at all.
    aside_until_ms: AtomicU64,
    failures: AtomicU32,
    ejections: AtomicU32,
    /// Until when it rests because it cannot be connected to; 0 for not at all.
    resting_until_ms: AtomicU64,
    connect_failures: AtomicU32,
}

impl Endpoint {
    pub(super) fn new(address: SocketAddr, target: usize, weight: u32, seed: u64, workers: usize) -> Self {
        Self {
            address,
            target,
            weight,
            seed,
            active: AtomicU32::new(0),
            is_gone: AtomicBool::new(false),
            health: Health::default(),
            shelves: (0..workers).map(|_| Mutex::default()).collect(),
        }
    }

    /// A worker's connections. The lock is taken by one thread only, but for the end of the address and for places that are needed
    /// elsewhere, and never across a wait.
    pub(super) fn shelf(&self, worker: usize) -> &Mutex<Shelf> {
        &self.shelves[worker]
    }

    /// Lets go of all unused connections.
    pub(super) fn clear(&self) {
        self.is_gone.store(true, Ordering::Relaxed);
        for shelf in &self.shelves {
            let emptied = std::mem::take(&mut *shelf.lock());
            drop(emptied);
        }
    }

    /// Whether requests should go here. Reads no clock while all is well.
    pub(super) fn is_available(&self) -> bool {
        let health = &self.health;
        !health.is_unwell.load(Ordering::Relaxed)
            && is_past(&health.aside_until_ms)
            && is_past(&health.resting_until_ms)
    }

    /// How it counts now, in a word.
    pub(super) fn condition(&self) -> Condition {
        let health = &self.health;
        if health.is_unwell.load(Ordering::Relaxed) {
            Condition::Unwell
        } else if self.is_ejected() {
            Condition::Aside
        } else if !is_past(&health.resting_until_ms) {
            Condition::Resting
        } else {
            Condition::Available
        }
    }

    /// Whether it is set aside for failed requests.
    pub(super) fn is_ejected(&self) -> bool {
        !is_past(&self.health.aside_until_ms)
    }

    /// It took a connection.
    pub(super) fn connected(&self) {
        let health = &self.health;
        if health.connect_failures.load(Ordering::Relaxed) != 0 {
            health.connect_failures.store(0, Ordering::Relaxed);
            health.resting_until_ms.store(0, Ordering::Relaxed);
        }
    }

    /// It took no connection: it rests, longer each time.
    pub(super) fn connect_failed(&self) {
        let failures = self.health.connect_failures.fetch_add(1, Ordering::Relaxed);
        let rest = CONNECT_REST.saturating_mul(1 << failures.min(5)).min(CONNECT_REST_MAX);
        self.health.resting_until_ms.store(clock::after(rest), Ordering::Relaxed);
    }

    /// It answered a request well.
    pub(super) fn succeeded(&self) {
        let health = &self.health;
        if health.failures.load(Ordering::Relaxed) != 0 {
            health.failures.store(0, Ordering::Relaxed);
        }
        if health.ejections.load(Ordering::Relaxed) != 0 && is_past(&health.aside_until_ms) {
            health.ejections.store(0, Ordering::Relaxed);
        }
    }

    /// It failed a request; the number of failures in a row.
    pub(super) fn failed(&self) -> u32 {
        self.health.failures.fetch_add(1, Ordering::Relaxed).saturating_add(1)
    }

    /// Sets it aside, longer with each time in a row.
    pub(super) fn eject(&self, first: Duration) {
        let times = self.health.ejections.fetch_add(1, Ordering::Relaxed).saturating_add(1).min(EJECTIONS_MAX);
        self.health.failures.store(0, Ordering::Relaxed);
        self.health.aside_until_ms.store(clock::after(first.saturating_mul(times)), Ordering::Relaxed);
    }

    /// The active check has an answer. Whether that changes how the address counts: well or not.
    pub(super) fn checked(&self, is_well: bool, healthy_after: u32, unhealthy_after: u32) -> Option<bool> {
        let health = &self.health;
        let counts_as_unwell = health.is_unwell.load(Ordering::Relaxed);
        let is_first = !health.was_checked.swap(true, Ordering::Relaxed);
        if is_well {
            // Whoever answers the check can be connected to.
            self.connected();
        }
        if is_well != counts_as_unwell {
            health.streak.store(0, Ordering::Relaxed);
            return None;
        }
        let streak = health.streak.fetch_add(1, Ordering::Relaxed) + 1;
        let needed = if is_well { healthy_after } else { unhealthy_after };
        if !is_first && streak < needed {
            return None;
        }
        health.streak.store(0, Ordering::Relaxed);
        health.is_unwell.store(!is_well, Ordering::Relaxed);
        Some(is_well)
    }
}

fn is_past(until_ms: &AtomicU64) -> bool {
    let until_ms = until_ms.load(Ordering::Relaxed);
    until_ms == 0 || until_ms <= clock::now()
}

/// A request under way at an address. Counted until this is dropped.
pub(super) struct Busy {
    pub(super) endpoint: Arc<Endpoint>,
    /// The upstream's own count, where it has a limit.
    _counted: Option<Arc<InFlight>>,
}

impl Busy {
    pub(super) fn new(endpoint: Arc<Endpoint>, counted: Option<Arc<InFlight>>) -> Self {
        endpoint.active.fetch_add(1, Ordering::Relaxed);
        Self { endpoint, _counted: counted }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.endpoint.active.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint() -> Endpoint {
        Endpoint::new("127.0.0.1:1".parse().expect("an address"), 0, 1, 0, 1)
    }

    #[test]
    fn the_first_check_decides_alone_and_later_ones_in_a_row() {
        let endpoint = endpoint();
        assert_eq!(endpoint.checked(false, 2, 3), Some(false));
        assert!(!endpoint.is_available());
        assert_eq!(endpoint.checked(true, 2, 3), None);
        assert_eq!(endpoint.checked(false, 2, 3), None, "the row is broken");
        assert_eq!(endpoint.checked(true, 2, 3), None);
        assert_eq!(endpoint.checked(true, 2, 3), Some(true));
        for _ in 0..2 {
            assert_eq!(endpoint.checked(false, 2, 3), None);
        }
        assert!(endpoint.is_available());
        assert_eq!(endpoint.checked(false, 2, 3), Some(false));
    }

    #[test]
    fn an_address_that_cannot_be_connected_to_rests_until_it_can() {
        let endpoint = endpoint();
        endpoint.connect_failed();
        assert!(!endpoint.is_available());
        endpoint.connected();
        assert!(endpoint.is_available());
    }

    #[test]
    fn failures_in_a_row_arecounted_and_success_ends_the_row() {
        let endpoint = endpoint();
        assert_eq!([endpoint.failed(), endpoint.failed()], [1, 2]);
        endpoint.succeeded();
        assert_eq!(endpoint.failed(), 1);
        endpoint.eject(Duration::from_secs(60));
        assert!(endpoint.is_ejected() && !endpoint.is_available());
    }
}
