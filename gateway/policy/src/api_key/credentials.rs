//! API keys that the control plane gives out: they come and go without anything being compiled again.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use moongate_exchange::{Exchange, Kind, Rejection};

use super::KEY_BYTES_MAX;
use super::policy::{KeyHash, refused};

/// The newest set of keys. Requests read it without waiting, and whoever follows the control plane replaces it as a whole.
#[derive(Debug, Default)]
pub struct Credentials(ArcSwap<CredentialSet>);

/// Stages that a usage plan opens, as API and stage.
pub type Opened = Box<[(Box<str>, Box<str>)]>;

/// A set of keys, by hash.
#[derive(Default)]
pub struct CredentialSet {
    /// The keys.
    pub keys: HashMap<KeyHash, Credential>,
    /// What each usage plan opens.
    pub plans: HashMap<Box<str>, Opened>,
}

/// What is known about a key that was given out.
#[derive(Clone, Debug)]
pub struct Credential {
    /// Its id.
    pub id: Arc<str>,
    /// Whether it is accepted at all.
    pub is_enabled: bool,
    /// Until when.
    pub expires: Option<SystemTime>,
    /// The usage plans it belongs to. Without any it opens every stage.
    pub plans: Box<[Box<str>]>,
}

impl Credentials {
    /// Replaces all keys.
    pub fn store(&self, set: CredentialSet) {
        self.0.store(Arc::new(set));
    }

    /// The id of a key that somebody shows.
    ///
    /// # Errors
    ///
    /// `INVALID_API_KEY` when the key is unknown, disabled, expired, or belongs to usage plans that do not open this stage. The detail
    /// never holds the key.
    pub(super) fn check(&self, key: &[u8], exchange: &Exchange) -> Result<Arc<str>, Rejection> {
        if key.len() > KEY_BYTES_MAX {
            return Err(refused("the API key is longer than any key can be"));
        }
        let set = self.0.load();
        let Some(credential) = set.keys.get(&KeyHash::of(key)) else {
            return Err(refused("the API key is unknown"));
        };
        let no = |why: &str| {
            let detail = format!("the API key `{}` {why}", credential.id);
            Err(Rejection::new(Kind::InvalidApiKey, detail))
        };
        if !credential.is_enabled {
            return no("is disabled");
        }
        if credential.expires.is_some_and(|expires| exchange.arrived_at >= expires) {
            return no("has expired");
        }
        let (api, stage) =
            exchange.matched.as_ref().map_or(("", ""), |matched| (&*matched.route.api_id, &*matched.stage.name));
        let opens = |plan: &str| {
            set.plans.get(plan).is_some_and(|stages| stages.iter().any(|(a, s)| **a == *api && **s == *stage))
        };
        if !credential.plans.is_empty() && !credential.plans.iter().any(|plan| opens(plan)) {
            return no("belongs to no usage plan of this stage");
        }
        Ok(Arc::clone(&credential.id))
    }
}

impl fmt::Debug for CredentialSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CredentialSet({} keys, {} plans)", self.keys.len(), self.plans.len())
    }
}

impl Credential {
    /// A moment given in milliseconds since 1970.
    pub fn moment(epoch_ms: i64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(epoch_ms).unwrap_or(0))
    }
}
