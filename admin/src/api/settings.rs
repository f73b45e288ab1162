//! `/settings`: what belongs to the installation, by name. Each is a JSON value that its reader understands.

use moongate_admin_store::records::{Role, SettingRecord};
use moongate_admin_store::{Entry, Stored};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::api::check_id;
use crate::call::{Call, Outcome, Reply};
use crate::problem::Problem;
use crate::publish::change::audited;

/// Largest setting, in bytes of JSON.
const BYTES_MAX: usize = 64 * 1024;

/// A setting as it is written.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SettingInput {
    /// Its value.
    value: Value,
}

/// A setting as it is shown.
#[derive(Serialize, JsonSchema)]
pub(crate) struct SettingView {
    /// Its name.
    name: String,
    /// The version for `If-Match`.
    version: i64,
    /// Its value.
    value: Value,
}

fn view(stored: Stored<SettingRecord>) -> Outcome {
    let version = stored.version;
    let view = SettingView { name: stored.record.id, version, value: stored.record.value };
    Ok(Reply::ok(view)?.etag(version))
}

pub(crate) async fn show(call: Call) -> Outcome {
    call.need(Role::Viewer)?;
    let name = call.param("setting");
    let stored = call.control.store().get::<SettingRecord>("", name).await?;
    view(stored.ok_or_else(|| Problem::missing("setting", name))?)
}

pub(crate) async fn put(call: Call) -> Outcome {
    call.need(Role::Admin)?;
    let name = call.param("setting").to_owned();
    check_id("setting", &name)?;
    let SettingInput { value } = call.body()?;
    if value.to_string().len() > BYTES_MAX {
        return Err(Problem::field("/value", format!("a setting has at most {BYTES_MAX} bytes")));
    }
    let mut transaction = call.control.store().begin().await?;
    let before = transaction.get::<SettingRecord>("", &name).await?.map(|stored| stored.record.value);
    let changes = audited(&before.unwrap_or_default(), &value);
    let stored = transaction.put(SettingRecord { id: name.clone(), value }, call.expect()?).await?;
    transaction
        .audit(&Entry::new(&call.access.actor, "setting.update", format!("settings/{name}")).changes(changes))
        .await?;
    call.control.commit(transaction).await?;
    view(stored)
}

pub(crate) async fn delete(call: Call) -> Outcome {
    call.need(Role::Admin)?;
    let name = call.param("setting").to_owned();
    let mut transaction = call.control.store().begin().await?;
    transaction.delete::<SettingRecord>("", &name, call.expect()?).await?;
    transaction.audit(&Entry::new(&call.access.actor, "setting.delete", format!("settings/{name}"))).await?;
    call.control.commit(transaction).await?;
    Reply::nothing()
}
