//! What answers a route: an upstream, a mock, a Lua function; and how requests and responses are mapped for it.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::script::{ScriptConfig, TemplateConfig};
use crate::upstream::{RetryConfig, TimeoutsConfig, UpstreamTlsConfig};

/// Longest time an integration may take unless the operator allows more, in milliseconds (source: API Gateway quotas).
pub const TIMEOUT_MS_MAX: u32 = 29_000;
/// Shortest time that can be set, in milliseconds (source: API Gateway quotas).
pub const TIMEOUT_MS_MIN: u32 = 50;

/// An integration, with AWS API Gateway's field meanings.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IntegrationConfig {
    /// What kind of thing answers.
    #[serde(rename = "type")]
    pub kind: IntegrationType,
    /// Where it is, for `http` and `http_proxy`: a URL with `{name}` for mapped path parameters and `${stageVariables.name}`.
    /// `upstream://NAME/path` leads to an upstream's document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// The method the upstream sees. Default: the client's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// The function, for `lua`; for `aws` and `aws_proxy` what stands in for the Lambda function that `uri` names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function: Option<ScriptConfig>,
    /// The format of a function's event, `1.0` or `2.0`. Default: `1.0` for `aws_proxy` in `rest` APIs, else `2.0`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload_format_version: Option<PayloadFormat>,
    /// `integration.request.{path|querystring|header}.NAME` to where the value comes from; or as in HTTP APIs
    /// `{append|overwrite|remove}:{header|querystring}.NAME` and `overwrite:path`.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub request_parameters: IndexMap<String, String>,
    /// What builds the body, by the request's content type; `$default` for any.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub request_templates: IndexMap<String, TemplateConfig>,
    /// What happens to a body whose content type has no template. Default: `when_no_match`.
    #[serde(default)]
    pub passthrough_behavior: PassthroughBehavior,
    /// How bodies are converted between bytes and text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_handling: Option<ContentHandling>,
    /// How the integration's answers become the client's. The first whose `selection_pattern` matches is used, else the
    /// one without a pattern.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub responses: Vec<IntegrationResponseConfig>,
    /// Changes to answers that pass, by the integration's status (200 to 599), as in HTTP APIs:
    /// `{append|overwrite|remove}:header.NAME` and `overwrite:statuscode` to where the value comes from.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub response_parameters: IndexMap<String, IndexMap<String, String>>,
    /// Longest wait for the whole answer's head, in milliseconds, 50..=29,000; more where
    /// `limits.integration_timeout_ms_max` allows it. Default: 29,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u32>,
    /// How long the steps of a request may take. Default: as the upstream's document says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeouts: Option<TimeoutsConfig>,
    /// Which failed requests are sent again. Default: as the upstream's document says; none for a plain URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<RetryConfig>,
    /// The version spoken to the upstream. Default: HTTP/2 where TLS offers it, else HTTP/1.1.
    #[serde(default)]
    pub http_version: HttpVersion,
    /// How the upstream's TLS is verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<UpstreamTlsConfig>,
}

/// The format of a function's event and result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PayloadFormat {
    /// API Gateway REST APIs' format.
    #[serde(rename = "1.0")]
    V1,
    /// API Gateway HTTP APIs' format.
    #[serde(rename = "2.0")]
    V2,
}

/// The kinds of integrations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum IntegrationType {
    /// An HTTP upstream, request and response passed on as they are.
    HttpProxy,
    /// An HTTP upstream, request and response mapped.
    Http,
    /// No upstream: the request template chooses the status, the response template the body.
    Mock,
    /// A Lua function in the gateway: `handler(event, context)`.
    Lua,
    /// An AWS service or a Lambda function, mapped.
    Aws,
    /// A Lambda function, request and response in Lambda's proxy format.
    AwsProxy,
}

/// What happens to a body without a template (AWS: `passthroughBehavior`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PassthroughBehavior {
    /// It passes when no template matches its content type.
    #[default]
    WhenNoMatch,
    /// It passes only when there are no templates at all; otherwise 415.
    WhenNoTemplates,
    /// It never passes: 415.
    Never,
}

/// Conversion of a body (AWS: `contentHandling`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ContentHandling {
    /// Base64 text becomes bytes.
    ConvertToBinary,
    /// Bytes become base64 text.
    ConvertToText,
}

/// HTTP version towards an upstream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum HttpVersion {
    /// What ALPN settles on over TLS, HTTP/1.1 over plain TCP.
    #[default]
    #[serde(rename = "auto")]
    Auto,
    /// HTTP/1.1 only.
    #[serde(rename = "1.1")]
    Http11,
    /// HTTP/2 only; over plain TCP with prior knowledge (RFC 9113 section 3.3).
    #[serde(rename = "2")]
    Http2,
}

/// How one class of integration answers becomes the client's answer.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IntegrationResponseConfig {
    /// A regular expression that the whole status code (or a function's error message) must match. Absent: the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selection_pattern: Option<String>,
    /// The status the client sees, 100..=599.
    pub status_code: u16,
    /// `method.response.header.NAME` to where the value comes from.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub response_parameters: IndexMap<String, String>,
    /// What builds the body, by media type.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub response_templates: IndexMap<String, TemplateConfig>,
    /// How the body is converted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_handling: Option<ContentHandling>,
}
