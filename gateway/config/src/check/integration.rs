//! Checks of integrations: the fields their type needs, ranges, scripts.

use http::Method;

use crate::check::api::{STATUS_MAX, STATUS_MIN};
use crate::check::{Report, script, upstream, url};
use crate::integration::{HttpVersion, IntegrationConfig, IntegrationType, TIMEOUT_MS_MIN};
use crate::issue::{codes, quote};
use crate::project::Sources;
use crate::source::pointer_to;
use crate::upstream::reference;

/// The lowest status whose answers HTTP APIs change (source: API Gateway, "Transform API requests and responses").
const MAPPED_STATUS_MIN: i64 = 200;

pub(super) fn check(integration: &IntegrationConfig, pointer: &str, sources: &Sources, report: &mut Report<'_>) {
    check_target(integration, pointer, sources, report);
    if let Some(method) = &integration.method
        && Method::from_bytes(method.as_bytes()).is_err()
    {
        let message = format!("{} is not a method", quote(method));
        report.push(report.error(codes::REFUSED_VALUE, format!("{pointer}/method"), message));
    }
    if let Some(timeout_ms) = integration.timeout_ms {
        let (low, high) = (TIMEOUT_MS_MIN.into(), report.timeout_ms_max.into());
        report.check_range(timeout_ms.into(), low, high, || format!("{pointer}/timeout_ms"));
    }
    if let Some(timeouts) = &integration.timeouts {
        upstream::check_timeouts(timeouts, &format!("{pointer}/timeouts"), report);
    }
    if let Some(retry) = &integration.retry {
        upstream::check_retry(retry, &format!("{pointer}/retry"), report);
    }
    if let Some(tls) = &integration.tls {
        upstream::check_tls(tls, &format!("{pointer}/tls"), report);
    }
    check_reference(integration, pointer, report);
    for (media_type, template) in &integration.request_templates {
        let pointer = pointer_to(&format!("{pointer}/request_templates"), media_type);
        script::check_template(template, &pointer, sources, report);
    }
    for status in integration.response_parameters.keys() {
        let pointer = pointer_to(&format!("{pointer}/response_parameters"), status);
        match status.parse::<u16>() {
            Ok(code) => report.check_range(code.into(), MAPPED_STATUS_MIN, STATUS_MAX, || pointer),
            Err(_) => {
                let message = format!("{} is not a status code", quote(status));
                report.push(report.error(codes::REFUSED_VALUE, pointer, message));
            }
        }
    }
    for (at, response) in integration.responses.iter().enumerate() {
        let pointer = format!("{pointer}/responses/{at}");
        let status = response.status_code.into();
        report.check_range(status, STATUS_MIN, STATUS_MAX, || format!("{pointer}/status_code"));
        for (media_type, template) in &response.response_templates {
            let pointer = pointer_to(&format!("{pointer}/response_templates"), media_type);
            script::check_template(template, &pointer, sources, report);
        }
    }
}

/// What answers: `uri` or `function`, whichever the type needs.
fn check_target(integration: &IntegrationConfig, pointer: &str, sources: &Sources, report: &mut Report<'_>) {
    let IntegrationConfig { kind, uri, function, .. } = integration;
    let is_http = matches!(kind, IntegrationType::Http | IntegrationType::HttpProxy);
    let is_lua = *kind == IntegrationType::Lua;
    let is_aws = matches!(kind, IntegrationType::Aws | IntegrationType::AwsProxy);
    match uri {
        Some(uri) if is_http => check_uri(uri, &format!("{pointer}/uri"), report),
        Some(_) if !is_aws => {
            let message = "`uri` has no effect on an integration of this type";
            report.push(report.warning(codes::NO_EFFECT, format!("{pointer}/uri"), message));
        }
        None if is_http => {
            let issue = report.error(codes::FIELD_NEEDED, pointer, "an integration of this type needs a `uri`");
            report.push(issue.help("`uri: http://orders:9000/orders/{id}`"));
        }
        _ => {}
    }
    match function {
        Some(function) if is_lua || is_aws => script::check(function, &format!("{pointer}/function"), sources, report),
        Some(_) => {
            let message = "`function` has no effect on an integration of this type";
            report.push(report.warning(codes::NO_EFFECT, format!("{pointer}/function"), message));
        }
        None if is_lua => {
            let issue = report.error(codes::FIELD_NEEDED, pointer, "a `lua` integration needs a `function`");
            report.push(issue.help("`function: { file: lua/orders.lua }`, or `function: { lua: ... }`"));
        }
        None => {}
    }
}

/// An upstream's document says how its targets are reached: the integration has no say in that.
fn check_reference(integration: &IntegrationConfig, pointer: &str, report: &mut Report<'_>) {
    if integration.uri.as_deref().and_then(reference).is_none() {
        return;
    }
    let fields = [("tls", integration.tls.is_some()), ("http_version", integration.http_version != HttpVersion::Auto)];
    for (field, _) in fields.into_iter().filter(|(_, is_set)| *is_set) {
        let message = format!("`{field}` has no effect here: the upstream's document says it");
        report.push(report.warning(codes::NO_EFFECT, format!("{pointer}/{field}"), message));
    }
}

/// Checks the address of an upstream.
pub(super) fn check_uri(uri: &str, pointer: &str, report: &mut Report<'_>) {
    if let Err(why) = url::check_upstream(uri, report.is_aws) {
        // A password must not travel into reports.
        let shown = if uri.contains('@') { "this".to_owned() } else { quote(uri) };
        let message = format!("{shown} is not the address of an upstream: {why}");
        report.push(report.error(codes::BAD_URL, pointer, message));
    }
}
