//! Where a built-in policy acts and with which settings.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One use of a built-in policy.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyAttachment {
    /// The policy's name: `moongate policies` lists them.
    pub policy: String,
    /// Its settings, checked against the policy's own schema.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub config: serde_json::Value,
}
