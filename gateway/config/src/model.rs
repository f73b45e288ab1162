//! Models (JSON Schemas) and request validators.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A named JSON Schema.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// The media type of what the model describes. Default: `application/json`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// What the model is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The schema, draft-04 or 2020-12. References between models are `#/models/NAME`.
    pub schema: serde_json::Value,
}

/// What of a request is checked (AWS: `RequestValidator`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RequestValidatorConfig {
    /// Whether the body must match its model.
    #[serde(default)]
    pub validate_request_body: bool,
    /// Whether required parameters must be there.
    #[serde(default)]
    pub validate_request_parameters: bool,
}
