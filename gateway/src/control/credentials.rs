//! Taking credentials: API keys and usage plans, without anything being compiled.

use std::sync::Arc;

use moongate_admin::publish::feed::CredentialFeed;
use moongate_policy::api_key::{Credential, CredentialSet, KeyHash};

use crate::control::{Follower, Pauses, WAIT};

/// A version that no control plane is ever at.
const NOTHING_KNOWN: i64 = 9_000_000_000_000_000;

/// Uses the credentials that were kept.
pub(super) fn restore(follower: &Follower) {
    match follower.known_good.credentials() {
        Ok(Some(kept)) => follower.credentials.store(set(kept)),
        Ok(None) => {}
        // Failure closes: without them no key opens anything.
        Err(error) => {
            let error = format!("{error:#}");
            tracing::error!(
                error,
                "the kept credentials cannot be used: no API key is accepted until they are fetched"
            );
        }
    }
}

/// Follows until the process ends.
pub(super) fn follow(follower: &Arc<Follower>) {
    let mut pauses = Pauses::new("the credentials");
    // Not the kept version: a control plane that was put back from a backup may have another set under it.
    let mut known = NOTHING_KNOWN;
    loop {
        match follower.feed.credentials(known, WAIT) {
            Ok(found) => {
                pauses.went_well();
                let Some(feed) = found else { continue };
                known = feed.version;
                follower.credentials.store(set(feed.clone()));
                if let Err(error) = follower.known_good.keep_credentials(&feed) {
                    tracing::error!(error = %format!("{error:#}"), "credentials cannot be kept");
                }
            }
            Err(error) => pauses.failed(&error),
        }
    }
}

fn set(feed: CredentialFeed) -> CredentialSet {
    let keys = feed.keys.into_iter().filter_map(|key| {
        let credential = Credential {
            id: key.id.as_str().into(),
            is_enabled: key.enabled,
            expires: key.expires_ms.map(Credential::moment),
            plans: key.plans.iter().map(|plan| plan.as_str().into()).collect(),
        };
        Some((KeyHash::from_hexadecimal(&key.hash)?, credential))
    });
    let plans = feed.plans.into_iter().map(|(id, plan)| {
        let stages = plan.stages.iter().map(|stage| (stage.api.as_str().into(), stage.stage.as_str().into()));
        (id.into(), stages.collect())
    });
    CredentialSet { keys: keys.collect(), plans: plans.collect() }
}
