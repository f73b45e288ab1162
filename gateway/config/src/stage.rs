//! A stage: a named place where an API is served.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::StageName;
use crate::plugin::PluginAttachment;

/// One stage of an API.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StageConfig {
    /// The stage's name: the first segment of the path on the API's own host.
    pub name: StageName,
    /// What the stage is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Stage variables: at most 100, names `[A-Za-z0-9_]` up to 64 bytes, values up to 512 bytes (source: API Gateway quotas).
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub variables: IndexMap<String, String>,
    /// Whether every change of the API is deployed here by itself, as on HTTP APIs' `$default` stage. A project's folder is
    /// always deployed whole; the management API keeps to it. Default: true for `$default`, else false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_deploy: Option<bool>,
    /// Plugins that run on every route on this stage, after the API's own and before the routes'.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub plugins: Vec<PluginAttachment>,
    /// Routes that differ on this stage: what changes, by the route's `match`, as a JSON Merge Patch (RFC 7396) of the route.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub routes: IndexMap<String, serde_json::Value>,
}

impl StageConfig {
    /// A stage with nothing but its name.
    pub fn named(name: StageName) -> Self {
        Self {
            name,
            description: None,
            variables: IndexMap::new(),
            auto_deploy: None,
            routes: IndexMap::new(),
            plugins: Vec::new(),
        }
    }

    /// Whether every change of the API is deployed here by itself.
    pub fn is_auto_deployed(&self) -> bool {
        self.auto_deploy.unwrap_or(self.name.as_str() == StageName::DEFAULT)
    }
}
