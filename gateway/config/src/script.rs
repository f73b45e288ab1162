//! References to scripts, and scripts written in place.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A Lua script: in a file of the project or in place. Exactly one of the two.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScriptConfig {
    /// The script's file, relative to the project's folder: `lua/auth.lua`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The script itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lua: Option<String>,
}

/// A mapping template: Lua in a file or in place, or a literal text. Exactly one of the three.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TemplateConfig {
    /// The template's file, relative to the project's folder: `lua/create-order.lua`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The template itself, in Lua: it returns the new body, a text or a table (written as JSON).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lua: Option<String>,
    /// A body that is always the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}
