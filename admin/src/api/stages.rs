//! `/apis/{api}/stages`: where an API is served, and the course of canaries.

use moongate_admin_store::records::Role;
use moongate_config::StageName;
use moongate_config::revision::{ApiManifest, CanaryManifest, StageManifest};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::api::deployments::newest_manifest;
use crate::call::{Call, List, Outcome, Reply};
use crate::problem::Problem;
use crate::publish::history;
use crate::publish::stage::{self, CanaryInput, StageInput};
use crate::publish::verdict::Verdict;
use crate::time;

/// A stage as it is shown.
#[derive(Serialize, JsonSchema)]
pub(crate) struct StageView {
    /// The version for `If-Match`.
    version: String,
    /// Whether `/{api}/...` on the default domain reaches it.
    is_default: bool,
    /// What it is.
    #[serde(flatten)]
    stage: StageManifest,
}

/// A canary as it is shown.
#[derive(Serialize, JsonSchema)]
pub(crate) struct CanaryView {
    /// What is on trial, and how.
    canary: CanaryManifest,
    /// When the trial began.
    started_at: String,
    /// What is thought of it.
    verdict: Verdict,
}

/// Where a stage goes back to.
#[derive(Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RollbackInput {
    /// The revision. Default: the newest in which the stage ran another deployment.
    #[schemars(range(min = 1))]
    to: Option<u64>,
}

fn view(api: &ApiManifest, index: usize) -> StageView {
    let stage = api.stages[index].clone();
    let is_default = match &api.default_stage {
        Some(name) => *name == stage.settings.name,
        None => index == 0,
    };
    StageView { version: stage::etag(&stage), is_default, stage }
}

/// The API's manifest and where the URL's stage is in it.
async fn found(call: &Call, name: &StageName) -> Result<(ApiManifest, usize), Problem> {
    let mut manifest = newest_manifest(&call.control).await?;
    let api = manifest.apis.remove(call.param("api"));
    let at = |api: &ApiManifest| api.stages.iter().position(|stage| stage.settings.name == *name);
    match api.map(|api| (at(&api), api)) {
        Some((Some(index), api)) => Ok((api, index)),
        _ => Err(Problem::missing("stage", name.as_str())),
    }
}

pub(crate) async fn list(call: Call) -> Outcome {
    let id = call.api(Role::Viewer)?;
    let manifest = newest_manifest(&call.control).await?;
    let api = manifest.apis.get(id.as_str());
    let items = api.into_iter().flat_map(|api| (0..api.stages.len()).map(|index| view(api, index))).collect();
    Reply::ok(List { items, next: None })
}

pub(crate) async fn show(call: Call) -> Outcome {
    call.api(Role::Viewer)?;
    let (api, index) = found(&call, &call.stage()?).await?;
    let view = view(&api, index);
    let tag = view.version.clone();
    Ok(Reply::ok(view)?.etag(tag))
}

pub(crate) async fn put(call: Call) -> Outcome {
    write(&call, call.body()?).await
}

pub(crate) async fn patch(call: Call) -> Outcome {
    call.api(Role::Deployer)?;
    let (api, index) = found(&call, &call.stage()?).await?;
    let view = view(&api, index);
    let current = json!({
        "settings": view.stage.settings,
        "deployment": view.stage.deployment,
        "is_default": api.default_stage.is_some() && view.is_default,
    });
    write(&call, call.patched(current)?).await
}

async fn write(call: &Call, input: StageInput) -> Outcome {
    let (id, name) = (call.api(Role::Deployer)?, call.stage()?);
    let expected = |current: Option<&StageManifest>| {
        let current = current.map(|current| (stage::etag(current), serde_json::to_value(current).unwrap_or_default()));
        call.matches(current.as_ref().map(|(tag, shown)| (tag.as_str(), shown.clone())))
    };
    let is_dry_run = call.flag("dry_run")?;
    Reply::ok(stage::put(&call.control, &call.access, id.as_str(), &name, input, &expected, is_dry_run).await?)
}

pub(crate) async fn delete(call: Call) -> Outcome {
    let (id, name) = (call.api(Role::Deployer)?, call.stage()?);
    Reply::ok(stage::delete(&call.control, &call.access, id.as_str(), &name).await?)
}

pub(crate) async fn rollback(call: Call) -> Outcome {
    let (id, name) = (call.api(Role::Deployer)?, call.stage()?);
    let RollbackInput { to } = call.body_or(RollbackInput::default())?;
    let is_dry_run = call.flag("dry_run")?;
    Reply::ok(history::rollback(&call.control, &call.access, id.as_str(), &name, to, is_dry_run).await?)
}

pub(crate) async fn canary(call: Call) -> Outcome {
    let (id, name) = (call.api(Role::Viewer)?, call.stage()?);
    let (api, index) = found(&call, &name).await?;
    let Some(canary) = api.stages[index].canary.clone() else {
        return Err(Problem::new(http::StatusCode::NOT_FOUND, "not_found", format!("there is no canary on `{name}`")));
    };
    let verdict = call.control.verdict(id.as_str(), &name, &canary).await?;
    Reply::ok(CanaryView { started_at: time::text(canary.started_ms), canary, verdict })
}

pub(crate) async fn set_canary(call: Call) -> Outcome {
    let (id, name) = (call.api(Role::Deployer)?, call.stage()?);
    let input: CanaryInput = call.body()?;
    Reply::ok(stage::set_canary(&call.control, &call.access, id.as_str(), &name, input).await?)
}

pub(crate) async fn end_canary(call: Call) -> Outcome {
    let (id, name) = (call.api(Role::Deployer)?, call.stage()?);
    Reply::ok(stage::end_canary(&call.control, &call.access, id.as_str(), &name, None, "").await?)
}

pub(crate) async fn promote(call: Call) -> Outcome {
    let (id, name) = (call.api(Role::Deployer)?, call.stage()?);
    Reply::ok(stage::promote(&call.control, &call.access, id.as_str(), &name).await?)
}
