//! `/audit`: who did what.

use moongate_admin_store::audit::Logged;
use moongate_admin_store::records::Role;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::call::{Call, List, Outcome, Reply};
use crate::time;

/// Something that was done.
#[derive(Serialize, JsonSchema)]
pub(crate) struct AuditView {
    /// Its place in the log, from 1.
    sequence: i64,
    /// When.
    at: String,
    /// Who.
    user: String,
    /// With which token.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    /// From where.
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    /// In which request.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
    /// What: `api.update`, `stage.deploy`.
    action: String,
    /// To what: `apis/orders`.
    target: String,
    /// In words.
    summary: String,
    /// Which values, each with its JSON pointer, `from` and `to`.
    changes: Vec<Value>,
    /// The chain's hash up to here.
    hash: String,
}

/// What following the chain found.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Verified {
    /// Whether every entry is as it was written, and none is missing.
    intact: bool,
    /// How many entries were looked at.
    entries: i64,
    /// The first entry that is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    broken_at: Option<i64>,
    /// The last hash: kept elsewhere, it shows later that nothing was cut off.
    head: String,
}

fn view(logged: Logged) -> AuditView {
    let Logged { sequence, entry, hash } = logged;
    AuditView {
        sequence,
        at: time::text(entry.at_ms),
        user: entry.actor.user,
        token: entry.actor.token,
        address: entry.actor.address,
        request_id: entry.actor.request_id,
        action: entry.action,
        target: entry.target,
        summary: entry.summary,
        changes: entry.changes.iter().filter_map(|change| serde_json::to_value(change).ok()).collect(),
        hash,
    }
}

pub(crate) async fn list(call: Call) -> Outcome {
    call.need(Role::Viewer)?;
    let limit = call.limit()?;
    let before =
        call.number("before", 1, i64::MAX as u64)?.and_then(|before| i64::try_from(before).ok()).unwrap_or(i64::MAX);
    let (target, user) = (call.query("target").unwrap_or_default(), call.query("user").unwrap_or_default());
    let mut found = call.control.store().audit(before, target.trim_end_matches('/'), user, limit + 1).await?;
    let has_more = found.len() > limit;
    found.truncate(limit);
    let next = has_more.then(|| found.last().map(|last| last.sequence.to_string())).flatten();
    Reply::ok(List { items: found.into_iter().map(view).collect(), next })
}

pub(crate) async fn verify(call: Call) -> Outcome {
    call.need(Role::Viewer)?;
    let verdict = call.control.store().verify_audit().await?;
    let intact = verdict.broken_at.is_none();
    Reply::ok(Verified { intact, entries: verdict.entries, broken_at: verdict.broken_at, head: verdict.head })
}
