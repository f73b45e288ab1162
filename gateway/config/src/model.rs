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
    /// The schema, draft-04 or 2020-12. References between models are `#/models/NAME`; AWS's `NAME`, `/NAME` and
    /// `https://apigateway.amazonaws.com/restapis/ID/models/NAME` mean the same.
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
    /// What happens to a request that fails: `enforce` refuses it, `report` lets it pass and logs what is wrong.
    /// Default: `enforce`.
    #[serde(default, skip_serializing_if = "ValidationMode::is_enforce")]
    pub mode: ValidationMode,
}

/// What happens to a request that fails a check.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ValidationMode {
    /// It is refused.
    #[default]
    Enforce,
    /// It passes, and what is wrong with it is in the log: for trying a model out on live traffic.
    Report,
}

impl ValidationMode {
    fn is_enforce(&self) -> bool {
        *self == Self::Enforce
    }
}
