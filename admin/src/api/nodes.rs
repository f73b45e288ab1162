//! `/nodes`: the gateways that follow the feeds.

use moongate_admin_store::records::{NodeRecord, Role};
use moongate_admin_store::{Entry, now_ms};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::call::{Call, List, Outcome, Reply};
use crate::time;

/// A gateway that said nothing for so long is gone, or cut off.
const SILENT_MS: i64 = 30_000;

/// A gateway.
#[derive(Serialize, JsonSchema)]
pub(crate) struct NodeView {
    /// Its name.
    name: String,
    /// The version of its program.
    version: String,
    /// The newest revision it was offered.
    revision: u64,
    /// The revision it serves.
    serving: u64,
    /// Whether it has been heard of lately.
    is_connected: bool,
    /// When it was last heard of.
    seen_at: String,
    /// Why it does not serve the newest revision.
    issues: Vec<Value>,
}

pub(crate) async fn list(call: Call) -> Outcome {
    call.need(Role::Viewer)?;
    let nodes = call.control.store().all::<NodeRecord>().await?;
    let now = now_ms();
    let items = nodes.into_iter().map(|stored| stored.record).map(|node| NodeView {
        name: node.id,
        version: node.version,
        revision: node.revision,
        serving: node.serving,
        is_connected: now - node.seen_ms < SILENT_MS,
        seen_at: time::text(node.seen_ms),
        issues: node.issues,
    });
    Reply::ok(List { items: items.collect(), next: None })
}

pub(crate) async fn delete(call: Call) -> Outcome {
    call.need(Role::Admin)?;
    let id = call.param("node").to_owned();
    let mut transaction = call.control.store().begin().await?;
    transaction.delete::<NodeRecord>("", &id, call.expect()?).await?;
    transaction.audit(&Entry::new(&call.access.actor, "node.delete", format!("nodes/{id}"))).await?;
    call.control.commit(transaction).await?;
    Reply::nothing()
}
