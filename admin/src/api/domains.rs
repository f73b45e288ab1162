//! `/domains`: custom domains and where their base paths lead. Changes are live at once.

use moongate_admin_store::Entry;
use moongate_admin_store::records::Role;
use moongate_config::Digest;
use moongate_config::domain::{BasePathMapping, DomainConfig};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::deployments::newest_manifest;
use crate::call::{Call, List, Outcome, Reply};
use crate::problem::Problem;
use crate::publish::change::Draft;

/// A domain as it is written.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DomainInput {
    /// Which base path leads where.
    mappings: Vec<BasePathMapping>,
}

/// A domain as it is shown.
#[derive(Serialize, JsonSchema)]
pub(crate) struct DomainView {
    /// The host name.
    domain: String,
    /// The version for `If-Match`.
    version: String,
    /// Which base path leads where.
    mappings: Vec<BasePathMapping>,
}

fn view(domain: &DomainConfig) -> DomainView {
    DomainView { domain: domain.domain.clone(), version: tag(domain), mappings: domain.mappings.clone() }
}

fn tag(domain: &DomainConfig) -> String {
    Digest::of(domain).map(|digest| digest.to_string()).unwrap_or_default()
}

pub(crate) async fn list(call: Call) -> Outcome {
    call.need(Role::Viewer)?;
    let manifest = newest_manifest(&call.control).await?;
    Reply::ok(List { items: manifest.domains.values().map(view).collect(), next: None })
}

pub(crate) async fn show(call: Call) -> Outcome {
    call.need(Role::Viewer)?;
    let manifest = newest_manifest(&call.control).await?;
    let name = call.param("domain");
    let domain = manifest.domains.get(name).ok_or_else(|| Problem::missing("domain", name))?;
    Ok(Reply::ok(view(domain))?.etag(tag(domain)))
}

pub(crate) async fn put(call: Call) -> Outcome {
    call.need(Role::Deployer)?;
    let DomainInput { mappings } = call.body()?;
    let name = call.param("domain").to_owned();
    change(&call, Some(DomainConfig { domain: name, mappings }), call.flag("dry_run")?).await
}

pub(crate) async fn delete(call: Call) -> Outcome {
    call.need(Role::Deployer)?;
    change(&call, None, false).await
}

async fn change(call: &Call, domain: Option<DomainConfig>, is_dry_run: bool) -> Outcome {
    let name = call.param("domain");
    let mut draft = Draft::begin(&call.control).await?;
    let current = draft.manifest.domains.get(name);
    call.matches(
        current
            .map(|current| (tag(current), current))
            .as_ref()
            .map(|(tag, current)| (tag.as_str(), serde_json::to_value(current).unwrap_or_default())),
    )?;
    let (action, words) = match domain {
        Some(domain) => {
            draft.manifest.domains.insert(name.to_owned(), domain);
            ("domain.update", "map")
        }
        None if draft.manifest.domains.remove(name).is_none() => return Err(Problem::missing("domain", name)),
        None => ("domain.delete", "remove"),
    };
    draft.entry(Entry::new(&call.access.actor, action, format!("domains/{name}")));
    Reply::ok(draft.publish(&format!("{words} the domain {name}"), &call.access, is_dry_run).await?)
}
