//! What keeps an outage small: the circuit that opens when too much fails, and the budget that retries take from.

use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering};

use moongate_runtime::upstream::ErrorLimit;

use crate::upstream::clock;

/// A circuit breaker: closed, open until a time, then half open for one request that decides.
///
/// Counts are kept for one window at a time, without a lock: a request that is counted into the window before or after its own is
/// no harm.
#[derive(Debug, Default)]
pub(super) struct Circuit {
    /// When it may be tried again; 0 while it is closed.
    open_until_ms: AtomicU64,
    window_began_ms: AtomicU64,
    requests: AtomicU32,
    failures: AtomicU32,
}

impl Circuit {
    /// Whether a request may pass. While the circuit is open one may in each open time: it decides.
    pub(super) fn admits(&self, limit: &ErrorLimit) -> Option<Pass> {
        let until = self.open_until_ms.load(Ordering::Relaxed);
        if until == 0 {
            return Some(Pass::Usual);
        }
        if clock::now() < until {
            return None;
        }
        // Whoever moves the time on is the one that tries.
        let next = clock::after(limit.open);
        let moved = self.open_until_ms.compare_exchange(until, next, Ordering::Relaxed, Ordering::Relaxed);
        moved.is_ok().then_some(Pass::Trial)
    }

    /// Whether requests are refused, but for those that try whether it can close.
    pub(super) fn is_open(&self) -> bool {
        self.open_until_ms.load(Ordering::Relaxed) != 0
    }

    /// A request has ended. Whether the circuit opened or closed by it: `Some(true)` for opened.
    pub(super) fn ended(&self, limit: &ErrorLimit, pass: Pass, is_failure: bool) -> Option<bool> {
        if self.open_until_ms.load(Ordering::Relaxed) != 0 {
            // Requests from before it opened say nothing about what is now.
            if is_failure || pass == Pass::Usual {
                return None;
            }
            self.window_began_ms.store(0, Ordering::Relaxed);
            return (self.open_until_ms.swap(0, Ordering::Relaxed) != 0).then_some(false);
        }
        let now = clock::now();
        let began = self.window_began_ms.load(Ordering::Relaxed);
        if now.saturating_sub(began) >= limit.window.as_millis() as u64 {
            self.window_began_ms.store(now, Ordering::Relaxed);
            self.requests.store(0, Ordering::Relaxed);
            self.failures.store(0, Ordering::Relaxed);
        }
        let requests = self.requests.fetch_add(1, Ordering::Relaxed) + 1;
        let failures = self.failures.fetch_add(u32::from(is_failure), Ordering::Relaxed) + u32::from(is_failure);
        let is_too_much = requests >= limit.requests_min
            && u64::from(failures) * 100 >= u64::from(limit.percent) * u64::from(requests);
        (is_failure && is_too_much).then(|| {
            self.open_until_ms.store(clock::after(limit.open), Ordering::Relaxed);
            true
        })
    }
}

/// How a request came past a circuit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pass {
    /// It was closed.
    Usual,
    /// It was open, and this request tries whether it can close.
    Trial,
}

/// Retries that are allowed at the beginning.
const RESERVE: i64 = 10;
/// Most retries that can be saved up.
const SAVED_MAX: i64 = 1_000;
/// What a retry costs: a request pays in its percentage.
const PRICE: i64 = 100;

/// A budget for retries, filled by requests.
#[derive(Debug)]
pub(super) struct Budget(AtomicI64);

impl Default for Budget {
    fn default() -> Self {
        Self(AtomicI64::new(RESERVE * PRICE))
    }
}

impl Budget {
    /// A request pays in.
    pub(super) fn pay_in(&self, percent: u32) {
        if self.0.load(Ordering::Relaxed) < SAVED_MAX * PRICE {
            self.0.fetch_add(percent.into(), Ordering::Relaxed);
        }
    }

    /// Takes a retry out, if it is there.
    pub(super) fn take(&self) -> bool {
        let take = |left: i64| (left >= PRICE).then(|| left - PRICE);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn retries_never_exceed_their_budget() {
        let budget = Budget::default();
        let taken = (0..1_000).filter(|_| {
            budget.pay_in(20);
            budget.take()
        });
        assert_eq!(taken.count(), 10 + 200);
        let none = Budget::default();
        assert_eq!((0..1_000).filter(|_| none.take()).count(), 10);
    }

    #[test]
    fn a_circuit_opens_at_its_share_of_failures_and_closes_with_a_success() {
        let limit = ErrorLimit {
            percent: 50,
            window: Duration::from_secs(60),
            requests_min: 10,
            open: Duration::from_secs(60),
        };
        let circuit = Circuit::default();
        for number in 0..9 {
            assert_eq!(circuit.ended(&limit, Pass::Usual, number % 2 == 0), None, "{number}");
            assert_eq!(circuit.admits(&limit), Some(Pass::Usual));
        }
        assert_eq!(circuit.ended(&limit, Pass::Usual, true), Some(true));
        assert_eq!(circuit.admits(&limit), None);
        assert_eq!(circuit.ended(&limit, Pass::Usual, false), None, "an answer from before says nothing");
        circuit.open_until_ms.store(1, Ordering::Relaxed);
        assert_eq!([circuit.admits(&limit), circuit.admits(&limit)], [Some(Pass::Trial), None], "one may try");
        assert_eq!(circuit.ended(&limit, Pass::Trial, false), Some(false));
        assert_eq!(circuit.admits(&limit), Some(Pass::Usual));
    }
}
