//! Cross-origin resource sharing (Fetch standard, section 3.2).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Cross-origin rules of an API. The gateway answers preflights and puts the headers on every answer, errors too; what an
/// upstream says about CORS is replaced (source: API Gateway HTTP APIs).
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CorsConfig {
    /// Origins that may read answers: `https://app.example.com`, `https://*` or `*`.
    pub allow_origins: Vec<String>,
    /// Methods allowed beyond the simple ones; `*` for all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow_methods: Vec<String>,
    /// Request headers allowed beyond the simple ones; `*` for all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow_headers: Vec<String>,
    /// Response headers that scripts may read; `*` for all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expose_headers: Vec<String>,
    /// Whether cookies and credentials may be sent. Not together with `*` anywhere.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub allow_credentials: bool,
    /// How long a browser may keep a preflight's answer, in seconds, -1..=86,400; -1 forbids it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age_seconds: Option<i32>,
}
