//! A route: method and path, and what happens to a request that matches.

use std::fmt;

use http::Method;
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::integration::IntegrationConfig;
use crate::plugin::PluginAttachment;
use crate::policy::PolicyAttachment;

/// One route of an API.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RouteConfig {
    /// Which requests: `GET /orders/{id}`, `ANY /files/{path+}`, or `$default`.
    #[serde(rename = "match")]
    pub key: RouteKey,
    /// A short name (`get-order`) for URLs, logs and the command line. Default: made from `match`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What the route is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Who decides about the caller: an authorizer's name, or `none` for an open route.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorizer: Option<String>,
    /// Scopes of which the caller's token must hold at least one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub authorization_scopes: Vec<String>,
    /// Whether a caller must show an API key in `x-api-key`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub api_key_required: bool,
    /// Declared parameters, `method.request.{path|querystring|header}.NAME`, and whether each is required.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub request_parameters: IndexMap<String, bool>,
    /// The model of the body, by content type.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub request_models: IndexMap<String, String>,
    /// What the route's answers look like, by status: for documentation, exports and client code, not for checks.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub method_responses: IndexMap<String, MethodResponseConfig>,
    /// The request validator's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_validator: Option<String>,
    /// Where requests go, path appended: `http://orders:9000`, `https://api.example.com/v2`, `h2c://greeter:50051` for HTTP/2
    /// without TLS (gRPC), or `upstream://orders/v2` for an upstream's document. Short for an `http_proxy` integration; use either
    /// this or `integration`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream: Option<String>,
    /// The function that answers: its name in `functions/`. Short for an `aws_proxy` integration; use either this, `upstream` or
    /// `integration`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function: Option<String>,
    /// What answers the route.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub integration: Option<IntegrationConfig>,
    /// Which other protocols a client may go over to, on the same connection (`Upgrade`). Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upgrade: Option<UpgradeConfig>,
    /// Built-in policies that act on this route after the API's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<PolicyAttachment>,
    /// Plugins that run on this route after the API's own, in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub plugins: Vec<PluginAttachment>,
}

impl RouteConfig {
    /// A `$default` route that passes everything to an upstream, path appended.
    pub fn default_to(upstream: &str) -> Self {
        Self {
            key: RouteKey::Default,
            name: None,
            description: None,
            authorizer: None,
            authorization_scopes: Vec::new(),
            api_key_required: false,
            request_parameters: IndexMap::new(),
            request_models: IndexMap::new(),
            method_responses: IndexMap::new(),
            request_validator: None,
            upstream: Some(upstream.to_owned()),
            function: None,
            integration: None,
            upgrade: None,
            policies: Vec::new(),
            plugins: Vec::new(),
        }
    }
}

/// What answers of one status look like (AWS: `MethodResponse`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MethodResponseConfig {
    /// What the answer means.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Declared header fields, `method.response.header.NAME`, and whether each is always there.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub response_parameters: IndexMap<String, bool>,
    /// The model of the body, by content type.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub response_models: IndexMap<String, String>,
}

/// Going over to another protocol (RFC 9110 section 7.8): after the upstream's 101, bytes pass both ways as they are.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpgradeConfig {
    /// The protocols, as `Upgrade` names them: `websocket`.
    pub protocols: Vec<String>,
    /// Longest time without a byte in either direction, in milliseconds. Default: 600,000 (source: API Gateway quotas, WebSocket
    /// APIs).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_timeout_ms: Option<u32>,
    /// Longest life of such a connection, in milliseconds. Default: 7,200,000 (source: API Gateway quotas, WebSocket APIs).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifetime_ms: Option<u32>,
}

/// Which requests a route takes: AWS's route key.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub enum RouteKey {
    /// `$default`: whatever no other route takes.
    Default,
    /// A method (`None` = `ANY`) and a path template that starts with `/`.
    On {
        /// The method, or `None` for `ANY`.
        method: Option<Method>,
        /// The template: `/orders/{id}`, `/files/{path+}`.
        path: String,
    },
}

impl TryFrom<String> for RouteKey {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text == "$default" {
            return Ok(Self::Default);
        }
        let Some((method, path)) = text.split_once(' ') else {
            return Err(format!(
                "`{text}` is not a route: write a method and a path, such as `GET /orders/{{id}}`, or `$default`"
            ));
        };
        let method = match method {
            "ANY" => None,
            "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS" => {
                Method::from_bytes(method.as_bytes()).ok()
            }
            other => {
                return Err(format!(
                    "`{other}` is not a method a route can have: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS or ANY"
                ));
            }
        };
        check_template(path)?;
        Ok(Self::On { method, path: path.to_owned() })
    }
}

/// Checks a path template: literal segments, `{name}` for one segment, `{name+}` for the rest (last only).
fn check_template(path: &str) -> Result<(), String> {
    if !path.starts_with('/') {
        return Err(format!("path `{path}` must start with `/`"));
    }
    let mut names: Vec<&str> = Vec::new();
    let mut segments = path[1..].split('/').peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        if segment.is_empty() && !is_last {
            return Err(format!("path `{path}` has an empty segment; requests are matched with `//` folded into `/`"));
        }
        if !segment.contains(['{', '}']) {
            continue;
        }
        let Some(name) = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) else {
            return Err(format!("in path `{path}` a parameter must fill its whole segment, unlike `{segment}`"));
        };
        let (name, is_greedy) = name.strip_suffix('+').map_or((name, false), |name| (name, true));
        if is_greedy && !is_last {
            return Err(format!("in path `{path}` the greedy parameter `{segment}` must be the last segment"));
        }
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-:".contains(&b)) {
            return Err(format!(
                "in path `{path}` the parameter `{segment}` needs a name of letters, digits, `.`, `_`, `-` or `:`"
            ));
        }
        if names.contains(&name) {
            return Err(format!("path `{path}` names the parameter `{name}` twice"));
        }
        names.push(name);
    }
    Ok(())
}

impl From<RouteKey> for String {
    fn from(key: RouteKey) -> Self {
        key.to_string()
    }
}

impl fmt::Display for RouteKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("$default"),
            Self::On { method, path } => write!(f, "{} {path}", method.as_ref().map_or("ANY", Method::as_str)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn route_keys_read_and_print_alike() {
        for text in ["GET /", "ANY /files/{path+}", "POST /orders/{order-id}/lines/{n}", "$default"] {
            let key = RouteKey::try_from(text.to_owned()).expect(text);
            assert_eq!(key.to_string(), text);
        }
    }

    #[test]
    fn malformed_route_keys_say_why() {
        let cases = [
            ("GET", "write a method and a path"),
            ("FETCH /", "not a method"),
            ("GET orders", "must start with `/`"),
            ("GET /a//b", "empty segment"),
            ("GET /{a+}/b", "last segment"),
            ("GET /x{a}", "whole segment"),
            ("GET /{}", "needs a name"),
            ("GET /{a}/{a}", "twice"),
        ];
        for (text, why) in cases {
            let error = RouteKey::try_from(text.to_owned()).expect_err(text);
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
