//! `/keys`: API keys. A key is shown once, when it is made; what is kept is its hash.

use moongate_admin_store::counter::CREDENTIALS;
use moongate_admin_store::records::{KeyRecord, Role, UsagePlanRecord};
use moongate_admin_store::{Entry, Expect, Stored};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::api::{check_name, expiry};
use crate::auth::{KEY_PREFIX, make};
use crate::call::{Call, List, Outcome, Reply};
use crate::problem::Problem;
use crate::publish::change::audited;
use crate::time;

/// A key as it is written.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeyInput {
    /// What people call it.
    #[schemars(length(min = 1, max = 255))]
    name: String,
    /// The usage plans it belongs to. Without any it opens every stage.
    #[serde(default)]
    #[schemars(length(max = 100))]
    plans: Vec<String>,
    /// Who has it.
    #[serde(default)]
    #[schemars(length(max = 255))]
    owner: String,
    /// Whether it is accepted.
    #[serde(default = "yes")]
    enabled: bool,
    /// Until when: a time, or how long it lasts (`90d`). Default: for ever.
    #[serde(default)]
    expires: Option<String>,
}

fn yes() -> bool {
    true
}

/// A key as it is shown.
#[derive(Serialize, JsonSchema)]
pub(crate) struct KeyView {
    /// Its id.
    id: String,
    /// The version for `If-Match`.
    version: i64,
    /// What people call it.
    name: String,
    /// Its first characters.
    prefix: String,
    /// Whether it is accepted.
    enabled: bool,
    /// The usage plans it belongs to.
    plans: Vec<String>,
    /// Who has it.
    owner: String,
    /// Until when.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<String>,
    /// When it was made.
    created_at: String,
}

/// A key that was just made.
#[derive(Serialize, JsonSchema)]
pub(crate) struct MadeKey {
    /// The key, shown this once.
    key: String,
    /// What is known about it from now on.
    #[serde(flatten)]
    view: KeyView,
}

fn view(stored: Stored<KeyRecord>) -> KeyView {
    let record = stored.record;
    KeyView {
        id: record.id,
        version: stored.version,
        name: record.name,
        prefix: record.prefix,
        enabled: record.enabled,
        plans: record.plans,
        owner: record.owner,
        expires: record.expires_ms.map(time::text),
        created_at: time::text(stored.created_ms),
    }
}

/// What the audit log shows of a key: all but its hash.
fn shown(record: &KeyRecord) -> serde_json::Value {
    json!({"name": record.name, "plans": record.plans, "owner": record.owner, "enabled": record.enabled, "expires_ms": record.expires_ms})
}

pub(crate) async fn list(call: Call) -> Outcome {
    call.need(Role::Viewer)?;
    let (limit, wanted) = (call.limit()?, call.query("name").unwrap_or_default());
    let mut after = call.query("after").unwrap_or_default().to_owned();
    let mut items: Vec<KeyView> = Vec::new();
    let mut next = None;
    'pages: loop {
        let page = call.control.store().list::<KeyRecord>("", &after, limit).await?;
        for stored in page.items {
            let is_in = call.query("plan").is_none_or(|plan| stored.record.plans.iter().any(|known| known == plan));
            if !is_in || !(stored.record.name.contains(wanted) || stored.record.id.contains(wanted)) {
                continue;
            }
            if items.len() == limit {
                next = items.last().map(|last| last.id.clone());
                break 'pages;
            }
            items.push(view(stored));
        }
        match page.next {
            Some(last) => after = last,
            None => break,
        }
    }
    Reply::ok(List { items, next })
}

async fn found(call: &Call) -> Result<Stored<KeyRecord>, Problem> {
    let id = call.param("key");
    call.control.store().get("", id).await?.ok_or_else(|| Problem::missing("key", id))
}

pub(crate) async fn show(call: Call) -> Outcome {
    call.need(Role::Viewer)?;
    let stored = found(&call).await?;
    let version = stored.version;
    Ok(Reply::ok(view(stored))?.etag(version))
}

async fn check(call: &Call, input: &KeyInput) -> Result<(), Problem> {
    check_name(&input.name, "/name")?;
    if input.owner.len() > 255 {
        return Err(Problem::field("/owner", "an owner has at most 255 bytes"));
    }
    if input.plans.len() > 100 {
        return Err(Problem::field("/plans", "a key belongs to at most 100 usage plans"));
    }
    for (index, plan) in input.plans.iter().enumerate() {
        if call.control.store().get::<UsagePlanRecord>("", plan).await?.is_none() {
            return Err(Problem::field(&format!("/plans/{index}"), format!("there is no usage plan `{plan}`")));
        }
    }
    Ok(())
}

pub(crate) async fn create(call: Call) -> Outcome {
    call.need(Role::Deployer)?;
    let input: KeyInput = call.body()?;
    check(&call, &input).await?;
    let made = make(KEY_PREFIX)
        .map_err(|_| Problem::new(http::StatusCode::SERVICE_UNAVAILABLE, "no_randomness", "no key can be made now"))?;
    let record = KeyRecord {
        id: made.id,
        name: input.name,
        prefix: made.prefix,
        hash: made.hash,
        enabled: input.enabled,
        expires_ms: expiry(input.expires.as_deref())?,
        plans: input.plans,
        owner: input.owner,
    };
    let stored = write(&call, record, Expect::Absent, "key.create").await?;
    let (version, location) = (stored.version, format!("{}/keys/{}", crate::router::API, stored.record.id));
    Ok(Reply::created(MadeKey { key: made.secret, view: view(stored) }, location)?.etag(version))
}

pub(crate) async fn patch(call: Call) -> Outcome {
    call.need(Role::Deployer)?;
    let stored = found(&call).await?;
    let mut record = stored.record;
    let current = KeyInput {
        name: record.name,
        plans: record.plans,
        owner: record.owner,
        enabled: record.enabled,
        expires: record.expires_ms.map(time::text),
    };
    let unchanged = current.expires.clone();
    let input: KeyInput = call.patched(current)?;
    check(&call, &input).await?;
    // An expiry that has passed may stay.
    if input.expires != unchanged {
        record.expires_ms = expiry(input.expires.as_deref())?;
    }
    (record.name, record.plans, record.owner, record.enabled) = (input.name, input.plans, input.owner, input.enabled);
    let expect = match call.expect()? {
        Expect::Anything => Expect::Version(stored.version),
        other => other,
    };
    let stored = write(&call, record, expect, "key.update").await?;
    let version = stored.version;
    Ok(Reply::ok(view(stored))?.etag(version))
}

async fn write(call: &Call, record: KeyRecord, expect: Expect, action: &str) -> Result<Stored<KeyRecord>, Problem> {
    let mut transaction = call.control.store().begin().await?;
    let before = transaction.get::<KeyRecord>("", &record.id).await?.map(|stored| shown(&stored.record));
    let changes = audited(&before.unwrap_or_default(), &shown(&record));
    let target = format!("keys/{}", record.id);
    let stored = transaction.put(record, expect).await?;
    transaction.raise(CREDENTIALS).await?;
    transaction.audit(&Entry::new(&call.access.actor, action, target).changes(changes)).await?;
    call.control.commit(transaction).await?;
    Ok(stored)
}

pub(crate) async fn delete(call: Call) -> Outcome {
    call.need(Role::Deployer)?;
    let id = call.param("key").to_owned();
    let mut transaction = call.control.store().begin().await?;
    transaction.delete::<KeyRecord>("", &id, call.expect()?).await?;
    transaction.raise(CREDENTIALS).await?;
    transaction.audit(&Entry::new(&call.access.actor, "key.delete", format!("keys/{id}"))).await?;
    call.control.commit(transaction).await?;
    Reply::nothing()
}
