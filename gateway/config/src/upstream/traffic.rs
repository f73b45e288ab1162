//! How requests are spread over targets, how long they may take, and what is sent twice.

use http::HeaderName;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::UpstreamName;

/// Which target a request goes to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BalanceConfig {
    /// How targets are chosen. Default: `round_robin`.
    #[serde(default)]
    pub policy: BalancePolicy,
    /// What requests that belong together have in common, for `hash`: `client_ip`, `path`, `header:NAME` or `cookie:NAME`. A
    /// request without that field goes to any target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash_on: Option<HashKey>,
}

/// How targets are chosen. All keep to the targets' weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BalancePolicy {
    /// One after the other.
    #[default]
    RoundRobin,
    /// The less busy of two that are drawn by chance.
    LeastRequest,
    /// Always the same one for the same key; when a target comes or goes, only its own keys move.
    Hash,
}

/// What requests that belong together have in common.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String", extend("pattern" = "^(client_ip|path|header:.+|cookie:.+)$"))]
pub enum HashKey {
    /// The client's address.
    ClientIp,
    /// The path, without the query.
    Path,
    /// A header field's first value.
    Header(HeaderName),
    /// A cookie's value.
    Cookie(String),
}

impl TryFrom<String> for HashKey {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let refused = || Err(format!("`{text}` is not `client_ip`, `path`, `header:NAME` or `cookie:NAME`"));
        match text.split_once(':') {
            None if text == "client_ip" => Ok(Self::ClientIp),
            None if text == "path" => Ok(Self::Path),
            Some(("header", name)) => HeaderName::from_bytes(name.as_bytes()).map(Self::Header).or_else(|_| refused()),
            // A cookie's name is a token, as a header's is (RFC 6265 section 4.1.1).
            Some(("cookie", name)) if HeaderName::from_bytes(name.as_bytes()).is_ok() => {
                Ok(Self::Cookie(name.to_owned()))
            }
            _ => refused(),
        }
    }
}

impl From<HashKey> for String {
    fn from(key: HashKey) -> Self {
        match key {
            HashKey::ClientIp => "client_ip".to_owned(),
            HashKey::Path => "path".to_owned(),
            HashKey::Header(name) => format!("header:{name}"),
            HashKey::Cookie(name) => format!("cookie:{name}"),
        }
    }
}

/// How long each step of a request may take, in milliseconds. `timeout_ms` of the route bounds them all together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TimeoutsConfig {
    /// For a connection, TLS included, 1..=60,000. Default: 5,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connect_ms: Option<u32>,
    /// From the end of the request to the head of the answer, 1..=3,600,000. Default: the route's `timeout_ms`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_byte_ms: Option<u32>,
    /// Longest pause in the answer's body, 1..=3,600,000. Default: 300,000, as AWS allows in streams.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_ms: Option<u32>,
    /// Longest time in which the upstream takes nothing of the request's body, 1..=3,600,000. Default: the route's `timeout_ms`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub write_ms: Option<u32>,
}

/// Which failed requests are sent again, to another target where there is one.
///
/// Never a request whose body was streamed and has begun. Retries take from a budget that the upstream's requests fill, so that an
/// outage is not made worse by them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RetryConfig {
    /// Most further attempts for one request, 0..=10. Default: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retries_max: Option<u32>,
    /// Longest time for one attempt, connection included, in milliseconds, 1..=3,600,000; uploads have `write_ms` instead. Default:
    /// only the route's `timeout_ms`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_try_timeout_ms: Option<u32>,
    /// What is tried again. Default: `[connect_failure, reset, refused]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on: Option<Vec<RetryOn>>,
    /// Statuses that are tried again beside those of `on`, 400..=599.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub statuses: Vec<u16>,
    /// Methods that are tried again. Default: those that do no more when they are sent twice (RFC 9110 section 9.2.2): GET, HEAD,
    /// OPTIONS, TRACE, PUT, DELETE.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub methods: Option<Vec<String>>,
    /// Retries allowed per 100 requests of this upstream, 0..=100. Default: 20. Beside them, 10 are allowed at the beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget_percent: Option<u32>,
    /// Longest pause before the first retry, in milliseconds, 0..=10,000; it doubles with each further one. Chosen by chance up to
    /// that. Default: 25.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backoff_ms: Option<u32>,
}

/// What is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RetryOn {
    /// No connection, or no TLS.
    ConnectFailure,
    /// The connection broke before the answer.
    Reset,
    /// The upstream said that it did not process the request (HTTP/2 REFUSED_STREAM or GOAWAY), whatever the method.
    Refused,
    /// No answer within the attempt's time.
    Timeout,
    /// 502, 503 or 504.
    GatewayError,
    /// Any 5xx.
    ServerError,
}

/// How many connections are made and kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PoolConfig {
    /// Most connections to all targets together, 1..=65,536. Default: 8,192. Further requests wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connections_max: Option<u32>,
    /// Most requests that wait for a connection, 0..=65,536. Default: 4,096. Further ones get 503.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending_max: Option<u32>,
    /// Most unused connections kept per target and worker, 0..=65,536. Default: 512.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_max: Option<u32>,
    /// How long an unused connection is kept, in milliseconds, 1..=3,600,000. Default: 50,000, less than most servers wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_ms: Option<u32>,
}

/// Sending a copy of some requests to another upstream. Its answers are thrown away, and nobody waits for them.
///
/// Copied are requests without a body and those whose body a stage has read; bodies that stream are not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MirrorConfig {
    /// The upstream that gets the copies.
    pub upstream: UpstreamName,
    /// The share of requests that is copied, in percent, 0..=100. Default: 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent: Option<f64>,
    /// Most copies under way at a time, 1..=10,000; more are not made. Default: 128.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_flight_max: Option<u32>,
}

/// Faults on purpose: to see how clients bear them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FaultConfig {
    /// How long requests are held back, in milliseconds, 1..=60,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay_ms: Option<u32>,
    /// The share of requests that is held back, in percent, 0..=100. Default: 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay_percent: Option<f64>,
    /// The status that requests are answered with instead of being sent, 400..=599.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub abort_status: Option<u16>,
    /// The share of requests that is answered so, in percent, 0..=100. Default: 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub abort_percent: Option<f64>,
}
