//! What scripts keep between requests: the store, and its form in memory.
//!
//! A store is shared by all requests of a tenant, and by all nodes where its backend is. The interface lets a backend answer at once
//! or later, so that a store in memory costs no waiting and one in a network does not block.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use parking_lot::Mutex;

use crate::services::{Clock, SystemClock};

/// Longest key, in bytes.
pub const KEY_BYTES_MAX: usize = 512;

/// Longest value, in bytes.
pub const VALUE_BYTES_MAX: usize = 1024 * 1024;

/// Longest time something is kept: thirty days.
pub const TTL_MAX: Duration = Duration::from_secs(30 * 86_400);

/// Most bytes that the entries of one tenant may take, keys and values.
const TENANT_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Most bytes that all entries may take.
const BYTES_MAX: usize = 512 * 1024 * 1024;

/// What an entry takes beside key and value, in bytes, roughly.
const ENTRY_BYTES: usize = 128;

/// Most expired entries that one operation clears away.
const CLEARED_MAX: usize = 32;

/// Something to do with one key.
#[derive(Clone, Debug, PartialEq)]
pub struct StoreOperation {
    /// Whose key.
    pub tenant: Arc<str>,
    /// The key, at most [`KEY_BYTES_MAX`] bytes.
    pub key: Bytes,
    /// What to do.
    pub action: StoreAction,
}

/// What to do with a key. Every entry ends: a time to live is at most [`TTL_MAX`].
#[derive(Clone, Debug, PartialEq)]
pub enum StoreAction {
    /// Reads the value: [`StoreReply::Value`].
    Get,
    /// Sets the value: [`StoreReply::Nothing`].
    Set {
        /// At most [`VALUE_BYTES_MAX`] bytes.
        value: Bytes,
        /// How long it is kept.
        ttl: Duration,
    },
    /// Sets the value unless there is one, atomically: [`StoreReply::Flag`] says whether it was set.
    Add {
        /// At most [`VALUE_BYTES_MAX`] bytes.
        value: Bytes,
        /// How long it is kept.
        ttl: Duration,
    },
    /// Adds to a number, atomically; one that is not there is 0, and only that is given the time to live: [`StoreReply::Number`].
    Increment {
        /// What to add.
        by: f64,
        /// How long a new number is kept.
        ttl: Duration,
    },
    /// Gives an entry another time to live: [`StoreReply::Flag`] says whether it was there.
    Expire {
        /// How long it is kept from now on.
        ttl: Duration,
    },
    /// Removes an entry: [`StoreReply::Flag`] says whether it was there.
    Delete,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq)]
pub enum StoreReply {
    /// It is done.
    Nothing,
    /// Yes or no.
    Flag(bool),
    /// The number as it is now.
    Number(f64),
    /// The value, if there is one.
    Value(Option<Bytes>),
}

/// Why nothing came of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// There is no room left.
    #[error("the store is full")]
    Full,
    /// The value is not a number.
    #[error("the value is not a number")]
    NotANumber,
    /// The backend does not answer, or with an error.
    #[error("the store cannot be reached: {0}")]
    Unavailable(Box<str>),
}

/// A reply that has to be waited for. It must come within the backend's own deadline, a second at most.
pub type Wait = Pin<Box<dyn Future<Output = Result<StoreReply, StoreError>> + Send>>;

/// An operation, begun.
pub enum Begun {
    /// It is done already.
    Done(Result<StoreReply, StoreError>),
    /// It has to be waited for.
    Waits(Wait),
}

/// Keeps entries of scripts.
pub trait Store: Send + Sync {
    /// Begins an operation. Must not block.
    fn begin(&self, operation: StoreOperation) -> Begun;
}

/// A store in this process's memory: other nodes do not see it, and it ends with the process.
pub struct MemoryStore {
    clock: Arc<dyn Clock>,
    tenants: Mutex<Tenants>,
}

#[derive(Default)]
struct Tenants {
    entries: HashMap<Arc<str>, Entries>,
    bytes: usize,
}

#[derive(Default)]
struct Entries {
    by_key: HashMap<Bytes, Entry>,
    /// When entries end; the number tells those of one moment apart.
    ends: BTreeMap<(SystemTime, u64), Bytes>,
    bytes: usize,
    next: u64,
}

struct Entry {
    value: Held,
    ends: (SystemTime, u64),
}

enum Held {
    Text(Bytes),
    Number(f64),
}

impl Held {
    fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Number(_) => 8,
        }
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new(Arc::new(SystemClock))
    }
}

impl MemoryStore {
    /// An empty store that goes by that clock.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, tenants: Mutex::default() }
    }
}

impl Store for MemoryStore {
    fn begin(&self, operation: StoreOperation) -> Begun {
        let now = self.clock.now();
        let mut tenants = self.tenants.lock();
        let Tenants { entries, bytes } = &mut *tenants;
        let own = entries.entry(operation.tenant).or_default();
        *bytes -= own.bytes;
        own.clear_expired(now);
        let room = TENANT_BYTES_MAX.min(BYTES_MAX.saturating_sub(*bytes));
        let done = own.act(operation.key, operation.action, now, room);
        *bytes += own.bytes;
        Begun::Done(done)
    }
}

impl Entries {
    fn clear_expired(&mut self, now: SystemTime) {
        for _ in 0..CLEARED_MAX {
            let Some(first) = self.ends.first_entry().filter(|first| first.key().0 <= now) else { return };
            let key = first.remove();
            if let Some(entry) = self.by_key.remove(&key) {
                self.bytes -= key.len() + entry.value.len() + ENTRY_BYTES;
            }
        }
    }

    fn get(&self, key: &Bytes, now: SystemTime) -> Option<&Entry> {
        self.by_key.get(key).filter(|entry| entry.ends.0 > now)
    }

    fn remove(&mut self, key: &Bytes) -> bool {
        let Some(entry) = self.by_key.remove(key) else { return false };
        self.ends.remove(&entry.ends);
        self.bytes -= key.len() + entry.value.len() + ENTRY_BYTES;
        true
    }

    fn put(&mut self, key: Bytes, value: Held, until: SystemTime, room: usize) -> Result<(), StoreError> {
        self.remove(&key);
        let bytes = key.len() + value.len() + ENTRY_BYTES;
        if self.bytes + bytes > room {
            return Err(StoreError::Full);
        }
        self.bytes += bytes;
        self.next += 1;
        let ends = (until, self.next);
        self.ends.insert(ends, key.clone());
        self.by_key.insert(key, Entry { value, ends });
        Ok(())
    }

    fn act(&mut self, key: Bytes, action: StoreAction, now: SystemTime, room: usize) -> Result<StoreReply, StoreError> {
        let until = |ttl: Duration| now + ttl.min(TTL_MAX);
        match action {
            StoreAction::Get => Ok(StoreReply::Value(self.get(&key, now).map(|entry| match &entry.value {
                Held::Text(text) => text.clone(),
                Held::Number(number) => number.to_string().into(),
            }))),
            StoreAction::Set { value, ttl } => {
                self.put(key, Held::Text(value), until(ttl), room).map(|()| StoreReply::Nothing)
            }
            StoreAction::Add { value, ttl } => {
                if self.get(&key, now).is_some() {
                    return Ok(StoreReply::Flag(false));
                }
                self.put(key, Held::Text(value), until(ttl), room).map(|()| StoreReply::Flag(true))
            }
            StoreAction::Increment { by, ttl } => {
                let (before, until) = match self.get(&key, now) {
                    None => (0.0, until(ttl)),
                    Some(Entry { value: Held::Number(number), ends }) => (*number, ends.0),
                    Some(Entry { value: Held::Text(text), ends }) => {
                        let number = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
                        (number.ok_or(StoreError::NotANumber)?, ends.0)
                    }
                };
                self.put(key, Held::Number(before + by), until, room).map(|()| StoreReply::Number(before + by))
            }
            StoreAction::Expire { ttl } => {
                if self.get(&key, now).is_none() {
                    return Ok(StoreReply::Flag(false));
                }
                self.next += 1;
                let ends = (until(ttl), self.next);
                if let Some(entry) = self.by_key.get_mut(&key) {
                    self.ends.remove(&entry.ends);
                    entry.ends = ends;
                }
                self.ends.insert(ends, key);
                Ok(StoreReply::Flag(true))
            }
            StoreAction::Delete => {
                let is_there = self.get(&key, now).is_some();
                self.remove(&key);
                Ok(StoreReply::Flag(is_there))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct At(Mutex<SystemTime>);

    impl Clock for At {
        fn now(&self) -> SystemTime {
            *self.0.lock()
        }
    }

    const TTL: Duration = Duration::from_secs(10);

    fn act(store: &MemoryStore, tenant: &str, key: &str, action: StoreAction) -> Result<StoreReply, StoreError> {
        let operation = StoreOperation { tenant: tenant.into(), key: Bytes::copy_from_slice(key.as_bytes()), action };
        match store.begin(operation) {
            Begun::Done(done) => done,
            Begun::Waits(_) => panic!("memory does not wait"),
        }
    }

    fn value(text: &str) -> Result<StoreReply, StoreError> {
        Ok(StoreReply::Value(Some(Bytes::copy_from_slice(text.as_bytes()))))
    }

    #[test]
    fn entries_live_until_their_time_is_over() {
        let clock = Arc::new(At(Mutex::new(SystemTime::UNIX_EPOCH)));
        let store = MemoryStore::new(Arc::clone(&clock) as Arc<dyn Clock>);
        let set = |text: &'static str| StoreAction::Set { value: text.into(), ttl: TTL };
        assert_eq!(act(&store, "a", "k", set("1")), Ok(StoreReply::Nothing));
        assert_eq!(act(&store, "a", "k", StoreAction::Get), value("1"));
        assert_eq!(act(&store, "b", "k", StoreAction::Get), Ok(StoreReply::Value(None)), "another tenant's");
        assert_eq!(
            act(&store, "a", "k", StoreAction::Add { value: "2".into(), ttl: TTL }),
            Ok(StoreReply::Flag(false))
        );
        assert_eq!(act(&store, "a", "k", StoreAction::Increment { by: 2.0, ttl: TTL }), Ok(StoreReply::Number(3.0)));
        *clock.0.lock() += TTL / 2;
        assert_eq!(act(&store, "a", "k", StoreAction::Increment { by: 1.0, ttl: TTL }), Ok(StoreReply::Number(4.0)));
        *clock.0.lock() += TTL / 2;
        assert_eq!(act(&store, "a", "k", StoreAction::Get), Ok(StoreReply::Value(None)), "counting does not prolong");
        assert_eq!(act(&store, "a", "k", StoreAction::Expire { ttl: TTL }), Ok(StoreReply::Flag(false)));
        assert_eq!(act(&store, "a", "k", StoreAction::Add { value: "x".into(), ttl: TTL }), Ok(StoreReply::Flag(true)));
        assert_eq!(act(&store, "a", "k", StoreAction::Increment { by: 1.0, ttl: TTL }), Err(StoreError::NotANumber));
        assert_eq!(act(&store, "a", "k", StoreAction::Expire { ttl: TTL * 2 }), Ok(StoreReply::Flag(true)));
        *clock.0.lock() += TTL;
        assert_eq!(act(&store, "a", "k", StoreAction::Get), value("x"));
        assert_eq!(act(&store, "a", "k", StoreAction::Delete), Ok(StoreReply::Flag(true)));
        assert_eq!(act(&store, "a", "k", StoreAction::Delete), Ok(StoreReply::Flag(false)));
        assert_eq!(store.tenants.lock().bytes, 0);
    }

    #[test]
    fn a_full_store_says_so_and_has_room_again_when_entries_end() {
        let clock = Arc::new(At(Mutex::new(SystemTime::UNIX_EPOCH)));
        let store = MemoryStore::new(Arc::clone(&clock) as Arc<dyn Clock>);
        let large = Bytes::from(vec![0; VALUE_BYTES_MAX]);
        let set = || StoreAction::Set { value: large.clone(), ttl: TTL };
        let stored = (0..200).take_while(|index| act(&store, "a", &index.to_string(), set()).is_ok()).count();
        assert!((50..64).contains(&stored), "{stored}");
        assert_eq!(act(&store, "a", "more", set()), Err(StoreError::Full));
        assert_eq!(act(&store, "b", "other", set()), Ok(StoreReply::Nothing));
        *clock.0.lock() += TTL;
        assert_eq!(act(&store, "a", "more", set()), Ok(StoreReply::Nothing));
    }
}
