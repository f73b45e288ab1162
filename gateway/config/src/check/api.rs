//! Checks of an API as a whole: authorizers, API keys, gateway responses, and everything below them.

use std::collections::HashMap;

use serde_json::Value;

use crate::api::{ApiConfig, Compat};
use crate::authorizer::{ApiKeyConfig, AuthorizerConfig, AuthorizerType};
use crate::check::{Report, cors, integration, route, script, stage};
use crate::gateway_response::GatewayResponseType;
use crate::integration::TIMEOUT_MS_MAX;
use crate::issue::{codes, quote};
use crate::limits::INTEGRATION_TIMEOUT_MS_MAX;
use crate::project::Sources;
use crate::route::RouteKey;
use crate::source::pointer_to;

/// What a route says instead of an authorizer's name to be open.
pub(super) const OPEN: &str = "none";

/// Status codes that an answer can have (RFC 9110 section 15).
pub(super) const STATUS_MIN: i64 = 100;
/// See [`STATUS_MIN`].
pub(super) const STATUS_MAX: i64 = 599;

pub(super) fn check(api: &ApiConfig, sources: &Sources, report: &mut Report<'_>) {
    report.is_aws = api.compat == Compat::Aws;
    if let Some(limit_ms) = api.limits.integration_timeout_ms_max {
        let pointer = || "/limits/integration_timeout_ms_max".to_owned();
        report.check_range(limit_ms.into(), TIMEOUT_MS_MAX.into(), INTEGRATION_TIMEOUT_MS_MAX.into(), pointer);
        report.timeout_ms_max = limit_ms;
    }
    for (name, authorizer) in &api.authorizers {
        check_authorizer(name, authorizer, sources, report);
    }
    if let Some(name) = &api.default_authorizer
        && name != OPEN
        && !api.authorizers.contains_key(name)
    {
        let known = api.authorizers.keys().map(String::as_str);
        report.push_unknown_name("authorizer", name, "/default_authorizer".to_owned(), known);
    }
    check_api_keys(&api.api_keys, report);
    for (kind, response) in &api.gateway_responses {
        if let Some(status) = response.status_code {
            let pointer = || format!("/gateway_responses/{}/status_code", written(*kind));
            report.check_range(status.into(), STATUS_MIN, STATUS_MAX, pointer);
        }
    }
    if let Some(rules) = &api.cors {
        cors::check(rules, report);
    }
    if let Some(upstream) = &api.upstream {
        integration::check_uri(upstream, "/upstream", report);
        if let Some(at) = api.routes.iter().position(|route| route.key == RouteKey::Default) {
            let message = "`upstream` of the API and the route `$default` take the same requests";
            report.push(report.error(codes::SAME_ROUTE, format!("/routes/{at}/match"), message));
        }
    }
    stage::check(api, report);
    route::check(api, sources, report);
}

/// A kind as documents write it.
fn written(kind: GatewayResponseType) -> String {
    let value = serde_json::to_value(kind).ok();
    value.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn check_authorizer(name: &str, authorizer: &AuthorizerConfig, sources: &Sources, report: &mut Report<'_>) {
    let pointer = pointer_to("/authorizers", name);
    if name == OPEN {
        let issue = report.error(codes::RESERVED_NAME, &*pointer, "an authorizer cannot be called `none`");
        report.push(issue.help("`authorizer: none` on a route opens it"));
    }
    match (&authorizer.script, authorizer.kind) {
        (Some(script), AuthorizerType::Lua) => script::check(script, &format!("{pointer}/script"), sources, report),
        (None, AuthorizerType::Lua) => {
            let issue = report.error(codes::FIELD_NEEDED, pointer, "a `lua` authorizer needs a `script`");
            report.push(issue.help("`script: { file: lua/authorize.lua }`, or `script: { lua: ... }`"));
        }
        (Some(_), _) => {
            let message = "`script` has no effect on an authorizer that is not of type `lua`";
            report.push(report.warning(codes::NO_EFFECT, format!("{pointer}/script"), message));
        }
        (None, _) => {}
    }
}

fn check_api_keys(keys: &[ApiKeyConfig], report: &mut Report<'_>) {
    /// Hexadecimal digits of a SHA-256.
    const SHA256_DIGITS: usize = 64;
    let mut first: HashMap<&str, usize> = HashMap::with_capacity(keys.len());
    for (at, key) in keys.iter().enumerate() {
        let pointer = format!("/api_keys/{at}");
        if let Some(first) = first.insert(&key.id, at) {
            let issue = report.error(
                codes::NAME_TWICE,
                format!("{pointer}/id"),
                format!("there are two API keys {}", quote(&key.id)),
            );
            let place = report.on_line(&format!("/api_keys/{first}/id"));
            report.push(issue.help(format!("the other is{place}")));
        }
        match (&key.value, &key.sha256) {
            (Some(value), None) => {
                let target = value.strip_prefix("env:").or_else(|| value.strip_prefix("file:"));
                if target.is_none_or(str::is_empty) {
                    // The value may be the key itself, so it is not repeated.
                    let message = "an API key's value must be a reference, `env:NAME` or `file:PATH`";
                    let issue = report.error(codes::BAD_API_KEY, format!("{pointer}/value"), message);
                    report.push(issue.help("keep the key itself out of the configuration, or give its `sha256`"));
                }
            }
            (None, Some(digits)) => {
                if digits.len() != SHA256_DIGITS || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                    let message = format!("`sha256` takes {SHA256_DIGITS} hexadecimal digits");
                    report.push(report.error(codes::BAD_API_KEY, format!("{pointer}/sha256"), message));
                }
            }
            (both_or_none, _) => {
                let found = if both_or_none.is_some() { "both" } else { "neither" };
                let message = format!("an API key has exactly one of `value` and `sha256`; this one has {found}");
                report.push(report.error(codes::EXACTLY_ONE, pointer, message));
            }
        }
    }
}
