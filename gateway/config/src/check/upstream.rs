//! Checks of upstreams' documents, and that what refers to one refers to something.

use std::collections::BTreeSet;

use http::Method;
use http::uri::{Authority, PathAndQuery};

use crate::api::ApiConfig;
use crate::check::{Report, Unread, url};
use crate::issue::{codes, quote};
use crate::project::Project;
use crate::upstream::{
    BalancePolicy, CircuitBreakerConfig, FaultConfig, HealthCheckConfig, HealthCheckType, MirrorConfig, OutliersConfig,
    PoolConfig, RetryConfig, TARGETS_MAX, TimeoutsConfig, UpstreamConfig, UpstreamTlsConfig, WEIGHT_MAX, reference,
};

/// Longest time that can be set, in milliseconds: an hour.
const HOUR_MS: i64 = 3_600_000;
/// Longest wait for something that should be quick, in milliseconds.
const MINUTE_MS: i64 = 60_000;

/// The upstreams that can be referred to.
pub(super) struct Names<'a> {
    known: BTreeSet<&'a str>,
    unread: &'a Unread,
}

impl<'a> Names<'a> {
    pub(super) fn new(project: &'a Project, unread: &'a Unread) -> Self {
        let known = project.upstreams.iter().map(|declared| declared.config.upstream.as_str());
        Self { known: known.collect(), unread }
    }

    fn check(&self, name: &str, pointer: String, report: &mut Report<'_>) {
        let may_exist = self.unread.is_incomplete || self.unread.upstreams.contains(name);
        if !self.known.contains(name) && !may_exist {
            report.push_unknown_name("upstream", name, pointer, self.known.iter().copied());
        }
    }
}

/// Checks the names that an API's routes use. Those that depend on stage variables are checked where stages are compiled.
pub(super) fn check_references(api: &ApiConfig, names: &Names<'_>, report: &mut Report<'_>) {
    for (at, route) in api.routes.iter().enumerate() {
        let shorthand = route.upstream.as_ref().map(|url| (url, "upstream"));
        let integration = route.integration.as_ref().and_then(|integration| integration.uri.as_ref());
        for (url, field) in shorthand.into_iter().chain(integration.map(|url| (url, "integration/uri"))) {
            if let Some((name, _)) = reference(url).filter(|(name, _)| !name.contains(['$', '{'])) {
                names.check(name, format!("/routes/{at}/{field}"), report);
            }
        }
    }
}

pub(super) fn check(upstream: &UpstreamConfig, names: &Names<'_>, report: &mut Report<'_>) {
    check_targets(upstream, report);
    if let Some(host) = &upstream.host
        && (host.is_empty() || host.contains('@') || host.parse::<Authority>().is_err())
    {
        let message = format!("{} is not a host with an optional port", quote(host));
        report.push(report.error(codes::REFUSED_VALUE, "/host", message));
    }
    let is_hash = upstream.balance.policy == BalancePolicy::Hash;
    match (&upstream.balance.hash_on, is_hash) {
        (None, true) => {
            let issue = report.error(codes::FIELD_NEEDED, "/balance", "the policy `hash` needs `hash_on`");
            report.push(issue.help("`hash_on: header:x-user`, `cookie:session`, `client_ip` or `path`"));
        }
        (Some(_), false) => {
            let message = "`hash_on` has no effect without `policy: hash`";
            report.push(report.warning(codes::NO_EFFECT, "/balance/hash_on", message));
        }
        _ => {}
    }
    if let Some(tls) = &upstream.tls {
        check_tls(tls, "/tls", report);
    }
    check_timeouts(&upstream.timeouts, "/timeouts", report);
    if let Some(retry) = &upstream.retry {
        check_retry(retry, "/retry", report);
    }
    check_pool(&upstream.pool, report);
    if let Some(check) = &upstream.health_check {
        check_health_check(check, report);
    }
    if let Some(outliers) = &upstream.outliers {
        check_outliers(outliers, report);
    }
    if let Some(breaker) = &upstream.circuit_breaker {
        check_breaker(breaker, report);
    }
    if let Some(mirror) = &upstream.mirror {
        check_mirror(mirror, names, report);
    }
    if let Some(fault) = &upstream.fault {
        check_fault(fault, report);
    }
}

fn check_targets(upstream: &UpstreamConfig, report: &mut Report<'_>) {
    if upstream.targets.is_empty() {
        report.push(report.error(codes::FIELD_NEEDED, "/targets", "an upstream needs at least one target"));
    }
    if upstream.targets.len() > TARGETS_MAX {
        let message = format!("an upstream has at most {TARGETS_MAX} targets, not {}", upstream.targets.len());
        report.push(report.error(codes::OUT_OF_RANGE, "/targets", message));
    }
    for (at, target) in upstream.targets.iter().enumerate() {
        let pointer = format!("/targets/{at}");
        if let Err(why) = url::check_target(&target.url) {
            let shown = if target.url.contains('@') { "this".to_owned() } else { quote(&target.url) };
            let message = format!("{shown} is not a target: {why}");
            report.push(report.error(codes::BAD_URL, format!("{pointer}/url"), message));
        }
        report.check_range(target.weight.into(), 1, WEIGHT_MAX.into(), || format!("{pointer}/weight"));
    }
}

/// Checks that a client's certificate comes with its key.
pub(super) fn check_tls(tls: &UpstreamTlsConfig, pointer: &str, report: &mut Report<'_>) {
    let (found, missing) = match (&tls.client_certificate_file, &tls.client_key) {
        (Some(_), None) => ("client_certificate_file", "client_key"),
        (None, Some(_)) => ("client_key", "client_certificate_file"),
        _ => return,
    };
    let message = format!("`{found}` needs `{missing}` beside it");
    report.push(report.error(codes::FIELD_NEEDED, format!("{pointer}/{found}"), message));
}

/// Checks the ranges of timeouts.
pub(super) fn check_timeouts(timeouts: &TimeoutsConfig, pointer: &str, report: &mut Report<'_>) {
    let fields = [
        ("connect_ms", timeouts.connect_ms, MINUTE_MS),
        ("first_byte_ms", timeouts.first_byte_ms, HOUR_MS),
        ("read_ms", timeouts.read_ms, HOUR_MS),
        ("write_ms", timeouts.write_ms, HOUR_MS),
    ];
    check_ranges(&fields.map(|(field, value, high)| (field, value, 1, high)), pointer, report);
}

/// Checks when requests are sent again.
pub(super) fn check_retry(retry: &RetryConfig, pointer: &str, report: &mut Report<'_>) {
    let fields = [
        ("retries_max", retry.retries_max, 0, 10),
        ("per_try_timeout_ms", retry.per_try_timeout_ms, 1, HOUR_MS),
        ("budget_percent", retry.budget_percent, 0, 100),
        ("backoff_ms", retry.backoff_ms, 0, 10_000),
    ];
    check_ranges(&fields, pointer, report);
    for (at, status) in retry.statuses.iter().enumerate() {
        report.check_range((*status).into(), 400, 599, || format!("{pointer}/statuses/{at}"));
    }
    for (at, method) in retry.methods.iter().flatten().enumerate() {
        if Method::from_bytes(method.as_bytes()).is_err() {
            let message = format!("{} is not a method", quote(method));
            report.push(report.error(codes::REFUSED_VALUE, format!("{pointer}/methods/{at}"), message));
        }
    }
}

fn check_pool(pool: &PoolConfig, report: &mut Report<'_>) {
    let fields = [
        ("connections_max", pool.connections_max, 1, 65_536),
        ("pending_max", pool.pending_max, 0, 65_536),
        ("idle_max", pool.idle_max, 0, 65_536),
        ("idle_ms", pool.idle_ms, 1, HOUR_MS),
    ];
    check_ranges(&fields, "/pool", report);
}

fn check_health_check(check: &HealthCheckConfig, report: &mut Report<'_>) {
    let fields = [
        ("interval_ms", check.interval_ms, 10, HOUR_MS),
        ("timeout_ms", check.timeout_ms, 1, MINUTE_MS),
        ("healthy_after", check.healthy_after, 1, 100),
        ("unhealthy_after", check.unhealthy_after, 1, 100),
    ];
    check_ranges(&fields, "/health_check", report);
    if check.kind == HealthCheckType::Tcp {
        let fields = [("path", check.path.is_some()), ("statuses", !check.statuses.is_empty())];
        for (field, _) in fields.into_iter().filter(|(_, is_set)| *is_set) {
            let message = format!("`{field}` has no effect on a check of type `tcp`");
            report.push(report.warning(codes::NO_EFFECT, format!("/health_check/{field}"), message));
        }
    }
    if let Some(path) = &check.path
        && (!path.starts_with('/') || path.contains('#') || path.parse::<PathAndQuery>().is_err())
    {
        let message = format!("{} is not a path that can be asked for", quote(path));
        let issue = report.error(codes::REFUSED_VALUE, "/health_check/path", message);
        report.push(issue.help("write `/healthz`, with what is not ASCII percent-encoded"));
    }
    for (at, statuses) in check.statuses.iter().enumerate() {
        if status_range(statuses).is_none() {
            let message = format!("{} is neither a status nor a range of statuses", quote(statuses));
            let issue = report.error(codes::REFUSED_VALUE, format!("/health_check/statuses/{at}"), message);
            report.push(issue.help("write `200`, or `200-399`"));
        }
    }
}

/// `200` or `200-399` as the first and last status it stands for.
pub fn status_range(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let status = |text: &str| text.trim().parse::<u16>().ok().filter(|status| (100..=599).contains(status));
    let (first, last) = (status(first)?, status(last)?);
    (first <= last).then_some((first, last))
}

fn check_outliers(outliers: &OutliersConfig, report: &mut Report<'_>) {
    let fields = [
        ("consecutive_failures", outliers.consecutive_failures, 1, 1_000),
        ("ejection_ms", outliers.ejection_ms, 1, HOUR_MS),
        ("ejected_percent_max", outliers.ejected_percent_max, 0, 100),
    ];
    check_ranges(&fields, "/outliers", report);
}

fn check_breaker(breaker: &CircuitBreakerConfig, report: &mut Report<'_>) {
    let fields = [
        ("requests_max", breaker.requests_max, 1, 1_000_000),
        ("error_percent", breaker.error_percent, 1, 100),
        ("window_ms", breaker.window_ms, 100, HOUR_MS),
        ("requests_min", breaker.requests_min, 1, 1_000_000),
        ("open_ms", breaker.open_ms, 1, HOUR_MS),
    ];
    check_ranges(&fields, "/circuit_breaker", report);
    if breaker.error_percent.is_none() {
        let fields = [
            ("window_ms", breaker.window_ms.is_some()),
            ("requests_min", breaker.requests_min.is_some()),
            ("open_ms", breaker.open_ms.is_some()),
        ];
        for (field, _) in fields.into_iter().filter(|(_, is_set)| *is_set) {
            let message = format!("`{field}` has no effect without `error_percent`");
            report.push(report.warning(codes::NO_EFFECT, format!("/circuit_breaker/{field}"), message));
        }
    }
}

fn check_mirror(mirror: &MirrorConfig, names: &Names<'_>, report: &mut Report<'_>) {
    names.check(mirror.upstream.as_str(), "/mirror/upstream".to_owned(), report);
    check_percent(mirror.percent, "/mirror/percent", report);
    check_ranges(&[("in_flight_max", mirror.in_flight_max, 1, 10_000)], "/mirror", report);
}

fn check_fault(fault: &FaultConfig, report: &mut Report<'_>) {
    check_ranges(&[("delay_ms", fault.delay_ms, 1, MINUTE_MS)], "/fault", report);
    check_percent(fault.delay_percent, "/fault/delay_percent", report);
    check_percent(fault.abort_percent, "/fault/abort_percent", report);
    if let Some(status) = fault.abort_status {
        report.check_range(status.into(), 400, 599, || "/fault/abort_status".to_owned());
    }
    if fault.delay_ms.is_none() && fault.abort_status.is_none() {
        let issue = report.error(codes::FIELD_NEEDED, "/fault", "a fault needs `delay_ms` or `abort_status`");
        report.push(issue.help("`fault: { abort_status: 503, abort_percent: 5 }`"));
    }
}

fn check_percent(value: Option<f64>, pointer: &str, report: &mut Report<'_>) {
    if let Some(value) = value
        && !(0.0..=100.0).contains(&value)
    {
        let field = pointer.rsplit('/').next().unwrap_or_default();
        let message = format!("`{field}` takes 0 to 100, not {value}");
        report.push(report.error(codes::OUT_OF_RANGE, pointer, message));
    }
}

fn check_ranges(fields: &[(&str, Option<u32>, i64, i64)], pointer: &str, report: &mut Report<'_>) {
    for (field, value, low, high) in fields {
        if let Some(value) = value {
            report.check_range((*value).into(), *low, *high, || format!("{pointer}/{field}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_numbers_and_ranges() {
        let cases = [
            ("200", Some((200, 200))),
            ("200-399", Some((200, 399))),
            ("399-200", None),
            ("99", None),
            ("200-600", None),
            ("", None),
            ("2xx", None),
        ];
        for (text, want) in cases {
            assert_eq!(status_range(text), want, "{text}");
        }
    }
}
