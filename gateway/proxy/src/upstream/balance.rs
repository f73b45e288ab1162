//! Which address a request goes to.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use moongate_config::upstream::BalancePolicy;

use crate::upstream::endpoint::Endpoint;

/// Longest schedule. Weights that would need a longer one are rounded.
const SCHEDULE_MAX: u32 = 4_096;

/// The addresses of an upstream at a time. Immutable: replaced as a whole when names lead elsewhere.
#[derive(Debug, Default)]
pub(super) struct Endpoints {
    pub(super) list: Box<[Arc<Endpoint>]>,
    /// Indices into the list, each as often as its weight says, evenly spread.
    schedule: Box<[u16]>,
    /// When it should be asked again where the names lead; `None` where there are only addresses.
    pub(super) until: Option<Instant>,
    /// Why there is none.
    pub(super) failure: Option<(Box<str>, &'static str)>,
}

impl Endpoints {
    pub(super) fn new(
        list: Vec<Arc<Endpoint>>,
        until: Option<Instant>,
        failure: Option<(Box<str>, &'static str)>,
    ) -> Self {
        let schedule = schedule(&list.iter().map(|endpoint| endpoint.weight).collect::<Vec<_>>());
        Self { list: list.into(), schedule, until, failure }
    }

    /// The address for a request: one that is available, and none of those that were tried if there is another. When none is
    /// available all are as good as each other: something is better than nothing.
    pub(super) fn pick(
        &self,
        policy: BalancePolicy,
        cursor: &AtomicU64,
        hash: Option<u64>,
        tried: &[Arc<Endpoint>],
    ) -> Option<&Arc<Endpoint>> {
        if let [only] = &*self.list {
            return Some(only);
        }
        let is_new = |endpoint: &Arc<Endpoint>| !tried.iter().any(|tried| Arc::ptr_eq(tried, endpoint));
        let choose = |allowed: &dyn Fn(&Arc<Endpoint>) -> bool| match (policy, hash) {
            (BalancePolicy::Hash, Some(hash)) => self.by_hash(hash, allowed),
            (BalancePolicy::LeastRequest, _) => self.less_busy(cursor, allowed),
            _ => self.next(cursor.fetch_add(1, Ordering::Relaxed), allowed),
        };
        choose(&|endpoint| endpoint.is_available() && is_new(endpoint))
            .or_else(|| choose(&is_new))
            .or_else(|| choose(&|endpoint| endpoint.is_available()))
            .or_else(|| choose(&|_| true))
    }

    /// The first allowed one from a place of the schedule on.
    fn next(&self, from: u64, allowed: &dyn Fn(&Arc<Endpoint>) -> bool) -> Option<&Arc<Endpoint>> {
        let length = self.schedule.len();
        let start = (from % length.max(1) as u64) as usize;
        let order = self.schedule[start..].iter().chain(&self.schedule[..start]);
        order.map(|index| &self.list[usize::from(*index)]).find(|endpoint| allowed(endpoint))
    }

    /// The less busy of two drawn by chance, weights being the chance (Mitzenmacher: "The power of two choices", 2001).
    fn less_busy(&self, cursor: &AtomicU64, allowed: &dyn Fn(&Arc<Endpoint>) -> bool) -> Option<&Arc<Endpoint>> {
        let draw = scramble(cursor.fetch_add(1, Ordering::Relaxed));
        let first = self.next(draw & u64::from(u32::MAX), allowed)?;
        let other = |endpoint: &Arc<Endpoint>| !Arc::ptr_eq(endpoint, first) && allowed(endpoint);
        let Some(second) = self.next(draw >> 32, &other) else { return Some(first) };
        let busy = |endpoint: &Endpoint| endpoint.active.load(Ordering::Relaxed);
        Some(if busy(second) < busy(first) { second } else { first })
    }

    /// Weighted rendezvous hashing (Thaler, Ravishankar 1998; weights after Schindelhauer, Schomaker 2005): every address draws a
    /// number from the key, the best one wins. When an address goes, only its keys move, to where they would have gone without
    /// it; no ring has to be built or agreed on. Cost: some nanoseconds per address.
    fn by_hash(&self, hash: u64, allowed: &dyn Fn(&Arc<Endpoint>) -> bool) -> Option<&Arc<Endpoint>> {
        let mut best: Option<(f64, &Arc<Endpoint>)> = None;
        for endpoint in self.list.iter().filter(|endpoint| allowed(endpoint)) {
            // In (0, 1): 52 bits of a mixed number.
            let draw = ((scramble(hash ^ endpoint.seed) >> 12) as f64 + 0.5) / (1_u64 << 52) as f64;
            let score = f64::from(endpoint.weight) / -draw.ln();
            if best.is_none_or(|(highest, _)| score > highest) {
                best = Some((score, endpoint));
            }
        }
        best.map(|(_, endpoint)| endpoint)
    }
}

/// The finalizer of SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014).
pub(super) fn scramble(number: u64) -> u64 {
    let z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Indices as often as weights say, as far from each other as they can be (nginx's smooth weighted round robin).
fn schedule(weights: &[u32]) -> Box<[u16]> {
    let divisor = weights.iter().copied().fold(0, greatest_common_divisor).max(1);
    let total: u64 = weights.iter().map(|weight| u64::from(weight / divisor)).sum();
    let shrink = |weight: u32| {
        let weight = u64::from(weight / divisor);
        let limit = u64::from(SCHEDULE_MAX);
        if total <= limit { weight as i64 } else { (weight * limit / total).max(1) as i64 }
    };
    let weights: Vec<i64> = weights.iter().map(|weight| shrink(*weight)).collect();
    let total: i64 = weights.iter().sum();
    let mut current = vec![0_i64; weights.len()];
    let mut order = Vec::with_capacity(total as usize);
    for _ in 0..total {
        let mut best = 0;
        for (index, weight) in weights.iter().enumerate() {
            current[index] += weight;
            if current[index] > current[best] {
                best = index;
            }
        }
        current[best] -= total;
        order.push(best as u16);
    }
    order.into()
}

fn greatest_common_divisor(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn endpoints(weights: &[u32]) -> Endpoints {
        let endpoint = |(index, weight): (usize, &u32)| {
            let address = format!("10.0.0.{index}:80").parse().expect("an address");
            Arc::new(Endpoint::new(address, index, *weight, scramble(index as u64), 1))
        };
        Endpoints::new(weights.iter().enumerate().map(endpoint).collect(), None, None)
    }

    fn picks(endpoints: &Endpoints, policy: BalancePolicy, hashes: impl Iterator<Item = u64>) -> HashMap<usize, usize> {
        let cursor = AtomicU64::new(0);
        let mut counts = HashMap::new();
        for hash in hashes {
            let picked = endpoints.pick(policy, &cursor, Some(scramble(hash)), &[]).expect("an endpoint");
            *counts.entry(picked.target).or_default() += 1;
        }
        counts
    }

    #[test]
    fn weights_are_kept_and_turns_are_spread() {
        assert_eq!(*schedule(&[5, 1, 1]), [0, 0, 1, 0, 2, 0, 0]);
        assert_eq!(*schedule(&[10, 10]), [0, 1]);
        assert!(schedule(&[1_000; 256]).len() == 256 && schedule(&[999, 1, 1_000, 7].repeat(40)).len() <= 4_200);
        let three = endpoints(&[3, 1]);
        let counts = picks(&three, BalancePolicy::RoundRobin, 0..400);
        assert_eq!((counts[&0], counts[&1]), (300, 100));
        let counts = picks(&three, BalancePolicy::Hash, 0..40_000);
        assert!((29_000..31_000).contains(&counts[&0]), "{counts:?}");
    }

    #[test]
    fn a_key_stays_when_another_target_goes() {
        let all = endpoints(&[1; 5]);
        let cursor = AtomicU64::new(0);
        let place = |hash| all.pick(BalancePolicy::Hash, &cursor, Some(hash), &[]).map(|endpoint| endpoint.target);
        let before: Vec<_> = (0..1_000).map(|hash| place(scramble(hash))).collect();
        all.list[2].connect_failed();
        let after: Vec<_> = (0..1_000).map(|hash| place(scramble(hash))).collect();
        for (before, after) in before.iter().zip(&after) {
            assert_ne!(*after, Some(2));
            assert!(*before == Some(2) || before == after, "{before:?} became {after:?}");
        }
    }

    #[test]
    fn the_busy_one_gets_less_and_the_broken_one_nothing() {
        let two = endpoints(&[1, 1, 1]);
        two.list[0].active.store(50, Ordering::Relaxed);
        two.list[1].connect_failed();
        let counts = picks(&two, BalancePolicy::LeastRequest, 0..100);
        assert_eq!((counts.get(&0), counts.get(&1), counts.get(&2)), (None, None, Some(&100)));
    }

    #[test]
    fn another_one_is_tried_and_any_is_better_than_none() {
        let two = endpoints(&[1, 1]);
        let cursor = AtomicU64::new(0);
        for _ in 0..4 {
            let tried = [Arc::clone(&two.list[0])];
            let picked = two.pick(BalancePolicy::RoundRobin, &cursor, None, &tried).expect("an endpoint");
            assert_eq!(picked.target, 1);
        }
        two.list.iter().for_each(|endpoint| endpoint.connect_failed());
        assert!(two.pick(BalancePolicy::RoundRobin, &cursor, None, &[]).is_some());
        assert!(Endpoints::default().pick(BalancePolicy::RoundRobin, &cursor, None, &[]).is_none());
    }
}
