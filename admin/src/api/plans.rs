//! `/usage-plans`: what the holders of API keys may call. Changes travel with the credentials and compile nothing.

use moongate_admin_store::counter::CREDENTIALS;
use moongate_admin_store::records::{KeyRecord, Role, UsagePlanRecord};
use moongate_admin_store::{Entry, Stored};
use moongate_config::usage_plan::{Throttle, UsagePlanConfig};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::api::{check_id, check_name};
use crate::call::{Call, List, Outcome, Reply};
use crate::problem::Problem;
use crate::publish::change::audited;
use crate::time;

/// A usage plan as it is written.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(transparent)]
pub(crate) struct PlanInput(UsagePlanConfig);

/// A usage plan as it is shown.
#[derive(Serialize, JsonSchema)]
pub(crate) struct PlanView {
    /// Its id.
    id: String,
    /// The version for `If-Match`.
    version: i64,
    /// What it allows.
    plan: UsagePlanConfig,
    /// When it was made.
    created_at: String,
    /// When it was last written.
    updated_at: String,
}

fn view(stored: Stored<UsagePlanRecord>) -> PlanView {
    PlanView {
        id: stored.record.id,
        version: stored.version,
        plan: stored.record.plan,
        created_at: time::text(stored.created_ms),
        updated_at: time::text(stored.updated_ms),
    }
}

pub(crate) async fn list(call: Call) -> Outcome {
    call.need(Role::Viewer)?;
    let after = call.query("after").unwrap_or_default();
    let page = call.control.store().list::<UsagePlanRecord>("", after, call.limit()?).await?;
    Reply::ok(List { items: page.items.into_iter().map(view).collect(), next: page.next })
}

async fn found(call: &Call) -> Result<Stored<UsagePlanRecord>, Problem> {
    let id = call.param("plan");
    call.control.store().get("", id).await?.ok_or_else(|| Problem::missing("usage plan", id))
}

pub(crate) async fn show(call: Call) -> Outcome {
    call.need(Role::Viewer)?;
    let stored = found(&call).await?;
    let version = stored.version;
    Ok(Reply::ok(view(stored))?.etag(version))
}

pub(crate) async fn put(call: Call) -> Outcome {
    call.need(Role::Deployer)?;
    check_id("usage plan", call.param("plan"))?;
    let PlanInput(plan) = call.body()?;
    write(&call, plan).await
}

pub(crate) async fn patch(call: Call) -> Outcome {
    call.need(Role::Deployer)?;
    let PlanInput(plan) = call.patched(found(&call).await?.record.plan)?;
    write(&call, plan).await
}

async fn write(call: &Call, plan: UsagePlanConfig) -> Outcome {
    check(&plan)?;
    let id = call.param("plan").to_owned();
    let mut transaction = call.control.store().begin().await?;
    let before = transaction.get::<UsagePlanRecord>("", &id).await?.map(|stored| json!(stored.record.plan));
    let changes = audited(&before.unwrap_or_default(), &json!(plan));
    let stored = transaction.put(UsagePlanRecord { id: id.clone(), plan }, call.expect()?).await?;
    transaction.raise(CREDENTIALS).await?;
    transaction
        .audit(&Entry::new(&call.access.actor, "usage-plan.update", format!("usage-plans/{id}")).changes(changes))
        .await?;
    call.control.commit(transaction).await?;
    let version = stored.version;
    let location = format!("{}/usage-plans/{id}", crate::router::API);
    let reply = if version == 1 { Reply::created(view(stored), location)? } else { Reply::ok(view(stored))? };
    Ok(reply.etag(version))
}

fn check(plan: &UsagePlanConfig) -> Result<(), Problem> {
    check_name(&plan.name, "/name")?;
    let bucket = |throttle: &Throttle, pointer: &str| {
        if !(0.001..=1_000_000.0).contains(&throttle.rate) {
            return Err(Problem::field(
                &format!("{pointer}/rate"),
                "a rate is from 0.001 to 1000000 requests per second",
            ));
        }
        if !(1..=1_000_000).contains(&throttle.burst) {
            return Err(Problem::field(&format!("{pointer}/burst"), "a burst is from 1 to 1000000 requests"));
        }
        Ok(())
    };
    if let Some(throttle) = &plan.throttle {
        bucket(throttle, "/throttle")?;
    }
    for (index, stage) in plan.stages.iter().enumerate() {
        for (key, throttle) in &stage.routes {
            let key = key.replace('~', "~0").replace('/', "~1");
            bucket(throttle, &format!("/stages/{index}/routes/{key}"))?;
        }
    }
    if plan.quota.is_some_and(|quota| !(1..=1_000_000_000_000).contains(&quota.limit)) {
        return Err(Problem::field("/quota/limit", "a quota is from 1 to 1000000000000 requests"));
    }
    Ok(())
}

pub(crate) async fn delete(call: Call) -> Outcome {
    call.need(Role::Deployer)?;
    let id = call.param("plan").to_owned();
    let keys = call.control.store().all::<KeyRecord>().await?;
    let members = keys.iter().filter(|key| key.record.plans.contains(&id)).count();
    if members > 0 {
        // A key that loses its last plan would open every stage.
        return Err(Problem::conflict(format!("{members} keys belong to the usage plan `{id}`: take them out first")));
    }
    let mut transaction = call.control.store().begin().await?;
    transaction.delete::<UsagePlanRecord>("", &id, call.expect()?).await?;
    transaction.raise(CREDENTIALS).await?;
    transaction.audit(&Entry::new(&call.access.actor, "usage-plan.delete", format!("usage-plans/{id}"))).await?;
    call.control.commit(transaction).await?;
    Reply::nothing()
}
