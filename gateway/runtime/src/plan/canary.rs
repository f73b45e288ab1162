//! A stage with two arms: what it serves, and a deployment on trial that takes a share of its requests.

use std::sync::Arc;

use http::header::COOKIE;
use moongate_config::revision::StickyKey;
use moongate_exchange::Exchange;
use moongate_exchange::counters::Totals;

use crate::plan::SitePlan;

/// Shares are counted in hundredths of a percent.
const WHOLE: u64 = 10_000;

/// An API on one of its stages, with its canary. Cloning it clones pointers.
#[derive(Clone, Debug)]
pub struct StagePlan {
    /// What the stage serves.
    pub stable: Arc<SitePlan>,
    /// What is on trial.
    pub canary: Option<Arc<CanaryPlan>>,
}

/// A deployment on trial.
#[derive(Debug)]
pub struct CanaryPlan {
    /// What it serves.
    pub site: Arc<SitePlan>,
    /// Its share, in hundredths of a percent.
    share: u64,
    /// What keeps a caller on one side.
    sticky: Option<StickyKey>,
    /// Begins the hash of every caller, so that each trial chooses others.
    salt: u64,
    /// The trial's name, for whoever reports its counts.
    pub trial: Box<str>,
    /// What the stable arm had counted when this plan was made.
    pub before: Box<Totals>,
}

impl StagePlan {
    /// A stage without a canary.
    pub fn new(stable: Arc<SitePlan>) -> Self {
        Self { stable, canary: None }
    }

    /// The arm that takes a request.
    ///
    /// The same caller gets the same arm from every gateway, and who is on the canary stays there while its share grows.
    pub fn arm(&self, exchange: &Exchange) -> &SitePlan {
        match &self.canary {
            Some(canary) if canary.takes(exchange) => &canary.site,
            _ => &self.stable,
        }
    }
}

impl CanaryPlan {
    /// A trial of `percent` of the requests. Both sides begin to count.
    pub fn new(
        stable: &SitePlan,
        site: Arc<SitePlan>,
        percent: f64,
        sticky: Option<StickyKey>,
        trial: impl Into<Box<str>>,
    ) -> Self {
        stable.stage.counters.start();
        site.stage.counters.start();
        let before = Box::new(stable.stage.counters.totals().unwrap_or_default());
        let trial = trial.into();
        // A float that is out of range or no number becomes the nearest share (`as` saturates, NaN is 0).
        let share = ((percent * 100.0).round() as u64).min(WHOLE);
        Self { site, share, sticky, salt: hash(OFFSET, trial.as_bytes()), trial, before }
    }

    fn takes(&self, exchange: &Exchange) -> bool {
        let caller = self.sticky.as_ref().and_then(|key| value(key, exchange));
        let hash = match caller {
            Some(caller) => hash(self.salt, caller),
            None => hash(self.salt, exchange.id.as_str().as_bytes()),
        };
        mix(hash) % WHOLE < self.share
    }
}

/// What identifies the caller, where the request says it.
fn value<'a>(key: &StickyKey, exchange: &'a Exchange) -> Option<&'a [u8]> {
    let headers = &exchange.request.headers;
    let value = match key {
        StickyKey::Ip => exchange.connection.peer_ip_text().as_bytes(),
        StickyKey::Header(name) => headers.get(name.as_str())?.as_bytes(),
        StickyKey::Cookie(name) => {
            let pairs = headers.get_all(COOKIE).iter().flat_map(|line| line.as_bytes().split(|byte| *byte == b';'));
            let mut values =
                pairs.filter_map(|pair| pair.trim_ascii().strip_prefix(name.as_bytes())?.strip_prefix(b"="));
            values.next()?
        }
    };
    (!value.is_empty()).then_some(value)
}

/// The offset basis of 64-bit FNV-1a (Fowler, Noll, Vo; RFC 9923).
const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;

/// 64-bit FNV-1a: the same on every machine and in every version, unlike the standard library's.
fn hash(start: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(start, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

/// The finalizer of MurmurHash3 (Austin Appleby): short texts differ in few bits of an FNV hash, here in all.
fn mix(mut hash: u64) -> u64 {
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_kept_and_callers_stay_while_a_share_grows() {
        let salt = hash(OFFSET, b"orders/prod/1");
        let place = |caller: u32| mix(hash(salt, format!("user-{caller}").as_bytes())) % WHOLE;
        for percent in [1_u64, 10, 50] {
            let taken = (0..100_000).filter(|caller| place(*caller) < percent * 100).count() as f64 / 1000.0;
            assert!((taken - percent as f64).abs() < 0.5, "{percent} % measured {taken} %");
        }
        let other = hash(OFFSET, b"orders/prod/2");
        let both = (0..100_000)
            .filter(|caller| {
                place(*caller) < 1000 && mix(hash(other, format!("user-{caller}").as_bytes())) % WHOLE < 1000
            })
            .count();
        assert!((800..1200).contains(&both), "two trials choose their callers independently: {both}");
    }
}
