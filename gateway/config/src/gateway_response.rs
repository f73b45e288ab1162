//! Answers that the gateway itself gives, changed by kind.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The kinds of answers the gateway gives by itself: AWS's gateway response types, and Moongate's `METHOD_NOT_ALLOWED`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[expect(missing_docs, reason = "AWS's own names; `moongate-exchange` holds the table with status and text")]
pub enum GatewayResponseType {
    AccessDenied,
    ApiConfigurationError,
    AuthorizerConfigurationError,
    AuthorizerFailure,
    BadRequestBody,
    BadRequestParameters,
    #[serde(rename = "DEFAULT_4XX")]
    Default4xx,
    #[serde(rename = "DEFAULT_5XX")]
    Default5xx,
    ExpiredToken,
    IntegrationFailure,
    IntegrationTimeout,
    InvalidApiKey,
    InvalidSignature,
    MethodNotAllowed,
    MissingAuthenticationToken,
    QuotaExceeded,
    RequestTooLarge,
    ResourceNotFound,
    Throttled,
    Unauthorized,
    UnsupportedMediaType,
    WafFiltered,
}

/// What replaces the gateway's own answer of one kind.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GatewayResponseConfig {
    /// The status, 100..=599. Default: the kind's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_code: Option<u16>,
    /// Headers: `gatewayresponse.header.NAME` (or just `NAME`) to `'text'`, `method.request.header.NAME`, `context.NAME`, ...
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub response_parameters: IndexMap<String, String>,
    /// Bodies by media type, with `$context.NAME` replaced (source: API Gateway gateway responses; no other template language).
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub response_templates: IndexMap<String, String>,
}
