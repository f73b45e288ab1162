//! Upstreams: servers that answer together under one name, how far they are trusted, and what happens when they do not answer.
//!
//! A route reaches one by its name, `upstream: upstream://orders/v1`. A route that gives a plain URL has an upstream of its own with
//! one target and the defaults described here.

mod health;
mod traffic;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use health::{CircuitBreakerConfig, HealthCheckConfig, HealthCheckType, OutliersConfig};
pub use traffic::{
    BalanceConfig, BalancePolicy, FaultConfig, HashKey, MirrorConfig, PoolConfig, RetryConfig, RetryOn, TimeoutsConfig,
};

use crate::ids::UpstreamName;
use crate::integration::HttpVersion;

/// What the URL of a route starts with when it names an upstream's document.
pub const SCHEME: &str = "upstream://";

/// Most targets of an upstream, and most addresses they may have together.
pub const TARGETS_MAX: usize = 256;

/// Largest weight of a target.
pub const WEIGHT_MAX: u32 = 1_000;

/// Servers that answer together. Routes reach them as `upstream://NAME`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpstreamConfig {
    /// The name that routes use.
    pub upstream: UpstreamName,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The servers, 1 to 256. A name with several addresses is several servers.
    pub targets: Vec<TargetConfig>,
    /// The version spoken to all targets. Default: HTTP/2 where TLS offers it, else HTTP/1.1.
    #[serde(default)]
    pub http_version: HttpVersion,
    /// How the targets' TLS is verified, and which certificate is shown to them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<UpstreamTlsConfig>,
    /// The `Host` field (`:authority`) that all targets see. Default: each target's own host and port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Which target a request goes to. Default: round robin by weight.
    #[serde(default)]
    pub balance: BalanceConfig,
    /// How long each step may take. A route's own come before these.
    #[serde(default)]
    pub timeouts: TimeoutsConfig,
    /// Which failed requests are sent again. Default: as an empty `retry` says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<RetryConfig>,
    /// How many connections are made and kept.
    #[serde(default)]
    pub pool: PoolConfig,
    /// Asking the targets whether they are well. Default: nobody asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health_check: Option<HealthCheckConfig>,
    /// Setting targets aside that fail requests. Default: only those that cannot be connected to, for seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outliers: Option<OutliersConfig>,
    /// Answering 503 at once when there is too much to do or too much fails. Default: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub circuit_breaker: Option<CircuitBreakerConfig>,
    /// Sending a copy of some requests elsewhere, and ignoring what comes back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mirror: Option<MirrorConfig>,
    /// Faults on purpose, for tests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<FaultConfig>,
}

/// One server, or a name that stands for several.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TargetConfig {
    /// `http://HOST:PORT` or `https://HOST:PORT` without a path; or `srv+http://NAME`, `srv+https://NAME` for the servers that the
    /// SRV records of the name list (RFC 2782).
    pub url: String,
    /// Its share, relative to the other targets', 1..=1000. Default: 1.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub weight: u32,
}

fn one() -> u32 {
    1
}

fn is_one(weight: &u32) -> bool {
    *weight == 1
}

/// How an upstream's TLS certificate is verified, and which one is shown to it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpstreamTlsConfig {
    /// A PEM file with the certificate authorities to trust instead of the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<String>,
    /// The name the certificate must have, and the SNI sent. Default: the URL's host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
    /// A PEM file with the certificate to show when the upstream asks for one, and its chain behind it. Needs `client_key`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_certificate_file: Option<String>,
    /// Where that certificate's private key is, in PEM: `env:NAME` or `file:PATH`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_key: Option<String>,
    /// Accept any certificate (AWS: `insecureSkipVerification`). For test systems only.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub insecure_skip_verification: bool,
}

/// The name of the upstream's document that a route's URL leads to, and the path behind it. `None` for plain URLs.
pub fn reference(url: &str) -> Option<(&str, &str)> {
    let rest = url.strip_prefix(SCHEME)?;
    Some(rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len())))
}
