//! `$context`: what mappings, templates, gateway responses and access logs may name.
//!
//! Source of the names: API Gateway, "`$context` variables for data models, authorizers, mapping templates, and CloudWatch
//! access logging".

use std::borrow::Cow;

use http::header::{HOST, USER_AGENT};

use crate::exchange::Exchange;
use crate::time;

/// The account that `context.accountId` and ARNs name: there are no accounts here, tools expect twelve digits.
pub const ACCOUNT_ID: &str = "000000000000";

/// The value of `$context.NAME` as text; `None` when there is no such variable, or it has no value on this request.
///
/// Cost: a comparison of names and at most one small allocation.
pub fn variable<'exchange>(exchange: &'exchange Exchange, name: &str) -> Option<Cow<'exchange, str>> {
    if let Some(key) = name.strip_prefix("authorizer.") {
        return authorizer(exchange, key);
    }
    if let Some(key) = name.strip_prefix("identity.") {
        return identity(exchange, key);
    }
    let matched = exchange.matched.as_ref();
    let text: &str = match name {
        "requestId" | "extendedRequestId" => exchange.id.as_str(),
        "accountId" => ACCOUNT_ID,
        "apiId" => &matched?.route.api_id,
        "stage" => &matched?.stage.name,
        "deploymentId" => &matched?.stage.deployment_id,
        "routeKey" => &matched?.route.key,
        "resourcePath" => &matched?.route.resource_path,
        "httpMethod" => exchange.request.method.as_str(),
        "path" => exchange.received_path.as_deref().unwrap_or_else(|| exchange.request.target.path()),
        "protocol" => protocol(exchange.version),
        "domainName" => domain_name(exchange)?,
        "domainPrefix" => domain_name(exchange)?.split('.').next()?,
        "requestTime" => return Some(Cow::Owned(time::clf(exchange.arrived_at))),
        "requestTimeEpoch" => return Some(Cow::Owned(exchange.arrived_epoch_ms().to_string())),
        "status" => return exchange.outcome.status.map(|status| Cow::Owned(status.as_u16().to_string())),
        "responseLength" => return Some(Cow::Owned(exchange.outcome.body_bytes.to_string())),
        "integrationLatency" => {
            return exchange.integration.latency.map(|latency| Cow::Owned(latency.as_millis().to_string()));
        }
        "integrationStatus" => {
            return exchange.integration.status.map(|status| Cow::Owned(status.as_u16().to_string()));
        }
        "error.responseType" => exchange.outcome.rejection?.face().name,
        "error.message" => exchange.outcome.message.as_deref()?,
        "error.validationErrorString" => exchange.outcome.problems.as_deref()?,
        _ => return None,
    };
    Some(Cow::Borrowed(text))
}

/// `HTTP/1.1` and the like.
pub fn protocol(version: http::Version) -> &'static str {
    match version {
        http::Version::HTTP_10 => "HTTP/1.0",
        http::Version::HTTP_2 => "HTTP/2.0",
        http::Version::HTTP_3 => "HTTP/3.0",
        _ => "HTTP/1.1",
    }
}

/// The host the client asked for, without a port.
pub fn domain_name(exchange: &Exchange) -> Option<&str> {
    let authority = exchange.request.headers.text(HOST)?;
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => Some(host),
        _ => Some(authority),
    }
}

fn authorizer<'exchange>(exchange: &'exchange Exchange, key: &str) -> Option<Cow<'exchange, str>> {
    let caller = exchange.caller.as_ref()?;
    if key == "principalId" {
        return caller.principal.as_deref().map(Cow::Borrowed);
    }
    caller.context.get(key).map(|value| match value {
        crate::Scalar::Text(text) => Cow::Borrowed(&**text),
        other => Cow::Owned(other.to_string()),
    })
}

fn identity<'exchange>(exchange: &'exchange Exchange, key: &str) -> Option<Cow<'exchange, str>> {
    match key {
        "sourceIp" => Some(Cow::Borrowed(exchange.client_ip_text())),
        "userAgent" => exchange.request.headers.text(USER_AGENT).map(Cow::Borrowed),
        "apiKeyId" => exchange.caller.as_ref()?.api_key_id.as_deref().map(Cow::Borrowed),
        // The key that was accepted, never one that was only tried.
        "apiKey" => {
            exchange.caller.as_ref()?.api_key_id.as_ref()?;
            exchange.request.headers.text("x-api-key").map(Cow::Borrowed)
        }
        _ => None,
    }
}
