//! Where a plugin runs and with which settings.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One use of a Lua plugin.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PluginAttachment {
    /// The plugin's name.
    pub plugin: String,
    /// Its settings, checked against the plugin's `schema.json`.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub config: serde_json::Value,
}
