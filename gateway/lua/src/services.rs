//! What scripts reach of the gateway beside the request: the clock, random numbers, meters, secrets.
//!
//! A bank is built with [`Services`]: the gateway's own, or those of a spec, whose clock stands still and whose random numbers
//! can be told beforehand. A [`Tenant`] says whose data and secrets a script uses; nothing leads from one tenant to another.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use parking_lot::Mutex;

use crate::cache::Caches;
use crate::store::{MemoryStore, Store};

/// Most meters of one tenant: names come from scripts, and every one is kept.
const METERS_PER_TENANT_MAX: usize = 64;

/// Most meters at all.
const METERS_MAX: usize = 10_000;

/// Tells the time.
pub trait Clock: Send + Sync {
    /// Now. Must not block.
    fn now(&self) -> SystemTime;
}

/// Gives random bytes.
pub trait Random: Send + Sync {
    /// Fills `bytes`. Must not block.
    fn fill(&self, bytes: &mut [u8]);
}

/// What scripts reach of the gateway beside the request.
#[derive(Clone)]
pub struct Services {
    /// The clock of `gate.time` and of tokens.
    pub clock: Arc<dyn Clock>,
    /// Where `gate.crypto.random` and `gate.uuid` take theirs from.
    pub random: Arc<dyn Random>,
    /// What `gate.meter` counts into.
    pub meters: Arc<Meters>,
    /// Where `gate.store` keeps what it is given.
    pub store: Arc<dyn Store>,
    /// Where `gate.cache` does.
    pub caches: Arc<Caches>,
}

impl Default for Services {
    fn default() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            random: Arc::new(SystemRandom),
            meters: Arc::default(),
            store: Arc::new(MemoryStore::default()),
            caches: Arc::default(),
        }
    }
}

impl fmt::Debug for Services {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Services")
    }
}

/// The machine's clock.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }
}

/// OpenSSL's generator, seeded by the system.
#[derive(Clone, Copy, Debug)]
pub struct SystemRandom;

impl Random for SystemRandom {
    fn fill(&self, bytes: &mut [u8]) {
        // It fails when the system gives no seed at all, which it would have said when the process began.
        openssl::rand::rand_bytes(bytes).expect("OpenSSL's generator was seeded when the process began");
    }
}

/// Whose data, meters and secrets a script uses.
#[derive(Clone, Default)]
pub struct Tenant {
    /// The API, and the plugin in it: `orders`, `orders/plugin/hmac-auth`. Prefix of everything kept for it.
    pub name: Arc<str>,
    /// The secrets it may ask for: by the reference its settings hold, or the name its API declares.
    pub secrets: Arc<HashMap<Box<str>, Box<str>>>,
}

impl Tenant {
    /// A tenant without secrets.
    pub fn new(name: &str) -> Self {
        Self { name: name.into(), secrets: Arc::default() }
    }
}

impl fmt::Debug for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tenant({}, {} secrets)", self.name, self.secrets.len())
    }
}

/// The meters of one tenant.
type OwnMeters = HashMap<Box<str>, f64>;

/// A meter: tenant, name, sum.
pub type Meter = (Arc<str>, Box<str>, f64);

/// Counters that scripts add to: by tenant and name.
#[derive(Debug, Default)]
pub struct Meters(Mutex<HashMap<Arc<str>, OwnMeters>>);

/// A meter that scripts cannot have: there are too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooMany;

impl Meters {
    /// Adds to a meter.
    ///
    /// # Errors
    ///
    /// When it is a new one and the tenant, or the process, has as many as it may have.
    pub fn add(&self, tenant: &Arc<str>, name: &str, amount: f64) -> Result<(), TooMany> {
        let mut meters = self.0.lock();
        if let Some(value) = meters.get_mut(tenant).and_then(|own| own.get_mut(name)) {
            *value += amount;
            return Ok(());
        }
        let count: usize = meters.values().map(HashMap::len).sum();
        let own = meters.entry(Arc::clone(tenant)).or_default();
        if own.len() >= METERS_PER_TENANT_MAX || count >= METERS_MAX {
            return Err(TooMany);
        }
        own.insert(name.into(), amount);
        Ok(())
    }

    /// Every meter, sorted.
    pub fn all(&self) -> Vec<Meter> {
        let meters = self.0.lock();
        let own = |(tenant, own): (&Arc<str>, &OwnMeters)| {
            own.iter().map(|(name, sum)| (Arc::clone(tenant), name.clone(), *sum)).collect::<Vec<_>>()
        };
        let mut all: Vec<_> = meters.iter().flat_map(own).collect();
        all.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn meters_add_up_and_are_bounded() {
        let meters = Meters::default();
        let (a, b): (Arc<str>, Arc<str>) = ("a".into(), "b".into());
        for index in 0..METERS_PER_TENANT_MAX {
            meters.add(&a, &format!("m{index}"), 1.0).expect("below the limit");
        }
        assert_eq!(meters.add(&a, "one more", 1.0), Err(TooMany));
        meters.add(&a, "m0", 1.5).expect("it is there");
        meters.add(&b, "m0", 7.0).expect("another tenant's");
        let all = meters.all();
        assert_eq!((all.len(), all[0].2, all.last().map(|last| last.2)), (METERS_PER_TENANT_MAX + 1, 2.5, Some(7.0)));
    }
}
