//! An API: the unit that is drafted, deployed and called.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::authorizer::AuthorizerConfig;
use crate::cors::CorsConfig;
use crate::gateway_response::{GatewayResponseConfig, GatewayResponseType};
use crate::ids::{ApiId, StageName};
use crate::limits::LimitsConfig;
use crate::model::{ModelConfig, RequestValidatorConfig};
use crate::plugin::PluginAttachment;
use crate::policy::PolicyAttachment;
use crate::route::RouteConfig;
use crate::stage::StageConfig;

/// One API: its routes, what guards them, and the stages they are served on.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApiConfig {
    /// The API's id: part of its host name and of its path on the default domain.
    pub api: ApiId,
    /// The name people read. Default: the id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What the API is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The API's own version, as its document states it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// `rest` or `http`. Default: `http`.
    #[serde(default)]
    pub protocol: Protocol,
    /// Whose habits to keep where they differ from Moongate's own. Default: `none`; imports of AWS exports set `aws`.
    #[serde(default)]
    pub compat: Compat,
    /// Media types whose bodies are bytes, not text (`image/png`, `image/*`, `*/*`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub binary_media_types: Vec<String>,
    /// Cross-origin rules: answered preflights, and headers on every answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cors: Option<CorsConfig>,
    /// Sizes and times this API keeps to.
    #[serde(default)]
    pub limits: LimitsConfig,
    /// Authorizers by the name that routes use.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub authorizers: IndexMap<String, AuthorizerConfig>,
    /// The authorizer of routes that name none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_authorizer: Option<String>,
    /// API keys that open routes with `api_key_required`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub api_keys: Vec<crate::authorizer::ApiKeyConfig>,
    /// Secrets that this API's authorizers, functions and templates may ask for by name (`gate.secret("NAME")`), each with
    /// where it is: `env:NAME` or `file:PATH`.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub secrets: IndexMap<String, String>,
    /// JSON Schemas by name.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub models: IndexMap<String, ModelConfig>,
    /// Request validators by name.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub request_validators: IndexMap<String, RequestValidatorConfig>,
    /// Answers of the gateway itself, changed by kind.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub gateway_responses: IndexMap<GatewayResponseType, GatewayResponseConfig>,
    /// Built-in policies that act on every route.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<PolicyAttachment>,
    /// Plugins that run on every route, in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub plugins: Vec<PluginAttachment>,
    /// Where requests go that no route takes, path appended: a `$default` route in short (AWS: quick create).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream: Option<String>,
    /// What can be called. Order does not matter for matching.
    #[serde(default)]
    pub routes: Vec<RouteConfig>,
    /// Where it is served. Default: one stage, `$default` for `http` APIs and `dev` for `rest` APIs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stages: Vec<StageConfig>,
    /// The stage that `/{api}/...` on the default domain reaches. Default: the first stage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_stage: Option<StageName>,
}

/// The two families of HTTP APIs that AWS API Gateway knows.
///
/// They differ in compilation only (defaults, parameter mapping syntax, event format), never in the pipeline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// API Gateway v1: mapping templates, models, request validators.
    Rest,
    /// API Gateway v2: proxying, `$default` routes and stages, automatic CORS.
    #[default]
    Http,
}

/// Whose habits an API keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Compat {
    /// Moongate's own: 404 and 405 with `Allow`, errors that explain themselves.
    #[default]
    None,
    /// AWS API Gateway's, such as 403 `Missing Authentication Token` for an unknown route.
    Aws,
}
