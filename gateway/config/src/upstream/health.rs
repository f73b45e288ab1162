//! Which targets are well, and when an upstream as a whole is left alone.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Asking targets whether they are well: off the request path, once per process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HealthCheckConfig {
    /// What is asked. Default: `http`.
    #[serde(default, rename = "type")]
    pub kind: HealthCheckType,
    /// The path and query to ask for, for `http`. Default: `/`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Statuses that mean well, each `200` or `200-399`, for `http`. Default: `200-399`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub statuses: Vec<String>,
    /// Time from one question to the next, in milliseconds, 10..=3,600,000. Default: 10,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval_ms: Option<u32>,
    /// Longest wait for an answer, in milliseconds, 1..=60,000. Default: 2,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u32>,
    /// Good answers in a row after which a target counts as well again, 1..=100. Default: 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub healthy_after: Option<u32>,
    /// Bad answers in a row after which a target gets no more requests, 1..=100. Default: 3. The first answer of all decides alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unhealthy_after: Option<u32>,
}

/// What a target is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HealthCheckType {
    /// A GET request.
    #[default]
    Http,
    /// A connection, TLS included.
    Tcp,
}

/// Setting targets aside that fail requests.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OutliersConfig {
    /// Failed requests in a row (no answer, or 5xx) after which a target is set aside, 1..=1,000. Default: 5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consecutive_failures: Option<u32>,
    /// How long it is set aside the first time, in milliseconds, 1..=3,600,000; each further time in a row takes as much longer, up
    /// to ten times as long. Default: 30,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ejection_ms: Option<u32>,
    /// Largest share of targets that may be set aside at a time, in percent, 0..=100; one always may where there are several.
    /// Default: 50.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ejected_percent_max: Option<u32>,
}

/// Answering 503 at once instead of adding to what is too much.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CircuitBreakerConfig {
    /// Most requests under way, 1..=1,000,000. Default: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_max: Option<u32>,
    /// The share of failed requests (no answer, or 5xx) at which the circuit opens, in percent, 1..=100. Default: it never opens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_percent: Option<u32>,
    /// The time over which that share is counted, in milliseconds, 100..=3,600,000. Default: 10,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window_ms: Option<u32>,
    /// Fewest requests in that time for the share to mean anything, 1..=1,000,000. Default: 20.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_min: Option<u32>,
    /// How long it stays open before one request tries again, in milliseconds, 1..=3,600,000. Default: 5,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open_ms: Option<u32>,
}
