//! What is served, as data: immutable deployments named by their digest, and the manifest of a revision that points at them.
//!
//! The control plane makes revisions and gateways fetch them: a [`Manifest`] says which deployment every stage of every API runs,
//! a [`Deployment`] holds what one deployment declares. A deployment never changes, so whoever has one of a digest has it for good;
//! a revision never changes either, going back is a new revision with an older one's contents.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::digest::{self, Digest};
use crate::domain::DomainConfig;
use crate::ids::StageName;
use crate::project::{Project, Sources};
use crate::stage::StageConfig;
use crate::upstream;

/// An API as it was when it was deployed: its document without stages, and the files the document names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Deployment {
    /// The API's document (`ApiConfig`), without `stages` and `default_stage`: those belong to the manifest.
    pub document: Value,
    /// Scripts, plugins and certificates by their path in the project: `lua/auth.lua`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, String>,
}

/// Everything that one revision serves.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Manifest {
    /// The revision's number: 1 for the first, each one more than the one before.
    pub revision: u64,
    /// APIs by id.
    #[serde(default)]
    pub apis: BTreeMap<String, ApiManifest>,
    /// Custom domains by name.
    #[serde(default)]
    pub domains: BTreeMap<String, DomainConfig>,
}

/// Where one API is served, and as what.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct ApiManifest {
    /// The stage that `/{api}/...` on the default domain reaches. Default: the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_stage: Option<StageName>,
    /// The stages, in the order of their making.
    #[serde(default)]
    pub stages: Vec<StageManifest>,
}

/// What one stage runs.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct StageManifest {
    /// Name, variables and settings of the stage.
    pub settings: StageConfig,
    /// The deployment it runs.
    #[schemars(with = "String")]
    pub deployment: Digest,
    /// A second deployment that takes a share of the requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<CanaryManifest>,
}

/// A deployment that takes a share of a stage's requests.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct CanaryManifest {
    /// The deployment on trial.
    #[schemars(with = "String")]
    pub deployment: Digest,
    /// Its share of the requests, in percent, 0..=100; hundredths count.
    #[schemars(range(min = 0, max = 100))]
    pub percent: f64,
    /// Stage variables that differ for it (source: API Gateway `canarySettings.stageVariableOverrides`).
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub variables: IndexMap<String, String>,
    /// What keeps a caller on one side. Default: every request is decided anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sticky: Option<StickyKey>,
    /// When it is rolled back by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<CanaryRule>,
    /// When the trial began, in milliseconds since 1970.
    #[serde(default)]
    pub started_ms: i64,
}

/// When a canary is rolled back by itself: when one of its rates is worse than the stable arm's by more than is allowed, and that cannot
/// be chance.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CanaryRule {
    /// Fewest requests that the canary must have answered before it is judged, at least 20. Default: 500.
    #[schemars(range(min = 20, max = 1_000_000_000))]
    pub requests_min: u32,
    /// By how much its share of 5xx answers may be larger, in percentage points. Default: 2.
    #[schemars(range(min = 0.0, max = 100.0))]
    pub server_errors_points: f64,
    /// By how much its share of 4xx answers may be larger, in percentage points. Default: not judged.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 100.0))]
    pub client_errors_points: Option<f64>,
    /// By how much its 95th percentile of durations may be larger, in percent. Default: not judged.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 10_000.0))]
    pub p95_percent: Option<f64>,
}

impl Default for CanaryRule {
    fn default() -> Self {
        Self { requests_min: 500, server_errors_points: 2.0, client_errors_points: None, p95_percent: None }
    }
}

impl CanaryManifest {
    /// The trial's name: the deployment and when it was put on trial. Changing the share keeps it, so that callers and counts stay.
    pub fn trial(&self) -> String {
        format!("{}@{}", self.deployment, self.started_ms)
    }
}

/// What identifies a caller for a canary. A request without it is decided anew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StickyKey {
    /// The client's address.
    Ip,
    /// The value of this header field.
    Header(String),
    /// The value of this cookie.
    Cookie(String),
}

/// Begins the names of upstreams' documents among a deployment's files.
pub const UPSTREAMS: &str = "apis/upstream.";

/// The name of a document's file among a deployment's own: issues point into it.
pub fn document_file(api: &str) -> String {
    format!("{}{api}.json", crate::project::DOCUMENTS_FOLDER)
}

impl Deployment {
    /// Its name.
    ///
    /// # Errors
    ///
    /// None for documents that came from JSON; [`digest::Error::NotJson`] otherwise.
    pub fn digest(&self) -> Result<Digest, digest::Error> {
        Digest::of(self)
    }

    /// Takes the files that a document names out of a project: every text of the document that is the path of a file, the folders of
    /// the plugins it uses, and the documents of upstreams.
    pub fn of(mut document: Value, project: &Project) -> Self {
        let sources = &project.sources;
        if let Some(fields) = document.as_object_mut() {
            fields.shift_remove("stages");
            fields.shift_remove("default_stage");
        }
        let mut files = BTreeMap::new();
        collect(&document, sources, &mut files);
        // Which ones can depend on stage variables, so it takes all of them.
        if document.to_string().contains(upstream::SCHEME) {
            for declared in &project.upstreams {
                let text = serde_json::to_string(&declared.config).unwrap_or_default();
                files.insert(format!("{UPSTREAMS}{}.json", declared.config.upstream), text);
            }
        }
        Self { document, files }
    }

    /// The project of this API alone, on the given stages, for checking and compiling.
    pub fn sources(&self, api: &str, stages: &[StageConfig], default_stage: Option<&StageName>) -> Sources {
        let mut document = self.document.clone();
        if let Some(fields) = document.as_object_mut() {
            if !stages.is_empty() {
                fields.insert("stages".to_owned(), serde_json::to_value(stages).unwrap_or_default());
            }
            if let Some(name) = default_stage {
                fields.insert("default_stage".to_owned(), Value::from(name.as_str()));
            }
        }
        let is_document = |path: &str| path.starts_with(crate::project::DOCUMENTS_FOLDER) || path.contains(".openapi.");
        let is_ours = |path: &str| !is_document(path) || path.starts_with(UPSTREAMS);
        let others = self.files.iter().filter(|(path, _)| is_ours(path));
        let mut files: BTreeMap<String, String> = others.map(|(path, text)| (path.clone(), text.clone())).collect();
        files.insert(document_file(api), document.to_string());
        Sources { files }
    }
}

fn collect(value: &Value, sources: &Sources, files: &mut BTreeMap<String, String>) {
    match value {
        Value::String(text) => {
            if let Some((path, content)) = sources.files.get_key_value(text) {
                files.insert(path.clone(), content.clone());
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, sources, files)),
        Value::Object(fields) => {
            if let Some(name) = fields.get("plugin").and_then(Value::as_str) {
                let folder = format!("plugins/{name}/");
                let inside = sources.files.range(folder.clone()..).take_while(|(path, _)| path.starts_with(&folder));
                files.extend(inside.map(|(path, text)| (path.clone(), text.clone())));
            }
            fields.values().for_each(|field| collect(field, sources, files));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Applies a JSON Merge Patch (RFC 7396 section 2): `null` removes, objects are merged, everything else replaces.
///
/// Recursion ends with the patch's own depth, which its reader bounds (`serde_json`: 128 levels).
pub fn merge_patch(target: &mut Value, patch: &Value) {
    let Value::Object(changes) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(serde_json::Map::new());
    }
    let Value::Object(fields) = target else { return };
    for (name, change) in changes {
        if change.is_null() {
            fields.shift_remove(name);
        } else {
            merge_patch(fields.entry(name.clone()).or_insert(Value::Null), change);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn merge_patches_follow_the_rfc() {
        // The cases of RFC 7396 appendix A.
        let cases = [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
            (json!({"a": "b"}), json!({"a": null}), json!({})),
            (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "c"}), json!({"a": ["b"]}), json!({"a": ["b"]})),
            (json!({"a": {"b": "c"}}), json!({"a": {"b": "d", "c": null}}), json!({"a": {"b": "d"}})),
            (json!({"a": [{"b": "c"}]}), json!({"a": [1]}), json!({"a": [1]})),
            (json!(["a", "b"]), json!(["c", "d"]), json!(["c", "d"])),
            (json!({"a": "b"}), json!(["c"]), json!(["c"])),
            (json!({"a": "foo"}), json!(null), json!(null)),
            (json!({"e": null}), json!({"a": 1}), json!({"e": null, "a": 1})),
            (json!([1, 2]), json!({"a": "b", "c": null}), json!({"a": "b"})),
            (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
        ];
        for (mut target, patch, want) in cases {
            merge_patch(&mut target, &patch);
            assert_eq!(target, want, "{patch}");
        }
    }

    #[test]
    fn a_deployment_takes_the_files_it_names_and_nothing_else() {
        let names =
            ["lua/a.lua", "lua/b.lua", "plugins/p/handler.lua", "plugins/p/schema.json", "plugins/q/handler.lua"];
        let sources = Sources { files: names.map(|name| (name.to_owned(), format!("-- {name}"))).into() };
        let document = json!({
            "api": "a",
            "stages": [{"name": "dev"}],
            "routes": [{"match": "GET /", "integration": {"function": {"file": "lua/a.lua"}}, "plugins": [{"plugin": "p"}]}],
        });
        let project = |sources: &Sources| Project { sources: sources.clone(), ..Project::default() };
        let deployment = Deployment::of(document.clone(), &project(&sources));
        let files: Vec<&str> = deployment.files.keys().map(String::as_str).collect();
        assert_eq!(files, ["lua/a.lua", "plugins/p/handler.lua", "plugins/p/schema.json"]);
        assert!(deployment.document.get("stages").is_none(), "stages are the manifest's");
        let mut other = sources.clone();
        other.files.insert("lua/b.lua".to_owned(), "changed".to_owned());
        let same = Deployment::of(document, &project(&other));
        assert_eq!(same.digest().expect("JSON"), deployment.digest().expect("JSON"), "b.lua is not its own");
    }
}
