//! Custom domains: which API and stage a host and a base path lead to.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::{ApiId, StageName};

/// A custom domain.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DomainConfig {
    /// The host name, lower case, without a port: `api.example.com`, or `*.example.com` for one label.
    pub domain: String,
    /// Which base path leads where. The longest that matches wins.
    pub mappings: Vec<BasePathMapping>,
}

/// One base path of a domain.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BasePathMapping {
    /// The base path, `/` or `/orders` or `/orders/v2`. Default: `/`. It is removed before routes are matched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_path: Option<String>,
    /// The API.
    pub api: ApiId,
    /// The stage. Default: the API's default stage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<StageName>,
}
