//! What scripts keep on this node to save work: entries that may go at any time.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use parking_lot::Mutex;

/// Most bytes that the entries of one tenant take, keys and values.
const TENANT_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Most tenants that have a cache. All caches go when there are more.
const TENANTS_MAX: usize = 4096;

/// What an entry takes beside key and value, in bytes, roughly.
const ENTRY_BYTES: usize = 96;

/// The caches of all tenants.
///
/// Two generations each: entries go into the young one; when that holds half of what the cache may, it becomes the old one and the
/// old one goes. What is read from the old one is young again. So what is used stays, at the cost of two look-ups.
#[derive(Default)]
pub struct Caches(Mutex<HashMap<Arc<str>, Cache>>);

#[derive(Default)]
struct Cache {
    young: HashMap<Bytes, Entry>,
    old: HashMap<Bytes, Entry>,
    young_bytes: usize,
}

#[derive(Clone)]
struct Entry {
    value: Bytes,
    until: SystemTime,
}

impl Caches {
    /// The value of a key.
    pub fn get(&self, tenant: &Arc<str>, key: &[u8], now: SystemTime) -> Option<Bytes> {
        let mut caches = self.0.lock();
        let cache = caches.get_mut(tenant)?;
        if let Some(entry) = cache.young.get(key) {
            return (entry.until > now).then(|| entry.value.clone());
        }
        let (key, entry) = cache.old.remove_entry(key)?;
        if entry.until <= now {
            return None;
        }
        let value = entry.value.clone();
        cache.put(key, entry);
        Some(value)
    }

    /// Keeps a value, for at most that long.
    pub fn set(&self, tenant: &Arc<str>, key: Bytes, value: Bytes, now: SystemTime, ttl: Duration) {
        let mut caches = self.0.lock();
        if caches.len() >= TENANTS_MAX && !caches.contains_key(tenant) {
            caches.clear();
        }
        let cache = caches.entry(Arc::clone(tenant)).or_default();
        cache.old.remove(&key);
        cache.put(key, Entry { value, until: now + ttl });
    }

    /// Forgets a value.
    pub fn remove(&self, tenant: &Arc<str>, key: &[u8]) {
        let mut caches = self.0.lock();
        let Some(cache) = caches.get_mut(tenant) else { return };
        cache.old.remove(key);
        if let Some((key, entry)) = cache.young.remove_entry(key) {
            cache.young_bytes -= size(&key, &entry);
        }
    }
}

fn size(key: &Bytes, entry: &Entry) -> usize {
    key.len() + entry.value.len() + ENTRY_BYTES
}

impl Cache {
    fn put(&mut self, key: Bytes, entry: Entry) {
        let bytes = size(&key, &entry);
        if bytes > TENANT_BYTES_MAX / 2 {
            return;
        }
        if let Some((key, entry)) = self.young.remove_entry(&key) {
            self.young_bytes -= size(&key, &entry);
        }
        if self.young_bytes + bytes > TENANT_BYTES_MAX / 2 {
            self.old = std::mem::take(&mut self.young);
            self.young_bytes = 0;
        }
        self.young_bytes += bytes;
        self.young.insert(key, entry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TTL: Duration = Duration::from_secs(10);

    #[test]
    fn entries_end_and_belong_to_their_tenant() {
        let (caches, now) = (Caches::default(), SystemTime::UNIX_EPOCH);
        let (a, b): (Arc<str>, Arc<str>) = ("a".into(), "b".into());
        caches.set(&a, "k".into(), "v".into(), now, TTL);
        assert_eq!(caches.get(&a, b"k", now), Some("v".into()));
        assert_eq!(caches.get(&b, b"k", now), None);
        assert_eq!(caches.get(&a, b"k", now + TTL), None);
        caches.set(&a, "k".into(), "w".into(), now, TTL);
        caches.remove(&a, b"k");
        assert_eq!(caches.get(&a, b"k", now), None);
    }

    #[test]
    fn what_is_used_stays_and_the_rest_goes() {
        let (caches, now) = (Caches::default(), SystemTime::UNIX_EPOCH);
        let tenant: Arc<str> = "a".into();
        caches.set(&tenant, "used".into(), "v".into(), now, TTL);
        caches.set(&tenant, "unused".into(), "v".into(), now, TTL);
        for index in 0..100 {
            caches.set(&tenant, index.to_string().into(), vec![0; 256 * 1024].into(), now, TTL);
            assert!(caches.get(&tenant, b"used", now).is_some(), "after {index}");
        }
        assert_eq!(caches.get(&tenant, b"unused", now), None);
        let caches = caches.0.lock();
        let cache = &caches[&tenant];
        let bytes: usize = cache.young.iter().chain(&cache.old).map(|(key, entry)| size(key, entry)).sum();
        assert!(bytes <= TENANT_BYTES_MAX, "{bytes}");
    }
}
