//! Sizes and times an API keeps to.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Largest body that a stage may hold in memory unless said otherwise: 10 MB, as in AWS (source: API Gateway quotas).
pub const BODY_BUFFER_BYTES: u64 = 10 * 1024 * 1024;

/// Longest integration timeout that can be allowed, in milliseconds: 15 minutes, as long as AWS lets a Lambda function run.
pub const INTEGRATION_TIMEOUT_MS_MAX: u32 = 900_000;

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
    /// Longest `timeout_ms` that an integration of this API may have, in milliseconds, 29,000..=900,000. Default: 29,000, as in AWS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub integration_timeout_ms_max: Option<u32>,
}
