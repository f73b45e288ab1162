//! The id every request gets, and every response shows in `x-request-id`.

use std::cell::Cell;
use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::SystemTime;

use http::HeaderValue;

/// A request's id: a UUID version 7 (RFC 9562 section 5.7), so that ids sort by time.
///
/// Unique, not secret: the random part comes from a fast generator seeded by the operating system once per thread.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestId([u8; 36]);

thread_local! {
    static STATE: Cell<u64> = Cell::new(RandomState::new().build_hasher().finish());
}

impl RequestId {
    /// A new id, stamped with the time given.
    pub fn new(now: SystemTime) -> Self {
        let millis = now.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
        let (a, b) = STATE.with(|state| {
            let seed = state.get();
            state.set(seed.wrapping_add(2));
            (split_mix(seed), split_mix(seed.wrapping_add(1)))
        });
        let mut raw = [0_u8; 16];
        raw[..6].copy_from_slice(&millis.to_be_bytes()[2..]);
        raw[6..8].copy_from_slice(&a.to_be_bytes()[..2]);
        raw[8..].copy_from_slice(&b.to_be_bytes());
        raw[6] = 0x70 | (raw[6] & 0x0f);
        raw[8] = 0x80 | (raw[8] & 0x3f);
        Self(hyphenated(raw))
    }

    /// The id as 36 characters: hexadecimal digits and hyphens.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("hexadecimal digits and hyphens are ASCII")
    }

    /// The id as a header's value.
    pub fn header_value(&self) -> HeaderValue {
        HeaderValue::from_bytes(&self.0).expect("hexadecimal digits and hyphens are visible ASCII")
    }
}

/// The finalizer of SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014) over a counter.
fn split_mix(counter: u64) -> u64 {
    let mut z = counter.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn hyphenated(raw: [u8; 16]) -> [u8; 36] {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut text = [b'-'; 36];
    let mut at = 0;
    for (index, byte) in raw.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            at += 1;
        }
        text[at] = HEX[usize::from(byte >> 4)];
        text[at + 1] = HEX[usize::from(byte & 15)];
        at += 2;
    }
    text
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_are_version_7_uuids_that_differ_and_sort_by_time() {
        let now = SystemTime::now();
        let ids: HashSet<_> = (0..10_000).map(|_| RequestId::new(now)).collect();
        assert_eq!(ids.len(), 10_000);
        let id = RequestId::new(now);
        let text = id.as_str();
        assert_eq!(text.len(), 36);
        assert_eq!(&text[14..15], "7");
        assert!(matches!(&text[19..20], "8" | "9" | "a" | "b"), "{text}");
        let later = RequestId::new(now + std::time::Duration::from_millis(5));
        assert!(id.as_str() < later.as_str());
    }
}
