//! `/revisions`: what was served when, what changed, and going back.

use std::collections::HashMap;
use std::sync::Arc;

use moongate_admin_store::RevisionRow;
use moongate_admin_store::records::Role;
use moongate_config::{Digest, Manifest};
use schemars::JsonSchema;
use serde::Serialize;

use crate::api::apis::Differences;
use crate::call::{Call, List, Outcome, Reply};
use crate::diff;
use crate::problem::Problem;
use crate::publish::history;
use crate::time;

/// A revision in a list.
#[derive(Serialize, JsonSchema)]
pub(crate) struct RevisionView {
    /// Its number.
    revision: u64,
    /// What made it.
    cause: String,
    /// Who made it.
    author: String,
    /// Since when it was served.
    created_at: String,
}

fn view(row: RevisionRow) -> RevisionView {
    RevisionView { revision: row.number, cause: row.cause, author: row.author, created_at: time::text(row.created_ms) }
}

pub(crate) async fn list(call: Call) -> Outcome {
    call.need(Role::Viewer)?;
    let store = call.control.store();
    if let Some(moment) = call.moment("at")? {
        let found = store.revision_at(moment).await?;
        return Reply::ok(List { items: found.into_iter().map(view).collect(), next: None });
    }
    let limit = call.limit()?;
    let before = call.number("before", 1, i64::MAX as u64)?.unwrap_or(i64::MAX as u64);
    let mut rows = store.revisions(before, limit + 1).await?;
    let has_more = rows.len() > limit;
    rows.truncate(limit);
    let next = has_more.then(|| rows.last().map(|row| row.number.to_string())).flatten();
    Reply::ok(List { items: rows.into_iter().map(view).collect(), next })
}

fn number(call: &Call) -> Result<u64, Problem> {
    let text = call.param("revision");
    text.parse().map_err(|_| Problem::missing("revision", text))
}

async fn manifest(call: &Call, revision: u64) -> Result<Manifest, Problem> {
    let found = call.control.store().manifest(revision).await?;
    found.ok_or_else(|| Problem::missing("revision", &revision.to_string()))
}

pub(crate) async fn show(call: Call) -> Outcome {
    call.need(Role::Viewer)?;
    Reply::ok(manifest(&call, number(&call)?).await?)
}

pub(crate) async fn diff(call: Call) -> Outcome {
    call.need(Role::Viewer)?;
    let revision = number(&call)?;
    let after = manifest(&call, revision).await?;
    let before = match call.number("from", 0, i64::MAX as u64)?.unwrap_or(revision.saturating_sub(1)) {
        0 => Manifest::default(),
        from => manifest(&call, from).await?,
    };
    let (before, after) = diff::changed_only(&before, &after);
    let mut deployments = HashMap::new();
    for stage in before.apis.values().chain(after.apis.values()).flat_map(|api| &api.stages) {
        if let Some(found) = call.control.store().deployment(&stage.deployment).await? {
            deployments.insert(stage.deployment, Arc::new(found));
        }
    }
    let lookup = |digest: &Digest| deployments.get(digest).cloned();
    Reply::ok(Differences { changes: diff::manifests(&before, &after, &lookup) })
}

pub(crate) async fn restore(call: Call) -> Outcome {
    call.need(Role::Deployer)?;
    let is_dry_run = call.flag("dry_run")?;
    Reply::ok(history::restore(&call.control, &call.access, number(&call)?, is_dry_run).await?)
}
