//! What users write. The comments are the manual: they become the schema's descriptions and the form's labels.

use moongate_config::authorizer::ApiKeyConfig;
use schemars::JsonSchema;
use serde::Deserialize;

use super::DEFAULT_HEADER;

/// Settings of the `api_key` policy.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where callers show their key: `header: NAME` or `query: NAME`. Default: the header `x-api-key`.
    #[serde(default)]
    pub source: SourceConfig,
    /// The keys that open the route, at least one.
    pub keys: Vec<ApiKeyConfig>,
}

/// Where callers show their key.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SourceConfig {
    /// In the header field of this name.
    Header(String),
    /// In the query parameter of this name. Such keys end up in the logs of proxies and in browsers' histories: prefer a header.
    Query(String),
}

impl Default for SourceConfig {
    fn default() -> Self {
        Self::Header(DEFAULT_HEADER.to_owned())
    }
}
