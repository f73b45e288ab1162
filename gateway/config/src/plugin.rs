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
    /// What becomes of a request when the plugin fails: `closed` answers 500, `open` goes on without the plugin. Default: `closed`.
    #[serde(default, skip_serializing_if = "OnError::is_default")]
    pub on_error: OnError,
    /// The digest of the plugin's files, as `moongate plugin digest` prints it: another version is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Budgets of its own, up to what the operator allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<PluginLimits>,
}

/// What becomes of a request when a plugin fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnError {
    /// It gets 500.
    #[default]
    Closed,
    /// It goes on as if the plugin were not there.
    Open,
}

impl OnError {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Budgets of one run of a plugin. What is not named is the operator's default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PluginLimits {
    /// Processor time, in milliseconds, at least 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_ms: Option<u32>,
    /// Time by the clock on the wall between two waits, in milliseconds, at least 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wall_ms: Option<u32>,
    /// Time it may wait for services and stores, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_ms: Option<u32>,
    /// Requests it may send.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calls_max: Option<u32>,
    /// Bytes that the bodies of its requests and their answers may have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outbound_bytes_max: Option<u32>,
}
