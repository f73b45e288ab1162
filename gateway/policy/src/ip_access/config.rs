//! What users write. The comments are the manual: they become the schema's descriptions and the form's labels.

use schemars::JsonSchema;
use serde::Deserialize;

/// Settings of the `ip_access` policy.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The networks that may call: `192.0.2.0/24`, `2001:db8::/32` or single addresses. Default: all of them.
    #[serde(default)]
    pub allow: Vec<String>,
    /// The networks that may not call, even if `allow` names them. Default: none.
    #[serde(default)]
    pub deny: Vec<String>,
}
