//! Upstreams: documents and plain URLs become [`Upstream`]s and the way they are called.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, Method, StatusCode};
use moongate_config::check::status_range;
use moongate_config::integration::{HttpVersion, IntegrationConfig};
use moongate_config::project::{Declared, Sources};
use moongate_config::upstream::{
    CircuitBreakerConfig, FaultConfig, HealthCheckConfig, OutliersConfig, PoolConfig, RetryConfig, RetryOn,
    TimeoutsConfig, UpstreamConfig, UpstreamTlsConfig, reference,
};
use moongate_config::{Issue, Project};
use moongate_policy::Secrets;

use crate::compile::context::ApiContext;
use crate::compile::uri::{self, Interner};
use crate::plan::{CallPlan, FaultPlan, MirrorPlan, RetryPlan, Share, Timeouts};
use crate::upstream::{
    Breaker, ClientCertificate, ErrorLimit, HealthCheck, Outliers, PoolLimits, Target, UpstreamSpec, UpstreamTls,
};

/// Retries allowed per 100 requests unless said otherwise.
const BUDGET_PERCENT: u32 = 20;
/// Longest pause before a first retry unless said otherwise, in milliseconds.
const BACKOFF_MS: u32 = 25;
/// Most copies under way unless said otherwise.
const MIRRORED_MAX: u32 = 128;

/// What is tried again unless said otherwise: what no answer came for, and no long wait.
const RETRY_ON: [RetryOn; 3] = [RetryOn::ConnectFailure, RetryOn::Reset, RetryOn::Refused];

/// The upstreams that documents declare, by name.
#[derive(Default)]
pub(super) struct Documents {
    calls: HashMap<Box<str>, CallPlan>,
    /// Names whose documents could not be compiled: reported there.
    broken: Vec<Box<str>>,
}

/// Compiles every upstream's document.
pub(super) fn documents(
    project: &Project,
    secrets: &dyn Secrets,
    interner: &mut Interner,
    issues: &mut Vec<Issue>,
) -> Documents {
    let mut documents = Documents::default();
    for declared in &project.upstreams {
        let name: Box<str> = declared.config.upstream.as_str().into();
        match document(declared, &project.sources, secrets, interner) {
            Ok(call) => drop(documents.calls.insert(name, call)),
            Err(issue) => {
                issues.push(*issue);
                documents.broken.push(name);
            }
        }
    }
    for declared in &project.upstreams {
        let Some(mirror) = &declared.config.mirror else { continue };
        // A name that is not there was reported by `moongate_config::check`. The copy taken here has no mirror of its own yet, or
        // one more step of it: `unmirrored` cuts that off.
        let Some(target) = documents.calls.get(mirror.upstream.as_str()).map(unmirrored) else { continue };
        let plan = MirrorPlan {
            call: target,
            share: mirror.percent.map_or(Share::ALL, Share::from_percent),
            in_flight_max: mirror.in_flight_max.unwrap_or(MIRRORED_MAX),
        };
        if let Some(call) = documents.calls.get_mut(declared.config.upstream.as_str()) {
            call.mirror = Some(Arc::new(plan));
        }
    }
    documents
}

fn unmirrored(call: &CallPlan) -> CallPlan {
    CallPlan { mirror: None, ..call.clone() }
}

/// The call that a route's URL stands for, and the path and query behind it. `version` is what a URL is spoken to with; a document says
/// that itself. `None` when it was reported why there is none.
pub(super) fn call(
    cx: &mut ApiContext<'_>,
    text: &str,
    config: Option<&IntegrationConfig>,
    version: HttpVersion,
    pointer: &str,
) -> Option<(CallPlan, String)> {
    let (mut call, rest) = match reference(text) {
        Some((name, rest)) => (named(cx, name, pointer)?, rest.to_owned()),
        None => by_url(cx, text, config, version, pointer)?,
    };
    if let Some(timeouts) = config.and_then(|config| config.timeouts.as_ref()) {
        call.timeouts = merge(call.timeouts, timeouts);
    }
    if let Some(config) = config.and_then(|config| config.retry.as_ref()) {
        call.retry = Some(Arc::new(retry(config)));
    }
    Some((call, rest))
}

fn named(cx: &mut ApiContext<'_>, name: &str, pointer: &str) -> Option<CallPlan> {
    if let Some(call) = cx.documents.calls.get(name) {
        return Some(call.clone());
    }
    if !cx.documents.broken.iter().any(|broken| **broken == *name) {
        cx.error_help(
            "E114",
            pointer,
            format!("there is no upstream `{name}`"),
            format!("declare it in a document that begins with `upstream: {name}`"),
        );
    }
    None
}

fn by_url(
    cx: &mut ApiContext<'_>,
    text: &str,
    config: Option<&IntegrationConfig>,
    version: HttpVersion,
    pointer: &str,
) -> Option<(CallPlan, String)> {
    let url = match uri::split(text) {
        Ok(url) => url,
        Err(message) => {
            cx.error("E102", pointer, message);
            return None;
        }
    };
    let tls = config.and_then(|config| config.tls.as_ref());
    let tls = match url.is_tls.then(|| trust(cx.sources, cx.secrets, tls, url.host)).transpose() {
        Ok(tls) => tls,
        Err(message) => {
            cx.error("E104", pointer, message);
            return None;
        }
    };
    let rest = url.rest.to_owned();
    let target = target(&url, false, 1, tls);
    let authority = Some(target.authority.clone());
    let spec = UpstreamSpec {
        name: None,
        targets: [target].into(),
        version,
        balance: Default::default(),
        pool: PoolLimits::default(),
        health_check: None,
        outliers: None,
        breaker: None,
    };
    let upstream = cx.upstreams.get(spec);
    let timeouts = Timeouts::default();
    Some((CallPlan { upstream, authority, hash_on: None, timeouts, retry: None, mirror: None, fault: None }, rest))
}

fn document(
    declared: &Declared<UpstreamConfig>,
    sources: &Sources,
    secrets: &dyn Secrets,
    interner: &mut Interner,
) -> Result<CallPlan, Box<Issue>> {
    let config = &declared.config;
    let issue = |code, pointer: String, message: String| Box::new(Issue::error(code, &declared.file, pointer, message));
    let mut targets = Vec::with_capacity(config.targets.len());
    for (index, declared) in config.targets.iter().enumerate() {
        let (is_srv, text) = declared.url.strip_prefix("srv+").map_or((false, &*declared.url), |url| (true, url));
        let url = uri::split(text).map_err(|message| issue("E102", format!("/targets/{index}/url"), message))?;
        let tls = url.is_tls.then(|| trust(sources, secrets, config.tls.as_ref(), url.host)).transpose();
        let tls = tls.map_err(|message| issue("E104", "/tls".to_owned(), message))?;
        targets.push(target(&url, is_srv, declared.weight.max(1), tls));
    }
    let host = config.host.as_deref().map(HeaderValue::from_str).transpose();
    let host = host.map_err(|_| issue("E105", "/host".to_owned(), "the host cannot be sent as a field".to_owned()))?;
    let single = match &*targets {
        [only] if !only.is_srv => Some(only.authority.clone()),
        _ => None,
    };
    let spec = UpstreamSpec {
        name: Some(config.upstream.as_str().into()),
        targets: targets.into(),
        version: config.http_version,
        balance: config.balance.policy,
        pool: pool(&config.pool),
        health_check: config.health_check.as_ref().map(health_check),
        outliers: config.outliers.as_ref().map(outliers),
        breaker: config.circuit_breaker.as_ref().map(breaker),
    };
    Ok(CallPlan {
        upstream: interner.get(spec),
        authority: host.or(single),
        hash_on: config.balance.hash_on.clone(),
        timeouts: merge(Timeouts::default(), &config.timeouts),
        retry: Some(Arc::new(retry(config.retry.as_ref().unwrap_or(&RetryConfig::default())))),
        mirror: None,
        fault: config.fault.as_ref().map(fault),
    })
}

fn target(url: &uri::Url<'_>, is_srv: bool, weight: u32, tls: Option<UpstreamTls>) -> Target {
    let host = url.host.to_ascii_lowercase();
    let is_default_port = url.port == if url.is_tls { 443 } else { 80 };
    let name = if host.contains(':') { format!("[{host}]") } else { host.clone() };
    let authority = if is_default_port { name } else { format!("{name}:{}", url.port) };
    let authority = HeaderValue::try_from(authority).expect("split() accepts host names and addresses only");
    Target { host: host.into(), port: url.port, is_srv, weight, authority, tls, reach: None }
}

/// What an upstream's certificate is checked against, and what is shown to it; or what is wrong.
fn trust(
    sources: &Sources,
    secrets: &dyn Secrets,
    config: Option<&UpstreamTlsConfig>,
    host: &str,
) -> Result<UpstreamTls, String> {
    let Some(config) = config else {
        let server_name = host.to_ascii_lowercase().into();
        return Ok(UpstreamTls { server_name, ca_pem: None, client: None, accepts_any_certificate: false });
    };
    let pem = |file: &String| match sources.files.get(file) {
        Some(text) if text.contains("-----BEGIN CERTIFICATE-----") => Ok(Arc::from(text.as_bytes())),
        _ => Err(format!("`{file}` is missing from the project or holds no certificate in PEM form")),
    };
    let client = match (&config.client_certificate_file, &config.client_key) {
        (Some(file), Some(reference)) => {
            let key = secrets.resolve(reference).map_err(|error| format!("`client_key`: {error}"))?;
            if !key.expose().contains("PRIVATE KEY-----") {
                return Err(format!("`{reference}` holds no private key in PEM form"));
            }
            Some(ClientCertificate { chain_pem: pem(file)?, key_pem: Arc::from(key.expose().as_bytes()) })
        }
        _ => None,
    };
    Ok(UpstreamTls {
        server_name: config.server_name.as_deref().unwrap_or(host).to_ascii_lowercase().into(),
        ca_pem: config.ca_file.as_ref().map(pem).transpose()?,
        client,
        accepts_any_certificate: config.insecure_skip_verification,
    })
}

fn millis(value: u32) -> Duration {
    Duration::from_millis(value.into())
}

fn merge(base: Timeouts, config: &TimeoutsConfig) -> Timeouts {
    Timeouts {
        connect: config.connect_ms.map_or(base.connect, millis),
        first_byte: config.first_byte_ms.map(millis).or(base.first_byte),
        read: config.read_ms.map_or(base.read, millis),
        write: config.write_ms.map(millis).or(base.write),
    }
}

fn retry(config: &RetryConfig) -> RetryPlan {
    let methods = config.methods.as_ref().map(|methods| {
        // What is no method was reported by `moongate_config::check`.
        methods.iter().filter_map(|method| Method::from_bytes(method.as_bytes()).ok()).collect()
    });
    RetryPlan {
        retries_max: config.retries_max.unwrap_or(1),
        per_try: config.per_try_timeout_ms.map(millis),
        on: config.on.clone().map_or_else(|| RETRY_ON.into(), Vec::into_boxed_slice),
        statuses: config.statuses.clone().into(),
        methods,
        budget_percent: config.budget_percent.unwrap_or(BUDGET_PERCENT),
        backoff: millis(config.backoff_ms.unwrap_or(BACKOFF_MS)),
    }
}

fn pool(config: &PoolConfig) -> PoolLimits {
    let default = PoolLimits::default();
    PoolLimits {
        connections_max: config.connections_max.unwrap_or(default.connections_max),
        pending_max: config.pending_max.unwrap_or(default.pending_max),
        idle_max: config.idle_max.unwrap_or(default.idle_max),
        idle: config.idle_ms.map_or(default.idle, millis),
    }
}

fn health_check(config: &HealthCheckConfig) -> HealthCheck {
    let statuses: Box<[_]> = config.statuses.iter().filter_map(|text| status_range(text)).collect();
    HealthCheck {
        kind: config.kind,
        path: config.path.as_deref().unwrap_or("/").into(),
        statuses: if statuses.is_empty() { [(200, 399)].into() } else { statuses },
        interval: millis(config.interval_ms.unwrap_or(10_000)),
        timeout: millis(config.timeout_ms.unwrap_or(2_000)),
        healthy_after: config.healthy_after.unwrap_or(2),
        unhealthy_after: config.unhealthy_after.unwrap_or(3),
    }
}

fn outliers(config: &OutliersConfig) -> Outliers {
    Outliers {
        consecutive_failures: config.consecutive_failures.unwrap_or(5),
        ejection: millis(config.ejection_ms.unwrap_or(30_000)),
        ejected_percent_max: config.ejected_percent_max.unwrap_or(50),
    }
}

fn breaker(config: &CircuitBreakerConfig) -> Breaker {
    let errors = config.error_percent.map(|percent| ErrorLimit {
        percent,
        window: millis(config.window_ms.unwrap_or(10_000)),
        requests_min: config.requests_min.unwrap_or(20),
        open: millis(config.open_ms.unwrap_or(5_000)),
    });
    Breaker { requests_max: config.requests_max, errors }
}

fn fault(config: &FaultConfig) -> FaultPlan {
    let share = |percent: Option<f64>| percent.map_or(Share::ALL, Share::from_percent);
    let status = config.abort_status.and_then(|status| StatusCode::from_u16(status).ok());
    FaultPlan {
        delay: config.delay_ms.map(|delay| (millis(delay), share(config.delay_percent))),
        abort: status.map(|status| (status, share(config.abort_percent))),
    }
}
