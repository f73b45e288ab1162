//! `/import`, `/export`: OpenAPI documents, and everything as a project's folder.

use std::collections::BTreeMap;

use moongate_admin_store::records::{ApiRecord, Role};
use moongate_config::{Issue, Project, Sources};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::api::apis::{self, ApiInput};
use crate::api::deployments::newest_manifest;
use crate::api::{openapi_export, yaml};
use crate::call::{Call, Outcome, Reply};
use crate::problem::Problem;
use crate::publish::apply::render_issues;

/// A document to be imported.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ImportInput {
    /// The document's text: OpenAPI 3.0 or 3.1, Swagger 2.0, or an API of our own; JSON or YAML.
    text: String,
    /// The API's id. Default: what the document says, or made of its title.
    #[serde(default)]
    api: Option<moongate_config::ApiId>,
}

/// A project's folder.
#[derive(Serialize, JsonSchema)]
pub(crate) struct ProjectFiles {
    /// The files by path.
    files: BTreeMap<String, String>,
}

pub(crate) async fn import(call: Call) -> Outcome {
    let ImportInput { text, api } = call.body()?;
    // Mistakes are told with their lines: the document is a file that people have before them.
    let name = "import.openapi.yaml".to_owned();
    let (project, issues) = Project::load(Sources { files: [(name, text)].into() });
    if issues.iter().any(Issue::is_error) {
        return Err(Problem::invalid(render_issues(&issues, &project.sources)));
    }
    let Some(declared) = project.apis.into_iter().next() else {
        return Err(Problem::field("/text", "the document declares no API"));
    };
    let mut document = declared.config;
    if let Some(id) = api {
        document.api = id;
    }
    call.access.need(document.api.as_str(), Role::Editor)?;
    let input = ApiInput { document, files: BTreeMap::new() };
    let is_dry_run = call.flag("dry_run")?;
    let stored = apis::save(&call, input, call.expect()?, is_dry_run).await?;
    let (version, manifest) = (stored.version, newest_manifest(&call.control).await?);
    Ok(Reply::ok(apis::view(stored, &manifest))?.etag(version))
}

pub(crate) async fn export(call: Call) -> Outcome {
    let stored = apis::draft(&call, Role::Viewer).await?;
    let document = match call.query("stage") {
        None => stored.record.document,
        Some(name) => {
            let manifest = newest_manifest(&call.control).await?;
            let stages = manifest.apis.get(&stored.record.id).into_iter().flat_map(|api| &api.stages);
            let Some(stage) = stages.into_iter().find(|stage| stage.settings.name.as_str() == name) else {
                return Err(Problem::missing("stage", name));
            };
            call.control.deployment(&stage.deployment).await?.document
        }
    };
    Reply::ok(openapi_export::document(&document))
}

/// Everything as a folder: applied again, it changes nothing.
pub(crate) async fn project(call: Call) -> Outcome {
    call.need(Role::Viewer)?;
    let manifest = newest_manifest(&call.control).await?;
    let mut files = BTreeMap::new();
    for stored in call.control.store().all::<ApiRecord>().await? {
        let ApiRecord { id, document, files: own, .. } = stored.record;
        let mut document = document;
        if let (Some(fields), Some(api)) = (document.as_object_mut(), manifest.apis.get(&id)) {
            let stages: Vec<Value> =
                api.stages.iter().filter_map(|stage| serde_json::to_value(&stage.settings).ok()).collect();
            fields.insert("stages".to_owned(), Value::Array(stages));
            if let Some(name) = &api.default_stage {
                fields.insert("default_stage".to_owned(), Value::from(name.as_str()));
            }
        }
        for (path, text) in &own {
            // Two APIs may have different files of one name: the second's stays with it alone.
            if files.get(path).is_some_and(|known| known != text) {
                return Err(Problem::conflict(format!(
                    "`{path}` is different in several APIs: they do not fit into one folder"
                )));
            }
        }
        files.extend(own);
        files.insert(format!("apis/{id}.yaml"), yaml::text(&document));
    }
    for (name, domain) in &manifest.domains {
        let file = format!("apis/domain-{}.yaml", name.replace('*', "any"));
        files.insert(file, yaml::text(&serde_json::to_value(domain).unwrap_or_default()));
    }
    Reply::ok(ProjectFiles { files })
}
