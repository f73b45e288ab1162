//! Applying a project's folder: every API, stage and domain it declares, in one revision.

use std::collections::{BTreeMap, BTreeSet};

use moongate_admin_store::records::ApiRecord;
use moongate_admin_store::{Entry, Expect};
use moongate_config::issue::render;
use moongate_config::project::Declared;
use moongate_config::{ApiConfig, Deployment, Issue, Project, Protocol, Sources, StageConfig, StageName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::auth::Access;
use crate::control::Control;
use crate::problem::{FieldError, Problem};
use crate::publish::change::{Draft, Published, audited};
use crate::publish::deploy::{find, new_stage};

/// Who manages APIs that a process serves from a folder.
pub const FOLDER: &str = "folder";

/// A project's files, and what is to be done with them.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApplyRequest {
    /// The files by path, as they stand in the project's folder: `apis/orders.yaml`, `lua/auth.lua`.
    pub files: BTreeMap<String, String>,
    /// Deploy to the stages that the documents declare; otherwise only drafts change.
    #[serde(default = "yes")]
    pub deploy: bool,
    /// Remove APIs and domains that the project does not declare.
    #[serde(default)]
    pub prune: bool,
    /// What this change is about.
    #[serde(default)]
    #[schemars(length(max = 1000))]
    pub message: String,
}

fn yes() -> bool {
    true
}

/// What applying did.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Applied {
    /// The revision and what is different in it.
    #[serde(flatten)]
    pub published: Published,
    /// APIs whose drafts changed.
    pub drafts: Vec<String>,
}

/// Applies a project.
///
/// # Errors
///
/// Everything that is wrong with it, and when an API is managed by somebody else.
pub async fn apply(
    control: &Control,
    access: &Access,
    request: ApplyRequest,
    is_dry_run: bool,
) -> Result<Applied, Problem> {
    let (project, issues) = Project::load(Sources { files: request.files });
    let errors = render_issues(&issues, &project.sources);
    if issues.iter().any(Issue::is_error) {
        return Err(Problem::invalid(errors));
    }
    let options = Applying { deploy: request.deploy, prune: request.prune, message: request.message, managed_by: None };
    let mut applied = applying(control, access, &project, options, is_dry_run, true).await?;
    applied.published.warnings.splice(0..0, errors);
    Ok(applied)
}

/// Shows what a process serves from its folder: the same as applying it, but that nothing is compiled again, and nobody else may edit it.
///
/// # Errors
///
/// When the store cannot be reached.
pub async fn mirror(control: &Control, project: &Project) -> Result<Applied, Problem> {
    let options = Applying {
        deploy: true,
        prune: true,
        message: "the project's folder".to_owned(),
        managed_by: Some(FOLDER.to_owned()),
    };
    applying(control, &Access::system(FOLDER), project, options, false, false).await
}

struct Applying {
    deploy: bool,
    prune: bool,
    message: String,
    managed_by: Option<String>,
}

async fn applying(
    control: &Control,
    access: &Access,
    project: &Project,
    options: Applying,
    is_dry_run: bool,
    is_compiled: bool,
) -> Result<Applied, Problem> {
    let mut draft = Draft::begin(control).await?;
    let mut drafts = Vec::new();
    for declared in &project.apis {
        if one(&mut draft, access, project, declared, &options).await? {
            drafts.push(declared.config.api.to_string());
        }
    }
    if options.deploy {
        for declared in &project.domains {
            draft.manifest.domains.insert(declared.config.domain.clone(), declared.config.clone());
        }
    }
    if options.prune {
        prune(&mut draft, access, project, &options).await?;
    }
    draft.has_records = !drafts.is_empty() || draft.has_records;
    draft.entry(Entry::new(&access.actor, "project.apply", "apis").summary(options.message.clone()));
    let cause = if options.message.is_empty() { "apply a project" } else { &options.message };
    let published = if is_compiled {
        draft.publish(cause, access, is_dry_run).await?
    } else {
        draft.publish_checked(cause, access, is_dry_run, Vec::new()).await?
    };
    Ok(Applied { published, drafts })
}

/// Applies one API; whether its draft changed.
async fn one(
    draft: &mut Draft,
    access: &Access,
    project: &Project,
    declared: &Declared<ApiConfig>,
    options: &Applying,
) -> Result<bool, Problem> {
    let config = &declared.config;
    let id = config.api.as_str();
    let document = serde_json::to_value(config).map_err(|error| Problem::malformed(error.to_string()))?;
    let deployment = Deployment::of(document, project);
    let current = draft.transaction.get::<ApiRecord>("", id).await?;
    if let Some(current) = &current
        && current.record.managed_by != options.managed_by
        && current.record.managed_by.is_some()
    {
        return Err(managed(id));
    }
    let record = ApiRecord {
        id: id.to_owned(),
        document: deployment.document.clone(),
        files: deployment.files.clone(),
        managed_by: options.managed_by.clone(),
        updated_by: access.actor.user.clone(),
    };
    let is_same = |stored: &ApiRecord| {
        stored.document == record.document && stored.files == record.files && stored.managed_by == record.managed_by
    };
    let is_changed = !current.as_ref().is_some_and(|current| is_same(&current.record));
    if is_changed {
        let before = current.map(|current| current.record.document).unwrap_or_default();
        let changes = audited(&before, &record.document);
        draft.transaction.put(record, Expect::Anything).await?;
        draft.entry(Entry::new(&access.actor, "api.update", format!("apis/{id}")).changes(changes));
    }
    if !options.deploy {
        return Ok(is_changed);
    }
    let digest = draft.deployment(id, deployment, &options.message, access).await?;
    let manifest = draft.manifest.apis.entry(id.to_owned()).or_default();
    let stages = declared_stages(config);
    manifest.default_stage.clone_from(&config.default_stage);
    for settings in stages {
        let name = settings.name.clone();
        match find(manifest, &name) {
            // A trial goes on beside what the folder declares.
            Some(stage) => (stage.settings, stage.deployment) = (settings, digest),
            None => {
                let mut stage = new_stage(name, digest);
                stage.settings = settings;
                manifest.stages.push(stage);
            }
        }
    }
    if options.prune {
        let declared: BTreeSet<StageName> = declared_stages(config).into_iter().map(|stage| stage.name).collect();
        manifest.stages.retain(|stage| declared.contains(&stage.settings.name));
    }
    Ok(is_changed)
}

/// Removes what the project does not declare: of all there is, or of what the same folder brought.
async fn prune(draft: &mut Draft, access: &Access, project: &Project, options: &Applying) -> Result<(), Problem> {
    let declared: BTreeSet<&str> = project.apis.iter().map(|api| api.config.api.as_str()).collect();
    let mut gone = Vec::new();
    let known = draft.store().all::<ApiRecord>().await?;
    for record in known.into_iter().map(|stored| stored.record) {
        let id = &record.id;
        if !declared.contains(id.as_str()) && record.managed_by == options.managed_by {
            draft.transaction.delete::<ApiRecord>("", id, Expect::Anything).await?;
            draft.entry(Entry::new(&access.actor, "api.delete", format!("apis/{id}")));
            draft.has_records = true;
            gone.push(id.clone());
        }
    }
    for id in &gone {
        draft.manifest.apis.remove(id);
    }
    let domains: BTreeSet<&str> = project.domains.iter().map(|domain| domain.config.domain.as_str()).collect();
    let is_ours = options.managed_by.is_none();
    let leads_nowhere = |domain: &moongate_config::domain::DomainConfig| {
        domain.mappings.iter().any(|mapping| gone.iter().any(|id| id == mapping.api.as_str()))
    };
    draft
        .manifest
        .domains
        .retain(|name, domain| domains.contains(name.as_str()) || (!is_ours && !leads_nowhere(domain)));
    Ok(())
}

/// The refusal to edit what somebody else manages.
pub fn managed(id: &str) -> Problem {
    Problem::conflict(format!("`{id}` is served from the project's folder: edit its file there"))
}

/// The stages of an API, with the one that is implied where none is declared.
fn declared_stages(config: &ApiConfig) -> Vec<StageConfig> {
    if !config.stages.is_empty() {
        return config.stages.clone();
    }
    let name = match config.protocol {
        Protocol::Rest => "dev",
        Protocol::Http => StageName::DEFAULT,
    };
    let name = StageName::try_from(name.to_owned());
    name.map(|name| vec![StageConfig::named(name)]).unwrap_or_default()
}

/// Issues with the lines they are in.
pub(crate) fn render_issues(issues: &[Issue], sources: &Sources) -> Vec<FieldError> {
    let error = |report: render::Report| FieldError {
        pointer: report.pointer,
        code: report.code.to_owned(),
        message: report.message,
        help: report.help,
        file: Some(report.file).filter(|file| !file.is_empty()),
        line: report.line,
        severity: report.severity,
    };
    render::reports(issues, sources).into_iter().map(error).collect()
}
