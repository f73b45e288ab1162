//! `/apis/{api}/deployments`: what was deployed, and deploying.

use moongate_admin_store::DeploymentRow;
use moongate_admin_store::records::Role;
use moongate_config::{Digest, Manifest};
use schemars::JsonSchema;
use serde::Serialize;

use crate::call::{Call, List, Outcome, Reply};
use crate::control::Control;
use crate::problem::Problem;
use crate::publish::change::Published;
use crate::publish::deploy::{self, DeployRequest};
use crate::time;

/// What is known about a deployment.
#[derive(Serialize, JsonSchema)]
pub(crate) struct DeploymentView {
    /// Its name.
    digest: String,
    /// What its maker said about it.
    message: String,
    /// Who made it.
    author: String,
    /// When.
    created_at: String,
    /// The stages that run it now.
    stages: Vec<String>,
}

/// What deploying did.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Deployed {
    /// The deployment.
    deployment: String,
    /// The revision and what is different in it.
    #[serde(flatten)]
    published: Published,
}

/// What is served now.
pub(crate) async fn newest_manifest(control: &Control) -> Result<Manifest, Problem> {
    let newest = control.store().newest_revision().await?;
    Ok(control.store().manifest(newest).await?.unwrap_or_default())
}

pub(crate) async fn list(call: Call) -> Outcome {
    let id = call.api(Role::Viewer)?;
    let rows = call.control.store().deployments(id.as_str(), i64::MAX, call.limit()?).await?;
    let manifest = newest_manifest(&call.control).await?;
    let stages = |digest: &str| {
        let stages = manifest.apis.get(id.as_str()).into_iter().flat_map(|api| &api.stages);
        let running = stages.filter(|stage| stage.deployment.to_string() == digest);
        running.map(|stage| stage.settings.name.to_string()).collect()
    };
    let items = rows.into_iter().map(|row: DeploymentRow| DeploymentView {
        stages: stages(&row.digest),
        digest: row.digest,
        message: row.message,
        author: row.author,
        created_at: time::text(row.created_ms),
    });
    Reply::ok(List { items: items.collect(), next: None })
}

pub(crate) async fn create(call: Call) -> Outcome {
    let id = call.api(Role::Deployer)?;
    let request: DeployRequest = call.body()?;
    let is_dry_run = call.flag("dry_run")?;
    let (digest, published) = deploy::deploy(&call.control, &call.access, id.as_str(), request, is_dry_run).await?;
    Reply::ok(Deployed { deployment: digest.to_string(), published })
}

pub(crate) async fn show(call: Call) -> Outcome {
    let id = call.api(Role::Viewer)?;
    let name = call.param("digest");
    let digest = Digest::try_from(name.to_owned()).map_err(|_| Problem::missing("deployment", name))?;
    match call.control.store().deployment_row(name).await? {
        Some(row) if row.api == id.as_str() => Ok(Reply::ok(call.control.deployment(&digest).await?)?.etag(name)),
        _ => Err(Problem::missing("deployment", name)),
    }
}
