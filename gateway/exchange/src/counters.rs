//! What a stage counts about its requests, for comparing a canary with what it may replace.
//!
//! Counting is off until somebody asks for it, and then costs a few relaxed additions to a shard of the thread's own: no two workers
//! write the same cache line. Durations go into buckets that grow by a quarter, so that a percentile is known to within that.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

/// Shards; threads beyond that share.
const SHARDS: usize = 32;

/// Buckets of durations: up to [`bound`]`(BUCKETS - 1)`, over a minute. What takes longer counts in the last.
pub const BUCKETS: usize = 80;

/// Durations up to 80 microseconds share the first bucket.
const FIRST_EXPONENT: u32 = 6;

/// Counts of one stage.
#[derive(Debug, Default)]
pub struct Counters(OnceLock<Box<[Shard]>>);

/// One thread's share. 128 bytes: processors fetch cache lines in pairs.
#[derive(Debug)]
#[repr(align(128))]
struct Shard {
    requests: AtomicU64,
    client_errors: AtomicU64,
    server_errors: AtomicU64,
    durations: [AtomicU64; BUCKETS],
}

/// The sum over all threads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Totals {
    /// Requests that were answered.
    pub requests: u64,
    /// Of these, with a status from 400 to 499.
    pub client_errors: u64,
    /// Of these, with a status from 500 to 599.
    pub server_errors: u64,
    /// How many fell into each bucket of durations.
    pub durations: [u64; BUCKETS],
}

impl Default for Shard {
    fn default() -> Self {
        let durations = [const { AtomicU64::new(0) }; BUCKETS];
        Self {
            requests: AtomicU64::new(0),
            client_errors: AtomicU64::new(0),
            server_errors: AtomicU64::new(0),
            durations,
        }
    }
}

impl Default for Totals {
    fn default() -> Self {
        Self { requests: 0, client_errors: 0, server_errors: 0, durations: [0; BUCKETS] }
    }
}

impl Totals {
    /// Adds other counts.
    pub fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.client_errors += other.client_errors;
        self.server_errors += other.server_errors;
        self.durations.iter_mut().zip(&other.durations).for_each(|(sum, count)| *sum += count);
    }

    /// What was counted since `before`, which are older counts of the same stage.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        let mut durations = self.durations;
        durations.iter_mut().zip(&before.durations).for_each(|(now, then)| *now = now.saturating_sub(*then));
        Self {
            requests: self.requests.saturating_sub(before.requests),
            client_errors: self.client_errors.saturating_sub(before.client_errors),
            server_errors: self.server_errors.saturating_sub(before.server_errors),
            durations,
        }
    }
}

impl Counters {
    /// Begins to count.
    pub fn start(&self) {
        self.0.get_or_init(|| (0..SHARDS).map(|_| Shard::default()).collect());
    }

    /// Counts a request that was answered. Nothing happens unless counting was begun.
    pub fn count(&self, status: u16, duration: Duration) {
        let Some(shards) = self.0.get() else { return };
        let shard = &shards[shard_index()];
        shard.requests.fetch_add(1, Ordering::Relaxed);
        match status {
            400..=499 => drop(shard.client_errors.fetch_add(1, Ordering::Relaxed)),
            500..=599 => drop(shard.server_errors.fetch_add(1, Ordering::Relaxed)),
            _ => {}
        }
        shard.durations[bucket(duration)].fetch_add(1, Ordering::Relaxed);
    }

    /// The sum over all threads; `None` when nothing is counted.
    pub fn totals(&self) -> Option<Totals> {
        let shards = self.0.get()?;
        let mut totals = Totals::default();
        for shard in shards {
            totals.requests += shard.requests.load(Ordering::Relaxed);
            totals.client_errors += shard.client_errors.load(Ordering::Relaxed);
            totals.server_errors += shard.server_errors.load(Ordering::Relaxed);
            for (sum, count) in totals.durations.iter_mut().zip(&shard.durations) {
                *sum += count.load(Ordering::Relaxed);
            }
        }
        Some(totals)
    }
}

/// Each thread's shard, given out in turn.
fn shard_index() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static MINE: usize = NEXT.fetch_add(1, Ordering::Relaxed) % SHARDS;
    }
    MINE.with(|mine| *mine)
}

/// The bucket of a duration: four for each doubling.
fn bucket(duration: Duration) -> usize {
    let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX).max(1 << FIRST_EXPONENT);
    let exponent = micros.ilog2();
    let quarter = (micros >> (exponent - 2)) & 3;
    (((exponent - FIRST_EXPONENT) * 4) as usize + quarter as usize).min(BUCKETS - 1)
}

/// The duration below which everything in a bucket lies.
pub fn bound(bucket: usize) -> Duration {
    let bucket = bucket.min(BUCKETS - 1) as u32;
    let (exponent, quarter) = (FIRST_EXPONENT + bucket / 4, u64::from(bucket % 4));
    Duration::from_micros((4 + quarter + 1) << (exponent - 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_duration_lies_below_its_bucket_s_bound_and_not_below_the_one_before() {
        for micros in (0..200_000).chain([1_000_000, 59_999_999, 67_000_000]) {
            let duration = Duration::from_micros(micros);
            let at = bucket(duration);
            assert!(duration < bound(at), "{micros}");
            assert!(at == 0 || duration >= bound(at - 1), "{micros}");
        }
        assert_eq!(bucket(Duration::MAX), BUCKETS - 1);
    }

    #[test]
    fn counts_of_all_threads_are_added_up() {
        let counters = Counters::default();
        counters.count(200, Duration::ZERO);
        assert_eq!(counters.totals(), None, "nothing is counted before it was begun");
        counters.start();
        std::thread::scope(|scope| {
            for status in [200, 404, 500, 503] {
                let counters = &counters;
                scope.spawn(move || (0..1000).for_each(|_| counters.count(status, Duration::from_millis(3))));
            }
        });
        let totals = counters.totals().expect("counting was begun");
        assert_eq!((totals.requests, totals.client_errors, totals.server_errors), (4000, 1000, 2000));
        assert_eq!(totals.durations.iter().sum::<u64>(), 4000);
    }
}
