//! Who decides about a caller.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::script::ScriptConfig;

/// Longest time a decision may be kept, in seconds (source: API Gateway `authorizerResultTtlInSeconds`).
pub const RESULT_TTL_SECONDS_MAX: u32 = 3_600;

/// An authorizer, with AWS API Gateway's field meanings.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AuthorizerConfig {
    /// What decides.
    #[serde(rename = "type")]
    pub kind: AuthorizerType,
    /// The script, for `lua`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub script: Option<ScriptConfig>,
    /// What identifies the caller: `$request.header.NAME`, `$request.querystring.NAME` (or AWS REST's `method.request.header.NAME`,
    /// ...). A request that lacks one is answered 401 without running the script.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub identity_source: Vec<String>,
    /// A regular expression that the first identity source must match, else 401 without running the script.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity_validation_expression: Option<String>,
    /// The function or provider an imported authorizer names, kept as it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
}

/// The kinds of authorizers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AuthorizerType {
    /// A Lua script in the gateway.
    Lua,
    /// A Lambda function.
    Lambda,
    /// A JSON Web Token, checked against its issuer's keys.
    Jwt,
    /// AWS Signature Version 4.
    AwsIam,
    /// An Amazon Cognito user pool.
    Cognito,
}

/// An API key declared in the configuration.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApiKeyConfig {
    /// The key's name in logs and in `context.identity.apiKeyId`.
    pub id: String,
    /// Where the key's value is: `env:NAME` or `file:PATH`. The value itself never stands in a configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// The key's SHA-256 as 64 hexadecimal digits, instead of `value`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Whether the key opens anything. Default: true.
    #[serde(default = "enabled_by_default")]
    pub enabled: bool,
}

fn enabled_by_default() -> bool {
    true
}
