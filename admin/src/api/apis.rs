//! `/apis`: drafts.

use std::collections::BTreeMap;

use moongate_admin_store::records::{ApiRecord, Role};
use moongate_admin_store::{Entry, Expect, Stored};
use moongate_config::revision::UPSTREAMS;
use moongate_config::{ApiConfig, Deployment, Digest, Issue, Manifest, Project, Sources};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::api::deployments::newest_manifest;
use crate::call::{Call, List, Outcome, Reply};
use crate::diff::{self, Difference};
use crate::problem::{FieldError, Problem};
use crate::publish::apply::{FOLDER, managed, render_issues};
use crate::publish::change::{Draft, audited};
use crate::publish::deploy::{auto_deploy, deployment_of, new_stage};
use crate::time;

/// Largest file of an API, in bytes.
const FILE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// An API as it is written.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ApiInput {
    /// The API's document, as in a project's `apis/NAME.yaml`. Stages in it are left out: they have URLs of their own.
    pub(crate) document: ApiConfig,
    /// The files the document names, by path: `lua/auth.lua`.
    #[serde(default)]
    pub(crate) files: BTreeMap<String, String>,
}

/// An API as it is shown.
#[derive(Serialize, JsonSchema)]
pub(crate) struct ApiView {
    /// Its id.
    pub(crate) id: String,
    /// The version for `If-Match`.
    pub(crate) version: i64,
    /// Its document.
    pub(crate) document: Value,
    /// The files the document names.
    pub(crate) files: BTreeMap<String, String>,
    /// The digest that the draft would be deployed under.
    pub(crate) digest: String,
    /// Who alone edits it: `folder` for the project that the process serves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) managed_by: Option<String>,
    /// The stages it is served on.
    pub(crate) stages: Vec<StageSummary>,
    /// When it was made.
    pub(crate) created_at: String,
    /// When it was last written.
    pub(crate) updated_at: String,
    /// By whom.
    pub(crate) updated_by: String,
}

/// An API in a list.
#[derive(Serialize, JsonSchema)]
pub(crate) struct ApiSummary {
    /// Its id.
    id: String,
    /// The name people read.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// How many routes the draft has.
    routes: usize,
    /// Who alone edits it.
    #[serde(skip_serializing_if = "Option::is_none")]
    managed_by: Option<String>,
    /// The stages it is served on.
    stages: Vec<StageSummary>,
    /// When it was last written.
    updated_at: String,
}

/// What runs on a stage.
#[derive(Serialize, JsonSchema)]
pub(crate) struct StageSummary {
    /// The stage.
    name: String,
    /// The deployment it runs.
    deployment: String,
    /// Whether that is the draft as it is now.
    is_current: bool,
    /// The canary's share in percent, while there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    canary_percent: Option<f64>,
}

/// What compiling a draft said.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Checked {
    /// Whether it can be deployed.
    valid: bool,
    /// What is wrong, or probably not meant.
    issues: Vec<FieldError>,
}

/// What is different.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Differences {
    /// One by one.
    pub(crate) changes: Vec<Difference>,
}

fn digest_of(record: &ApiRecord) -> Option<Digest> {
    deployment_of(record).digest().ok()
}

fn stages_of(manifest: &Manifest, record: &ApiRecord) -> Vec<StageSummary> {
    let digest = digest_of(record);
    let stages = manifest.apis.get(&record.id).into_iter().flat_map(|api| &api.stages);
    let summary = stages.map(|stage| StageSummary {
        name: stage.settings.name.to_string(),
        deployment: stage.deployment.to_string(),
        is_current: digest == Some(stage.deployment),
        canary_percent: stage.canary.as_ref().map(|canary| canary.percent),
    });
    summary.collect()
}

pub(crate) fn view(stored: Stored<ApiRecord>, manifest: &Manifest) -> ApiView {
    let record = stored.record;
    ApiView {
        version: stored.version,
        digest: digest_of(&record).map(|digest| digest.to_string()).unwrap_or_default(),
        stages: stages_of(manifest, &record),
        id: record.id,
        document: record.document,
        files: record.files,
        managed_by: record.managed_by,
        created_at: time::text(stored.created_ms),
        updated_at: time::text(stored.updated_ms),
        updated_by: record.updated_by,
    }
}

/// An API's draft, which must be there.
pub(crate) async fn draft(call: &Call, role: Role) -> Result<Stored<ApiRecord>, Problem> {
    let id = call.api(role)?;
    let found = call.control.store().get::<ApiRecord>("", id.as_str()).await?;
    found.ok_or_else(|| Problem::missing("API", id.as_str()))
}

pub(crate) async fn list(call: Call) -> Outcome {
    let (limit, wanted) = (call.limit()?, call.query("name").unwrap_or_default().to_lowercase());
    let manifest = newest_manifest(&call.control).await?;
    let mut after = call.query("after").unwrap_or_default().to_owned();
    let mut items = Vec::new();
    let mut next = None;
    // Pages are filled although some APIs are not shown to this caller.
    'pages: loop {
        let page = call.control.store().list::<ApiRecord>("", &after, limit).await?;
        for stored in page.items {
            let name = stored.record.document.get("name").and_then(Value::as_str).map(str::to_owned);
            let is_named = stored.record.id.contains(&wanted)
                || name.as_ref().is_some_and(|name| name.to_lowercase().contains(&wanted));
            if !is_named || !call.access.sees(&stored.record.id) {
                continue;
            }
            if items.len() == limit {
                next = items.last().map(|last: &ApiSummary| last.id.clone());
                break 'pages;
            }
            items.push(ApiSummary {
                routes: stored.record.document.get("routes").and_then(Value::as_array).map_or(0, Vec::len),
                stages: stages_of(&manifest, &stored.record),
                managed_by: stored.record.managed_by,
                updated_at: time::text(stored.updated_ms),
                id: stored.record.id,
                name,
            });
        }
        match page.next {
            Some(last) => after = last,
            None => break,
        }
    }
    Reply::ok(List { items, next })
}

pub(crate) async fn show(call: Call) -> Outcome {
    let stored = draft(&call, Role::Viewer).await?;
    let version = stored.version;
    let manifest = newest_manifest(&call.control).await?;
    Ok(Reply::ok(view(stored, &manifest))?.etag(version))
}

pub(crate) async fn create(call: Call) -> Outcome {
    let input: ApiInput = call.body()?;
    let id = input.document.api.to_string();
    call.access.need(&id, Role::Editor)?;
    let stored = save(&call, input, Expect::Absent, false).await?;
    let manifest = newest_manifest(&call.control).await?;
    let version = stored.version;
    Ok(Reply::created(view(stored, &manifest), format!("{}/apis/{id}", crate::router::API))?.etag(version))
}

pub(crate) async fn put(call: Call) -> Outcome {
    let id = call.api(Role::Editor)?;
    let input: ApiInput = call.body()?;
    if input.document.api != id {
        return Err(Problem::field("/document/api", format!("the id must be the URL's, `{id}`")));
    }
    saved(&call, input).await
}

pub(crate) async fn patch(call: Call) -> Outcome {
    let stored = draft(&call, Role::Editor).await?;
    let current = json!({"document": stored.record.document, "files": stored.record.files});
    let input: ApiInput = call.patched(current)?;
    if input.document.api.as_str() != stored.record.id {
        return Err(Problem::field("/document/api", "an API's id cannot be changed"));
    }
    saved(&call, input).await
}

async fn saved(call: &Call, input: ApiInput) -> Outcome {
    let is_new = call.control.store().get::<ApiRecord>("", input.document.api.as_str()).await?.is_none();
    let stored = save(call, input, call.expect()?, call.flag("dry_run")?).await?;
    let manifest = newest_manifest(&call.control).await?;
    let (version, id) = (stored.version, stored.record.id.clone());
    let view = view(stored, &manifest);
    let reply =
        if is_new { Reply::created(view, format!("{}/apis/{id}", crate::router::API))? } else { Reply::ok(view)? };
    Ok(reply.etag(version))
}

/// Writes a draft. Drafts may have mistakes that only compiling finds: those are shown by `check` and stop a deployment. What can be
/// checked without compiling must be right.
pub(crate) async fn save(
    call: &Call,
    input: ApiInput,
    expect: Expect,
    is_dry_run: bool,
) -> Result<Stored<ApiRecord>, Problem> {
    check_files(&input.files)?;
    let mut document = serde_json::to_value(&input.document).map_err(|error| Problem::malformed(error.to_string()))?;
    if let Some(fields) = document.as_object_mut() {
        fields.shift_remove("stages");
        fields.shift_remove("default_stage");
    }
    let id = input.document.api.to_string();
    check_document(&id, &document, &input.files)?;
    let record = ApiRecord {
        id: id.clone(),
        document,
        files: input.files,
        managed_by: None,
        updated_by: call.access.actor.user.clone(),
    };
    let mut transaction = call.control.store().begin().await?;
    let current = transaction.get::<ApiRecord>("", &id).await?;
    if current.as_ref().is_some_and(|current| current.record.managed_by.as_deref() == Some(FOLDER)) {
        return Err(managed(&id));
    }
    let before =
        current.as_ref().map(|current| json!({"document": current.record.document, "files": current.record.files}));
    let after = json!({"document": record.document, "files": record.files});
    if before.as_ref() == Some(&after)
        && let Some(current) = &current
        && matches!(expect, Expect::Anything | Expect::Present)
    {
        // The same again is no change.
        return Ok(current.clone());
    }
    let written = transaction.put(record, expect).await;
    let stored = written.map_err(|error| {
        let shown = current.map(|current| json!({"version": current.version, "document": current.record.document, "files": current.record.files}));
        let problem = Problem::from(error);
        if problem.status == http::StatusCode::PRECONDITION_FAILED { Problem { current: shown.map(Box::new), ..problem } } else { problem }
    })?;
    if is_dry_run {
        return Ok(stored);
    }
    let action = if stored.version == 1 { "api.create" } else { "api.update" };
    let changes = audited(&before.unwrap_or_else(|| json!({})), &after);
    transaction.audit(&Entry::new(&call.access.actor, action, format!("apis/{id}")).changes(changes)).await?;
    call.control.commit(transaction).await?;
    if stored.version > 1 {
        auto_deploy(&call.control, &call.access, &stored.record).await?;
    }
    Ok(stored)
}

fn check_files(files: &BTreeMap<String, String>) -> Result<(), Problem> {
    for (path, text) in files {
        check_path(path)
            .map_err(|why| Problem::field(&format!("/files/{}", path.replace('~', "~0").replace('/', "~1")), why))?;
        if text.len() > FILE_BYTES_MAX {
            return Err(Problem::field("/files", format!("`{path}` has more than {FILE_BYTES_MAX} bytes")));
        }
    }
    Ok(())
}

/// A file's path stays in the project's folder, and is none of its documents.
pub(crate) fn check_path(path: &str) -> Result<(), String> {
    let is_inside = !path.is_empty()
        && path.len() <= 255
        && !path.contains(['\\', '\0'])
        && path.split('/').all(|part| !part.is_empty() && !part.starts_with('.'));
    if !is_inside {
        return Err("a path is relative and goes down only, such as `lua/auth.lua`".to_owned());
    }
    if path.starts_with("apis/") && !path.starts_with(UPSTREAMS) {
        return Err("documents of APIs are no files of an API".to_owned());
    }
    Ok(())
}

/// Everything that can be said about a document without compiling it.
fn check_document(id: &str, document: &Value, files: &BTreeMap<String, String>) -> Result<(), Problem> {
    let deployment = Deployment { document: document.clone(), files: files.clone() };
    let (_, issues) = Project::load(deployment.sources(id, &[], None));
    if !issues.iter().any(Issue::is_error) {
        return Ok(());
    }
    let errors = issues.iter().filter(|issue| issue.is_error());
    Err(Problem::invalid(
        errors.map(|issue| FieldError { file: None, ..FieldError::of(issue, "/document", None) }).collect(),
    ))
}

pub(crate) async fn delete(call: Call) -> Outcome {
    let id = call.api(Role::Deployer)?;
    let mut draft = Draft::begin(&call.control).await?;
    let Some(current) = draft.transaction.get::<ApiRecord>("", id.as_str()).await? else {
        return Err(Problem::missing("API", id.as_str()));
    };
    if current.record.managed_by.is_some() {
        return Err(managed(id.as_str()));
    }
    draft.transaction.delete::<ApiRecord>("", id.as_str(), call.expect()?).await?;
    draft.manifest.apis.remove(id.as_str());
    draft.has_records = true;
    draft.entry(Entry::new(&call.access.actor, "api.delete", format!("apis/{id}")));
    Reply::ok(draft.publish(&format!("remove {id}"), &call.access, false).await?)
}

pub(crate) async fn check(call: Call) -> Outcome {
    let stored = draft(&call, Role::Viewer).await?;
    let deployment = deployment_of(&stored.record);
    let id = stored.record.id;
    let mut draft = Draft::begin(&call.control).await?;
    let (issues, sources) = {
        let (project, issues) = Project::load(deployment.sources(&id, &[], None));
        (issues, project.sources)
    };
    let mut shown = render_issues(&issues, &Sources { files: sources.files });
    if !issues.iter().any(Issue::is_error) {
        let digest = draft.deployment(&id, deployment, "", &call.access).await?;
        let stages = draft.manifest.apis.entry(id).or_default();
        // On the stages there are, with their variables; else on one of the draft's own.
        if stages.stages.is_empty() {
            let name = "check".to_owned().try_into().map_err(Problem::malformed)?;
            stages.stages.push(new_stage(name, digest));
        }
        stages.stages.iter_mut().for_each(|stage| stage.deployment = digest);
        match draft.check().await {
            Ok(warnings) => shown.extend(warnings),
            Err(problem) if problem.errors.is_empty() => return Err(problem),
            Err(problem) => shown.extend(problem.errors),
        }
    }
    let valid = !shown.iter().any(|issue| issue.severity == "error");
    Reply::ok(Checked { valid, issues: shown })
}

pub(crate) async fn diff(call: Call) -> Outcome {
    let stored = draft(&call, Role::Viewer).await?;
    let manifest = newest_manifest(&call.control).await?;
    let api = manifest.apis.get(&stored.record.id);
    let Some(name) = call.query("stage") else {
        return Err(Problem::field("?stage", "say which stage to compare with: `stage=prod`"));
    };
    let stage = api.and_then(|api| api.stages.iter().find(|stage| stage.settings.name.as_str() == name));
    let Some(stage) = stage else { return Err(Problem::missing("stage", name)) };
    let before = call.control.deployment(&stage.deployment).await?;
    let changes = diff::deployments(&stored.record.id, Some(name), &before, &deployment_of(&stored.record));
    Reply::ok(Differences { changes })
}
