//! Deploying a draft: to a stage, or to a share of its requests.

use indexmap::IndexMap;
use moongate_admin_store::records::ApiRecord;
use moongate_admin_store::{Entry, now_ms};
use moongate_config::revision::{ApiManifest, CanaryManifest, CanaryRule, StageManifest, StickyKey};
use moongate_config::{Deployment, Digest, StageConfig, StageName};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::auth::Access;
use crate::control::Control;
use crate::problem::Problem;
use crate::publish::change::{Draft, Published};

/// Where a draft is deployed to, and how.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeployRequest {
    /// The stage. It is made when it is not there.
    pub stage: StageName,
    /// What this deployment is about.
    #[serde(default)]
    #[schemars(length(max = 1000))]
    pub message: String,
    /// A deployment that is there already. Default: one is made of the draft.
    #[serde(default)]
    #[schemars(with = "Option<String>", extend("pattern" = "^sha256:[0-9a-f]{64}$"))]
    pub deployment: Option<Digest>,
    /// Deploy to a share of the stage's requests only.
    #[serde(default)]
    pub canary: Option<CanaryRequest>,
}

/// A canary to be started.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CanaryRequest {
    /// Its share of the requests, in percent.
    #[schemars(range(min = 0, max = 100))]
    pub percent: f64,
    /// Stage variables that differ for it.
    #[serde(default)]
    pub variables: IndexMap<String, String>,
    /// What keeps a caller on one side.
    #[serde(default)]
    pub sticky: Option<StickyKey>,
    /// When it is rolled back by itself.
    #[serde(default)]
    pub rule: Option<CanaryRule>,
}

/// Checks a share.
///
/// # Errors
///
/// When it is no percentage.
pub fn check_percent(percent: f64, pointer: &str) -> Result<(), Problem> {
    if (0.0..=100.0).contains(&percent) {
        Ok(())
    } else {
        Err(Problem::field(pointer, "a share is from 0 to 100 percent"))
    }
}

/// A draft as a deployment.
pub fn deployment_of(api: &ApiRecord) -> Deployment {
    let mut document = api.document.clone();
    if let Some(fields) = document.as_object_mut() {
        fields.shift_remove("stages");
        fields.shift_remove("default_stage");
    }
    Deployment { document, files: api.files.clone() }
}

/// A new stage with a deployment.
pub fn new_stage(name: StageName, deployment: Digest) -> StageManifest {
    StageManifest { settings: StageConfig::named(name), deployment, canary: None }
}

/// Deploys.
///
/// # Errors
///
/// Everything that is wrong with the draft, and when there is nothing of that name.
pub async fn deploy(
    control: &Control,
    access: &Access,
    api: &str,
    request: DeployRequest,
    is_dry_run: bool,
) -> Result<(Digest, Published), Problem> {
    let mut draft = Draft::begin(control).await?;
    let Some(record) = draft.transaction.get::<ApiRecord>("", api).await? else {
        return Err(Problem::missing("API", api));
    };
    let digest = match request.deployment {
        Some(digest) => known(control, api, &digest).await?,
        None => draft.deployment(api, deployment_of(&record.record), &request.message, access).await?,
    };
    if let Some(canary) = &request.canary {
        check_percent(canary.percent, "/canary/percent")?;
    }
    point(&mut draft, api, &request.stage, digest, request.canary)?;
    let target = format!("apis/{api}/stages/{}", request.stage);
    draft.entry(Entry::new(&access.actor, "stage.deploy", target).summary(request.message.clone()));
    let cause = match request.message.is_empty() {
        true => format!("deploy {api} to {}", request.stage),
        false => request.message,
    };
    let published = draft.publish(&cause, access, is_dry_run).await?;
    Ok((digest, published))
}

/// Checks that there is such a deployment of the API.
pub(super) async fn known(control: &Control, api: &str, digest: &Digest) -> Result<Digest, Problem> {
    let name = digest.to_string();
    match control.store().deployment_row(&name).await? {
        Some(row) if row.api == api => Ok(*digest),
        _ => Err(Problem::missing(&format!("deployment of `{api}`"), &name)),
    }
}

/// Points a stage, or its canary, at a deployment.
fn point(
    draft: &mut Draft,
    api: &str,
    name: &StageName,
    digest: Digest,
    canary: Option<CanaryRequest>,
) -> Result<(), Problem> {
    let manifest = draft.manifest.apis.entry(api.to_owned()).or_default();
    let Some(stage) = find(manifest, name) else {
        if canary.is_some() {
            return Err(Problem::conflict(format!("there is no stage `{name}` yet: deploy to all of it first")));
        }
        manifest.stages.push(new_stage(name.clone(), digest));
        return Ok(());
    };
    match canary {
        None => {
            if stage.canary.is_some() {
                let advice = "promote it or roll it back first";
                return Err(Problem::conflict(format!("a canary is on trial on `{name}`: {advice}")));
            }
            stage.deployment = digest;
        }
        Some(request) => {
            let CanaryRequest { percent, variables, sticky, rule } = request;
            stage.canary =
                Some(CanaryManifest { deployment: digest, percent, variables, sticky, rule, started_ms: now_ms() });
        }
    }
    Ok(())
}

/// A stage by its name.
pub(super) fn find<'a>(api: &'a mut ApiManifest, name: &StageName) -> Option<&'a mut StageManifest> {
    api.stages.iter_mut().find(|stage| stage.settings.name == *name)
}

/// Deploys a saved draft to the stages that want every one.
///
/// # Errors
///
/// Everything that is wrong with the draft.
pub async fn auto_deploy(control: &Control, access: &Access, record: &ApiRecord) -> Result<Option<Published>, Problem> {
    let mut draft = Draft::begin(control).await?;
    let stages = draft.manifest.apis.get(&record.id).into_iter().flat_map(|api| &api.stages);
    let wanting: Vec<StageName> = stages
        .filter(|stage| stage.settings.is_auto_deployed() && stage.canary.is_none())
        .map(|stage| stage.settings.name.clone())
        .collect();
    if wanting.is_empty() {
        return Ok(None);
    }
    let digest = draft.deployment(&record.id, deployment_of(record), "saved", access).await?;
    for name in &wanting {
        point(&mut draft, &record.id, name, digest, None)?;
    }
    draft.entry(Entry::new(&access.actor, "stage.deploy", format!("apis/{}", record.id)).summary("every saved draft"));
    draft.publish(&format!("deploy {} when saved", record.id), access, false).await.map(Some)
}
