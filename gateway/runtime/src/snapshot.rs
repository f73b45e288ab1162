//! A published revision, compiled: all that a request looks at, swapped as a whole.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use foldhash::fast::RandomState;
use moongate_exchange::Exchange;
use tokio::sync::watch;

use crate::plan::{SitePlan, StagePlan};

/// The label behind an API's id in its own host name: `{api}.execute-api.localhost`.
const EXECUTE_API: &str = "execute-api";

/// One revision of everything that is served.
///
/// A request takes it once, before anything else, and keeps it to its end: routing, canary and mapping always agree.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// The revision's number; 0 before anything was published.
    pub revision: u64,
    /// APIs by id.
    pub apis: HashMap<Box<str>, ApiSites, RandomState>,
    /// Custom domains by host name, lower case; `*.example.com` for one label.
    pub domains: HashMap<Box<str>, Box<[DomainMapping]>, RandomState>,
}

/// An API's stages. Cloning it clones pointers.
#[derive(Clone, Debug)]
pub struct ApiSites {
    /// Stages by name. Few: a list.
    pub stages: Box<[(Box<str>, StagePlan)]>,
    /// The stage that `/{api}/...` on the default domain reaches: an index into `stages`.
    pub default_stage: usize,
}

/// A base path of a custom domain and what it leads to. Sorted by length, longest first.
#[derive(Clone, Debug)]
pub struct DomainMapping {
    /// The base path without a slash at its end: `` or `/orders/v2`.
    pub base_path: Box<str>,
    /// The API on its stage.
    pub site: StagePlan,
}

/// The place where the newest snapshot is.
#[derive(Debug, Default)]
pub struct Published {
    newest: ArcSwap<Snapshot>,
    revision: watch::Sender<u64>,
}

impl Published {
    /// The newest snapshot.
    pub fn load(&self) -> Arc<Snapshot> {
        self.newest.load_full()
    }

    /// Replaces the snapshot. Requests under way keep theirs; the old one goes when the last of them ends.
    pub fn store(&self, snapshot: Snapshot) {
        let revision = snapshot.revision;
        self.newest.store(Arc::new(snapshot));
        self.revision.send_replace(revision);
    }

    /// Hears of every new snapshot's revision.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.revision.subscribe()
    }
}

impl Snapshot {
    /// The API and stage a request is for (with a canary, the arm that takes it), and how many bytes at the start of its path say so.
    ///
    /// In this order: a custom domain and its longest base path; `{api}.execute-api.…` with the stage as first segment (or a
    /// `$default` stage without one); on any other host the API's id as first segment, which is not needed where there is one API only.
    pub fn site(&self, exchange: &Exchange) -> Option<(&SitePlan, usize)> {
        let path = exchange.request.target.path();
        let host = moongate_exchange::context::domain_name(exchange).unwrap_or_default();
        if !self.domains.is_empty()
            && let Some(mappings) = self.domain(host)
        {
            let mapping = mappings.iter().find(|mapping| is_under(path, &mapping.base_path))?;
            return Some((mapping.site.arm(exchange), mapping.base_path.len()));
        }
        if let Some((api, rest)) = host.split_once('.')
            && rest.get(..EXECUTE_API.len()).is_some_and(|label| label.eq_ignore_ascii_case(EXECUTE_API))
            && rest.as_bytes().get(EXECUTE_API.len()) == Some(&b'.')
        {
            let api = self.apis.get(api).or_else(|| self.apis.get(&*api.to_ascii_lowercase()))?;
            let (stage, prefix) = api.by_path(path)?;
            return Some((stage.arm(exchange), prefix));
        }
        if let Some((api, prefix)) = first_segment(path)
            && let Some(api) = self.apis.get(api)
        {
            return Some((api.stages[api.default_stage].1.arm(exchange), prefix));
        }
        let mut apis = self.apis.values();
        let (Some(api), None) = (apis.next(), apis.next()) else { return None };
        Some((api.stages[api.default_stage].1.arm(exchange), 0))
    }

    fn domain(&self, host: &str) -> Option<&[DomainMapping]> {
        let lower;
        let host = if host.bytes().any(|b| b.is_ascii_uppercase()) {
            lower = host.to_ascii_lowercase();
            lower.as_str()
        } else {
            host
        };
        if let Some(mappings) = self.domains.get(host) {
            return Some(mappings);
        }
        let (_, parent) = host.split_once('.')?;
        self.domains.get(&*format!("*.{parent}")).map(|mappings| &**mappings)
    }

    /// This snapshot with what `other` has beside it. Where both have an API or a domain, this one's stays, and so does its revision.
    #[must_use]
    pub fn merged(&self, other: &Self) -> Self {
        let mut merged = Self { revision: self.revision, apis: other.apis.clone(), domains: other.domains.clone() };
        merged.apis.extend(self.apis.iter().map(|(id, api)| (id.clone(), api.clone())));
        merged.domains.extend(self.domains.iter().map(|(name, mappings)| (name.clone(), mappings.clone())));
        merged
    }

    /// Everything that takes requests: every API on every stage, canaries too.
    pub fn sites(&self) -> impl Iterator<Item = &Arc<SitePlan>> {
        self.stages()
            .flat_map(|stage| std::iter::once(&stage.stable).chain(stage.canary.as_ref().map(|canary| &canary.site)))
    }

    /// Every API on every stage.
    pub fn stages(&self) -> impl Iterator<Item = &StagePlan> {
        self.apis.values().flat_map(|api| api.stages.iter().map(|(_, stage)| stage))
    }
}

impl ApiSites {
    fn by_path(&self, path: &str) -> Option<(&StagePlan, usize)> {
        if let Some((stage, prefix)) = first_segment(path)
            && let Some((_, site)) = self.stages.iter().find(|(name, _)| **name == *stage)
        {
            return Some((site, prefix));
        }
        let (_, site) = self.stages.iter().find(|(name, _)| **name == *moongate_config::StageName::DEFAULT)?;
        Some((site, 0))
    }
}

/// The first segment of a path and how many bytes it takes with its slash.
fn first_segment(path: &str) -> Option<(&str, usize)> {
    let rest = path.strip_prefix('/')?;
    let segment = rest.split('/').next()?;
    (!segment.is_empty()).then_some((segment, segment.len() + 1))
}

fn is_under(path: &str, base_path: &str) -> bool {
    path.strip_prefix(base_path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_paths_end_at_segments() {
        assert!(is_under("/orders", "/orders"));
        assert!(is_under("/orders/1", "/orders"));
        assert!(!is_under("/orders2", "/orders"));
        assert!(is_under("/x", ""));
    }
}
