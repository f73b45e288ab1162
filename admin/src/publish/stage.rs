//! Changes of a stage that need no new deployment: settings, and the course of a canary.

use moongate_admin_store::Entry;
use moongate_config::revision::{CanaryRule, StageManifest};
use moongate_config::{Digest, StageConfig, StageName};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::auth::Access;
use crate::control::Control;
use crate::problem::Problem;
use crate::publish::change::{Draft, Published};
use crate::publish::deploy::{check_percent, find, known};

/// What a stage is, beside its canary.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StageInput {
    /// Variables, and what differs on this stage. The name must be the one in the URL.
    pub settings: StageConfig,
    /// The deployment it runs.
    #[schemars(with = "String", extend("pattern" = "^sha256:[0-9a-f]{64}$"))]
    pub deployment: Digest,
    /// Whether `/{api}/...` on the default domain reaches it.
    #[serde(default)]
    pub is_default: bool,
}

/// What changes of a running canary.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CanaryInput {
    /// Its share of the requests, in percent.
    #[serde(default)]
    #[schemars(range(min = 0, max = 100))]
    pub percent: Option<f64>,
    /// When it is rolled back by itself.
    #[serde(default)]
    pub rule: Option<CanaryRule>,
}

/// The stage's name for conflicts: the digest of what it is.
pub fn etag(stage: &StageManifest) -> String {
    Digest::of(stage).map(|digest| digest.to_string()).unwrap_or_default()
}

fn target(api: &str, stage: &StageName) -> String {
    format!("apis/{api}/stages/{stage}")
}

/// Makes or replaces a stage.
///
/// # Errors
///
/// When the deployment is unknown, somebody else changed the stage, or the deployment cannot be compiled with these settings.
pub async fn put(
    control: &Control,
    access: &Access,
    api: &str,
    name: &StageName,
    input: StageInput,
    expected: &(dyn Fn(Option<&StageManifest>) -> Result<(), Problem> + Sync),
    is_dry_run: bool,
) -> Result<Published, Problem> {
    if input.settings.name != *name {
        return Err(Problem::field("/settings/name", format!("the name must be the URL's, `{name}`")));
    }
    let deployment = known(control, api, &input.deployment).await?;
    let mut draft = Draft::begin(control).await?;
    let manifest = draft.manifest.apis.entry(api.to_owned()).or_default();
    if input.is_default {
        manifest.default_stage = Some(name.clone());
    } else if manifest.default_stage.as_ref() == Some(name) {
        manifest.default_stage = None;
    }
    let settings = input.settings;
    match find(manifest, name) {
        Some(stage) => {
            expected(Some(stage))?;
            if stage.canary.is_some() && stage.deployment != deployment {
                return Err(Problem::conflict(format!(
                    "a canary is on trial on `{name}`: promote it or roll it back first"
                )));
            }
            (stage.settings, stage.deployment) = (settings, deployment);
        }
        None => {
            expected(None)?;
            manifest.stages.push(StageManifest { settings, deployment, canary: None });
        }
    }
    draft.entry(Entry::new(&access.actor, "stage.update", target(api, name)));
    draft.publish(&format!("settings of {api} on {name}"), access, is_dry_run).await
}

/// Removes a stage.
///
/// # Errors
///
/// When there is none, or a domain leads to it.
pub async fn delete(control: &Control, access: &Access, api: &str, name: &StageName) -> Result<Published, Problem> {
    let mut draft = Draft::begin(control).await?;
    let Some(manifest) = draft.manifest.apis.get_mut(api) else { return Err(Problem::missing("stage", name.as_str())) };
    let before = manifest.stages.len();
    manifest.stages.retain(|stage| stage.settings.name != *name);
    if manifest.stages.len() == before {
        return Err(Problem::missing("stage", name.as_str()));
    }
    if manifest.default_stage.as_ref() == Some(name) {
        manifest.default_stage = None;
    }
    if manifest.stages.is_empty() {
        draft.manifest.apis.remove(api);
    }
    draft.entry(Entry::new(&access.actor, "stage.delete", target(api, name)));
    draft.publish(&format!("remove {api} from {name}"), access, false).await
}

/// Changes a stage that has a canary.
async fn with_canary(
    control: &Control,
    access: &Access,
    api: &str,
    name: &StageName,
    action: &str,
    edit: impl FnOnce(&mut StageManifest) -> Result<String, Problem>,
) -> Result<Published, Problem> {
    let mut draft = Draft::begin(control).await?;
    let stage = draft.manifest.apis.get_mut(api).and_then(|manifest| find(manifest, name));
    let Some(stage) = stage else { return Err(Problem::missing("stage", name.as_str())) };
    if stage.canary.is_none() {
        return Err(Problem::new(http::StatusCode::NOT_FOUND, "not_found", format!("there is no canary on `{name}`")));
    }
    let cause = edit(stage)?;
    let is_over = stage.canary.is_none();
    if is_over {
        draft.transaction.forget_measured(api, name.as_str()).await?;
    }
    draft.entry(Entry::new(&access.actor, action, target(api, name)).summary(cause.clone()));
    draft.publish(&cause, access, false).await
}

/// Changes a canary's share or rule. Callers that are on it stay while its share grows.
///
/// # Errors
///
/// When there is no canary.
pub async fn set_canary(
    control: &Control,
    access: &Access,
    api: &str,
    name: &StageName,
    input: CanaryInput,
) -> Result<Published, Problem> {
    if let Some(percent) = input.percent {
        check_percent(percent, "/percent")?;
    }
    with_canary(control, access, api, name, "canary.update", |stage| {
        if let Some(canary) = &mut stage.canary {
            canary.percent = input.percent.unwrap_or(canary.percent);
            canary.rule = input.rule.or(canary.rule);
        }
        Ok(format!("canary of {api} on {name}"))
    })
    .await
}

/// Makes the canary's deployment, with its variables, what the stage serves (source: API Gateway, "Promote a canary release").
///
/// # Errors
///
/// When there is no canary.
pub async fn promote(control: &Control, access: &Access, api: &str, name: &StageName) -> Result<Published, Problem> {
    with_canary(control, access, api, name, "canary.promote", |stage| {
        if let Some(canary) = stage.canary.take() {
            stage.deployment = canary.deployment;
            stage.settings.variables.extend(canary.variables);
        }
        Ok(format!("promote the canary of {api} on {name}"))
    })
    .await
}

/// Ends the trial: the stage serves what it served. `why` says who decided, and on what evidence. Nothing happens when another trial
/// than `trial` runs by now.
///
/// # Errors
///
/// When there is no canary.
pub async fn end_canary(
    control: &Control,
    access: &Access,
    api: &str,
    name: &StageName,
    trial: Option<&str>,
    why: &str,
) -> Result<Published, Problem> {
    with_canary(control, access, api, name, "canary.rollback", |stage| {
        let is_other =
            |canary: &moongate_config::revision::CanaryManifest| trial.is_some_and(|trial| trial != canary.trial());
        if stage.canary.as_ref().is_some_and(is_other) {
            return Err(Problem::conflict("another trial has begun"));
        }
        stage.canary = None;
        let because = if why.is_empty() { String::new() } else { format!(": {why}") };
        Ok(format!("roll back the canary of {api} on {name}{because}"))
    })
    .await
}
