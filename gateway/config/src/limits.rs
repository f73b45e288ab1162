//! Sizes and times an API keeps to.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Largest body that a stage may hold in memory unless said otherwise: 10 MB, as in AWS (source: API Gateway quotas).
pub const BODY_BUFFER_BYTES: u64 = 10 * 1024 * 1024;

/// Sizes an API keeps to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LimitsConfig {
    /// Largest request body, in bytes; larger ones get 413. Default: none, bodies stream in constant memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_body_bytes_max: Option<u64>,
    /// Largest body that a template or function may read, in bytes. Default: 10 MiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub buffered_body_bytes_max: Option<u64>,
}
