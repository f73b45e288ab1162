//! Trust towards upstreams.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
    /// Accept any certificate (AWS: `insecureSkipVerification`). For test systems only.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub insecure_skip_verification: bool,
}
