//! What names a document: the SHA-256 of its canonical JSON.
//!
//! Two documents that say the same have the same digest, whatever the order of their keys, their spacing or their format.

use std::fmt;
use std::io::{self, Write};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::Digest as _;

/// Bytes of a SHA-256 (FIPS 180-4).
const DIGEST_BYTES: usize = 32;
/// What stands before the hexadecimal digits, so that another hash can be told apart later.
const PREFIX: &str = "sha256:";

/// The SHA-256 of a document's canonical JSON, written `sha256:` and 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest([u8; DIGEST_BYTES]);

/// Why there is no digest.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A value cannot be expressed in JSON: a mapping whose keys are not texts, or a failing `Serialize`.
    #[error("the value cannot be written as JSON")]
    NotJson(#[source] serde_json::Error),
    /// A text is not `sha256:` and 64 lower-case hexadecimal digits.
    #[error("`{0}` is not a digest: `sha256:` and 64 lower-case hexadecimal digits")]
    NotADigest(String),
}

impl Digest {
    /// The digest of a value.
    ///
    /// Canonical JSON after RFC 8785: no spaces, the keys of objects sorted by their UTF-16 code units, texts with the
    /// fewest escapes. Unlike there, whole numbers keep all their digits, and other numbers are written in the shortest
    /// form that reads back the same, as `serde_json` does.
    ///
    /// Cost: one copy of the value and one pass of SHA-256.
    ///
    /// # Errors
    ///
    /// [`Error::NotJson`] when the value cannot be expressed in JSON; documents of this crate always can.
    pub fn of(value: &impl Serialize) -> Result<Self, Error> {
        let value = serde_json::to_value(value).map_err(Error::NotJson)?;
        let mut hasher = Hasher(sha2::Sha256::new());
        write_canonical(&value, &mut hasher).map_err(|error| Error::NotJson(serde_json::Error::io(error)))?;
        Ok(Self(hasher.0.finalize().into()))
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8; DIGEST_BYTES] {
        &self.0
    }
}

/// Feeds what is written into the hash.
struct Hasher(sha2::Sha256);

impl Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn write_canonical(value: &Value, out: &mut impl Write) -> io::Result<()> {
    match value {
        Value::Array(items) => {
            let mut before: &[u8] = b"[";
            for item in items {
                out.write_all(before)?;
                write_canonical(item, out)?;
                before = b",";
            }
            out.write_all(if items.is_empty() { b"[]" } else { b"]" })
        }
        Value::Object(fields) => {
            let mut fields: Vec<(&String, &Value)> = fields.iter().collect();
            fields.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
            let mut before: &[u8] = b"{";
            for (key, value) in &fields {
                out.write_all(before)?;
                serde_json::to_writer(&mut *out, key)?;
                out.write_all(b":")?;
                write_canonical(value, out)?;
                before = b",";
            }
            out.write_all(if fields.is_empty() { b"{}" } else { b"}" })
        }
        scalar => Ok(serde_json::to_writer(out, scalar)?),
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(PREFIX)?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}

impl TryFrom<String> for Digest {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        let nibble = |digit: u8| match digit {
            b'0'..=b'9' => Some(digit - b'0'),
            b'a'..=b'f' => Some(digit - b'a' + 10),
            _ => None,
        };
        let digits = text.strip_prefix(PREFIX).map(str::as_bytes).filter(|digits| digits.len() == 2 * DIGEST_BYTES);
        let bytes = digits.and_then(|digits| {
            let mut bytes = [0; DIGEST_BYTES];
            for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
                *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
            }
            Some(bytes)
        });
        bytes.map(Self).ok_or(Error::NotADigest(text))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;

    fn canonical(value: &Value) -> String {
        let mut out = Vec::new();
        write_canonical(value, &mut out).expect("a vector takes everything");
        String::from_utf8(out).expect("JSON is UTF-8")
    }

    #[test]
    fn canonical_json_is_sorted_and_without_spaces() {
        let cases = [
            (json!({"b": 1, "a": [true, null, {}], "c": []}), r#"{"a":[true,null,{}],"b":1,"c":[]}"#),
            // U+1F600 is D83D DE00 in UTF-16 and so stands before U+FB33 (RFC 8785 section 3.2.3).
            (json!({"\u{fb33}": 1, "\u{1f600}": 2}), "{\"\u{1f600}\":2,\"\u{fb33}\":1}"),
            (json!("\u{7}\"\\/\n"), r#""\u0007\"\\/\n""#),
            (json!(u64::MAX), "18446744073709551615"),
            (json!(1.5), "1.5"),
        ];
        for (value, want) in cases {
            assert_eq!(canonical(&value), want);
        }
    }

    #[test]
    fn the_order_of_keys_does_not_change_a_digest() {
        let a: Value = serde_json::from_str(r#"{"x": 1, "y": {"p": [1, 2], "q": "s"}}"#).expect("JSON");
        let b: Value = serde_json::from_str(r#"{"y": {"q": "s", "p": [1, 2]}, "x": 1}"#).expect("JSON");
        let c: Value = serde_json::from_str(r#"{"y": {"q": "s", "p": [2, 1]}, "x": 1}"#).expect("JSON");
        assert_eq!(Digest::of(&a).expect("JSON"), Digest::of(&b).expect("JSON"));
        assert_ne!(Digest::of(&a).expect("JSON"), Digest::of(&c).expect("JSON"));
    }

    #[test]
    fn digests_read_and_print_alike() {
        let digest = Digest::of(&json!({})).expect("JSON");
        // SHA-256 of `{}`.
        let text = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
        assert_eq!(digest.to_string(), text);
        assert_eq!(serde_json::to_value(digest).expect("a text"), json!(text));
        assert_eq!(serde_json::from_value::<Digest>(json!(text)).expect("a digest"), digest);
    }

    #[test]
    fn malformed_digests_and_values_without_json_are_refused() {
        let upper = format!("sha256:{}", "A".repeat(64));
        for text in
            ["", "sha256:", "sha256:00", "sha512:00", &"0".repeat(64), &upper, &format!("sha256:{}", "é".repeat(32))]
        {
            assert!(matches!(Digest::try_from(text.to_owned()), Err(Error::NotADigest(_))), "{text}");
        }
        let keys_are_lists = BTreeMap::from([(vec![1], 1)]);
        assert!(matches!(Digest::of(&keys_are_lists), Err(Error::NotJson(_))));
    }
}
