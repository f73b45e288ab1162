//! Integrations.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use indexmap::IndexMap;
use moongate_config::integration::{
    HttpVersion, IntegrationConfig, IntegrationType, PassthroughBehavior, TIMEOUT_MS_MAX,
};
use moongate_config::script::TemplateConfig;
use moongate_config::upstream::UpstreamTlsConfig;
use moongate_lua::Kind;

use crate::compile::context::{ApiContext, child};
use crate::compile::scripts::Scripts;
use crate::compile::{expression, response, uri};
use crate::plan::{HttpPlan, IntegrationPlan, Mapping, MockPlan, Responses, TemplatePlan, TemplateSet, UriPlan};
use crate::upstream::{Upstream, UpstreamTls};

type Variables = IndexMap<String, String>;

/// `upstream: URL`: everything passes, the path is appended.
pub(super) fn shorthand(
    cx: &mut ApiContext<'_>,
    text: &str,
    variables: &Variables,
    pointer: &str,
) -> Option<IntegrationPlan> {
    let text = uri::with_variables(text, variables);
    let (upstream, rest) = upstream(cx, &text, None, HttpVersion::Auto, pointer)?;
    if rest.contains(['?', '#', '{']) {
        cx.error_help(
            "E102",
            pointer,
            format!("`{text}` cannot have a path appended"),
            "leave the query and `{names}` out, or use `integration` with a `uri`",
        );
        return None;
    }
    Some(IntegrationPlan::HttpProxy(HttpPlan {
        upstream,
        uri: UriPlan::Append(rest.trim_end_matches('/').into()),
        method: None,
        parameters: Box::default(),
        templates: TemplateSet::default(),
        passthrough: PassthroughBehavior::WhenNoMatch,
        responses: Responses::default(),
        timeout: Duration::from_millis(u64::from(TIMEOUT_MS_MAX)),
    }))
}

/// `integration: {...}`.
pub(super) fn compile(
    cx: &mut ApiContext<'_>,
    scripts: &Scripts,
    config: &IntegrationConfig,
    variables: &Variables,
    pointer: &str,
) -> Option<IntegrationPlan> {
    match config.kind {
        IntegrationType::HttpProxy => http(cx, scripts, config, variables, pointer).map(IntegrationPlan::HttpProxy),
        IntegrationType::Http => http(cx, scripts, config, variables, pointer).map(IntegrationPlan::Http),
        IntegrationType::Mock => Some(IntegrationPlan::Mock(MockPlan {
            templates: templates(scripts, &config.request_templates, &child(pointer, "request_templates")),
            passthrough: config.passthrough_behavior,
            responses: response::compile(cx, scripts, &config.responses, variables, &child(pointer, "responses"))?,
        })),
        IntegrationType::Lua => {
            let file = config.function.as_ref().and_then(|function| function.file.as_deref());
            scripts.id(Kind::Function, file, &child(pointer, "function")).map(IntegrationPlan::Lua)
        }
        IntegrationType::Aws | IntegrationType::AwsProxy => {
            let reason = "integrations of type `aws` and `aws_proxy` cannot answer in this version";
            cx.warning("W101", &child(pointer, "type"), format!("{reason}: requests get 500"));
            Some(IntegrationPlan::Unavailable(reason.into()))
        }
    }
}

fn http(
    cx: &mut ApiContext<'_>,
    scripts: &Scripts,
    config: &IntegrationConfig,
    variables: &Variables,
    pointer: &str,
) -> Option<HttpPlan> {
    let text = uri::with_variables(config.uri.as_deref()?, variables);
    let (upstream, rest) = upstream(cx, &text, config.tls.as_ref(), config.http_version, &child(pointer, "uri"))?;
    Some(HttpPlan {
        upstream,
        uri: UriPlan::Template(uri::template(&rest)),
        method: method(cx, config.method.as_deref(), &child(pointer, "method"))?,
        parameters: parameters(cx, config, variables, pointer)?,
        templates: templates(scripts, &config.request_templates, &child(pointer, "request_templates")),
        passthrough: config.passthrough_behavior,
        responses: response::compile(cx, scripts, &config.responses, variables, &child(pointer, "responses"))?,
        timeout: Duration::from_millis(u64::from(config.timeout_ms.unwrap_or(TIMEOUT_MS_MAX))),
    })
}

fn method(cx: &mut ApiContext<'_>, text: Option<&str>, pointer: &str) -> Option<Option<Method>> {
    let Some(text) = text.filter(|text| *text != "ANY") else { return Some(None) };
    let Ok(method) = Method::from_bytes(text.as_bytes()) else {
        cx.error("E105", pointer, format!("`{text}` is not a method"));
        return None;
    };
    Some(Some(method))
}

fn parameters(
    cx: &mut ApiContext<'_>,
    config: &IntegrationConfig,
    variables: &Variables,
    pointer: &str,
) -> Option<Box<[Mapping]>> {
    let pointer = child(pointer, "request_parameters");
    let mut mappings = Vec::with_capacity(config.request_parameters.len());
    for (destination, source) in &config.request_parameters {
        let parsed = expression::destination(destination)
            .and_then(|(place, name)| Ok(Mapping { place, name, source: expression::source(source, variables)? }));
        match parsed {
            Ok(mapping) => mappings.push(mapping),
            Err(message) => cx.error("E101", &child(&pointer, destination), message),
        }
    }
    (mappings.len() == config.request_parameters.len()).then(|| mappings.into())
}

/// Templates by content type. Those without a script were reported where the scripts were compiled.
pub(super) fn templates(scripts: &Scripts, configs: &IndexMap<String, TemplateConfig>, pointer: &str) -> TemplateSet {
    let mut set = TemplateSet::default();
    let mut by_type = Vec::new();
    for (media_type, config) in configs {
        let plan = match &config.text {
            Some(text) => TemplatePlan::Text(Bytes::from(text.clone())),
            None => match scripts.id(Kind::Template, config.file.as_deref(), &child(pointer, media_type)) {
                Some(id) => TemplatePlan::Script(id),
                None => continue,
            },
        };
        if media_type == "$default" {
            set.default = Some(plan);
        } else {
            by_type.push((media_type.to_ascii_lowercase().into(), plan));
        }
    }
    set.by_type = by_type.into();
    set
}

fn upstream(
    cx: &mut ApiContext<'_>,
    text: &str,
    tls: Option<&UpstreamTlsConfig>,
    version: HttpVersion,
    pointer: &str,
) -> Option<(Arc<Upstream>, String)> {
    let url = match uri::split(text) {
        Ok(url) => url,
        Err(message) => {
            cx.error("E102", pointer, message);
            return None;
        }
    };
    let tls = if url.is_tls { Some(trust(cx, tls, url.host, pointer)?) } else { None };
    let key = uri::Key { host: url.host.to_ascii_lowercase().into(), port: url.port, tls, version };
    Some((cx.upstreams.get(key), url.rest.to_owned()))
}

fn trust(
    cx: &mut ApiContext<'_>,
    config: Option<&UpstreamTlsConfig>,
    host: &str,
    pointer: &str,
) -> Option<UpstreamTls> {
    let Some(config) = config else {
        return Some(UpstreamTls { server_name: host.into(), ca_pem: None, accepts_any_certificate: false });
    };
    let ca_pem = match &config.ca_file {
        None => None,
        Some(file) => match cx.sources.files.get(file).filter(|text| text.contains("-----BEGIN CERTIFICATE-----")) {
            Some(text) => Some(Arc::from(text.as_bytes())),
            None => {
                cx.error(
                    "E104",
                    pointer,
                    format!("`{file}` is missing from the project or holds no certificate in PEM form"),
                );
                return None;
            }
        },
    };
    Some(UpstreamTls {
        server_name: config.server_name.as_deref().unwrap_or(host).into(),
        ca_pem,
        accepts_any_certificate: config.insecure_skip_verification,
    })
}
