//! What runs: find the key a caller shows, and whose it is.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use http::HeaderName;
use moongate_exchange::{Caller, Exchange, Kind, Rejection, query};
use sha2::{Digest, Sha256};

use super::{Credentials, DEFAULT_HEADER, KEY_BYTES_MAX};
use crate::Authorize;

/// Requires a known key and tells later stages whose it is.
#[derive(Debug)]
pub struct ApiKeyPolicy {
    source: Source,
    keys: Keys,
    given_out: Option<Arc<Credentials>>,
}

/// Where callers show their key.
#[derive(Clone, Debug)]
pub enum Source {
    /// In a header field.
    Header(HeaderName),
    /// In a query parameter.
    Query(Box<str>),
}

impl Default for Source {
    /// The header `x-api-key`, as in AWS.
    fn default() -> Self {
        Self::Header(HeaderName::from_static(DEFAULT_HEADER))
    }
}

/// The keys of a policy, by hash.
///
/// Looking a key up by its SHA-256 takes no longer for a key that is nearly right: whoever measures learns something about
/// the hash at most, and cannot choose keys by the start of their hash. No key is held in memory, either.
pub struct Keys(HashMap<KeyHash, Key>);

/// The SHA-256 of a key.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyHash([u8; 32]);

/// What is known about a key.
pub(super) struct Key {
    pub(super) id: Arc<str>,
    pub(super) is_enabled: bool,
}

impl ApiKeyPolicy {
    /// A policy that looks for one of the keys in one place.
    pub fn new(source: Source, keys: Keys) -> Self {
        Self { source, keys, given_out: None }
    }

    /// A policy that also accepts the keys that the control plane gives out.
    #[must_use]
    pub fn with_credentials(self, credentials: Arc<Credentials>) -> Self {
        Self { given_out: Some(credentials), ..self }
    }

    /// The id of a key, declared or given out.
    fn check(&self, key: &[u8], exchange: &Exchange) -> Result<Arc<str>, Rejection> {
        let Some(credentials) = &self.given_out else { return self.keys.check(key) };
        if self.keys.0.is_empty() || key.len() > KEY_BYTES_MAX || !self.keys.0.contains_key(&KeyHash::of(key)) {
            return credentials.check(key, exchange);
        }
        self.keys.check(key)
    }
}

impl Authorize for ApiKeyPolicy {
    fn authorize(&self, exchange: &Exchange, mut caller: Caller) -> Result<Caller, Rejection> {
        let id = match &self.source {
            Source::Header(name) => {
                let values = exchange.request.headers.get_all(name).iter().map(|value| value.as_bytes());
                self.check(only(values)?, exchange)?
            }
            Source::Query(name) => {
                let query = exchange.request.target.query().unwrap_or_default();
                let values = query::parameters(query).filter(|(known, _)| **known == **name).map(|(_, value)| value);
                self.check(only(values)?.as_bytes(), exchange)?
            }
        };
        caller.api_key_id = Some(id);
        Ok(caller)
    }

    fn sensitive_headers(&self) -> &[HeaderName] {
        match &self.source {
            Source::Header(name) => std::slice::from_ref(name),
            Source::Query(_) => &[],
        }
    }
}

/// The one value there must be. Of several, a proxy in front might have checked another than we do.
fn only<T>(mut values: impl Iterator<Item = T>) -> Result<T, Rejection> {
    let key = values.next().ok_or_else(|| refused("the request has no API key"))?;
    if values.next().is_some() {
        return Err(refused("the request has several API keys"));
    }
    Ok(key)
}

impl Keys {
    pub(super) fn new(keys: HashMap<KeyHash, Key>) -> Self {
        Self(keys)
    }

    /// The id of a key that somebody shows, in a request or through an authorizer (`usageIdentifierKey`).
    ///
    /// # Errors
    ///
    /// `INVALID_API_KEY` when the key is unknown, disabled or too long to be one. The detail never holds the key.
    pub fn check(&self, key: &[u8]) -> Result<Arc<str>, Rejection> {
        if key.len() > KEY_BYTES_MAX {
            return Err(refused("the API key is longer than any key can be"));
        }
        match self.0.get(&KeyHash::of(key)) {
            Some(Key { id, is_enabled: true }) => Ok(Arc::clone(id)),
            Some(Key { id, is_enabled: false }) => {
                Err(Rejection::new(Kind::InvalidApiKey, format!("the API key `{id}` is disabled")))
            }
            None => Err(refused("the API key is unknown")),
        }
    }
}

pub(super) fn refused(detail: &'static str) -> Rejection {
    Rejection::new(Kind::InvalidApiKey, detail)
}

impl KeyHash {
    /// The hash of a key.
    pub fn of(key: &[u8]) -> Self {
        Self(Sha256::digest(key).into())
    }

    /// A hash written as 64 hexadecimal digits, in either case; `None` for anything else.
    pub fn from_hexadecimal(digits: &str) -> Option<Self> {
        let (pairs, []) = digits.as_bytes().as_chunks::<2>() else { return None };
        let mut hash = [0; 32];
        if pairs.len() != hash.len() {
            return None;
        }
        let value = |digit: u8| char::from(digit).to_digit(16);
        for (byte, &[high, low]) in hash.iter_mut().zip(pairs) {
            *byte = (value(high)? * 16 + value(low)?) as u8;
        }
        Some(Self(hash))
    }
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyHash(..)")
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keys({} keys)", self.0.len())
    }
}
