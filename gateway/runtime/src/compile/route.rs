//! Routes.

use std::sync::Arc;
use std::time::Duration;

use jsonschema::Validator;
use moongate_config::integration::HttpVersion;
use moongate_config::limits::BODY_BUFFER_BYTES;
use moongate_config::model::ValidationMode;
use moongate_config::policy::PolicyAttachment;
use moongate_config::route::RouteKey;
use moongate_config::{Compat, RouteConfig, StageConfig};
use moongate_exchange::{RouteFacts, Target, UpgradeLimits};
use moongate_policy::api_key::{self, ApiKeyPolicy};
use moongate_policy::{Authorize, CompileContext, Compiled, Guard, registry};

use crate::compile::context::{ApiContext, child};
use crate::compile::model::Models;
use crate::compile::scripts::Scripts;
use crate::compile::{authorizer, expression, integration, plugin, uri};
use crate::plan::{IntegrationPlan, Mapping, PluginPlan, RoutePlan, UpgradePlan, ValueSource};
use crate::upstream::UpstreamSpec;

/// Most segments a path template may have: matching goes as deep as the deepest route.
const SEGMENTS_MAX: usize = 128;

/// How long a connection that speaks another protocol may be silent, and last (source: API Gateway quotas, WebSocket APIs).
const UPGRADE_IDLE: Duration = Duration::from_secs(10 * 60);
const UPGRADE_LIFETIME: Duration = Duration::from_secs(2 * 60 * 60);

/// What an API's declaration means for all its routes, compiled once.
pub(super) struct Common {
    policies: Policies,
    api_key: Option<Arc<dyn Authorize>>,
    /// Of every API, then of this one.
    plugins: Vec<Arc<PluginPlan>>,
    /// Of the stage that is compiled.
    stage_plugins: Vec<Arc<PluginPlan>>,
    models: Models,
}

impl Common {
    /// Turns to a stage: its plugins run on the routes that are compiled from now on.
    pub(super) fn enter_stage(&mut self, scripts: &Scripts, stage: &StageConfig, index: usize) {
        self.stage_plugins = plugin::plans(scripts, &stage.plugins, &format!("/stages/{index}/plugins"), "stage");
    }

    /// The API's policies of the guard stage.
    pub(super) fn guards(&self) -> Box<[Arc<dyn Guard>]> {
        self.policies.guards.iter().cloned().collect()
    }
}

/// Policies by stage.
#[derive(Default)]
struct Policies {
    guards: Vec<Arc<dyn Guard>>,
    authorize: Vec<Arc<dyn Authorize>>,
}

/// Compiles what all routes of an API share.
pub(super) fn common(cx: &mut ApiContext<'_>, scripts: &Scripts) -> Option<Common> {
    let api = cx.api;
    let mut policies = Policies::default();
    for (index, attachment) in api.policies.iter().enumerate() {
        add_policy(cx, attachment, &format!("/policies/{index}"), &mut policies);
    }
    let api_key = if api.routes.iter().any(|route| route.api_key_required) {
        let keys =
            api_key::compile_keys(&api.api_keys, &mut CompileContext::new(cx.file, "/api_keys", cx.issues, cx.secrets));
        let policy: Arc<dyn Authorize> =
            Arc::new(ApiKeyPolicy::new(api_key::Source::default(), keys?).with_credentials(Arc::clone(cx.credentials)));
        Some(policy)
    } else {
        None
    };
    let mut plugins = plugin::plans(scripts, cx.global_plugins, plugin::GLOBAL, "global");
    plugins.extend(plugin::plans(scripts, &api.plugins, "/plugins", "api"));
    Some(Common { policies, api_key, plugins, stage_plugins: Vec::new(), models: Models::default() })
}

/// The `$default` route of an API with an `upstream` of its own.
pub(super) fn quick(
    cx: &mut ApiContext<'_>,
    scripts: &Scripts,
    common: &mut Common,
    stage: &StageConfig,
    upstream: &str,
) -> Option<RoutePlan> {
    compile(cx, scripts, common, stage, &RouteConfig::default_to(upstream), "")
}

pub(super) fn compile(
    cx: &mut ApiContext<'_>,
    scripts: &Scripts,
    common: &mut Common,
    stage: &StageConfig,
    route: &RouteConfig,
    pointer: &str,
) -> Option<RoutePlan> {
    let api = cx.api;
    let facts = facts(cx, route, pointer)?;
    let integration = match (&route.upstream, &route.integration) {
        (None, None) if route.function.is_some() => {
            let name = uri::with_variables(route.function.as_deref().unwrap_or_default(), &stage.variables);
            integration::function_shorthand(cx, &name, &child(pointer, "function"))
        }
        (Some(url), _) => {
            let pointer = child(pointer, "upstream");
            integration::shorthand(cx, url, route.upgrade.is_some(), &stage.variables, &pointer)
        }
        (None, Some(config)) => {
            integration::compile(cx, scripts, config, &stage.variables, &child(pointer, "integration"))
        }
        // Reported by `moongate_config::check`.
        (None, None) => None,
    };
    let upgrade = upgrade(cx, route, integration.as_ref(), &child(pointer, "upgrade"));
    let authorizer = authorizer::compile(cx, scripts, route.authorizer.as_deref());
    let policies = policies(cx, common, route, pointer);
    let plugins = plugins(scripts, common, route, pointer);
    let required_parameters = required(cx, route, pointer);
    let body_models = body_models(cx, common, route);
    let (integration, authorizer) = (integration?, authorizer?);
    Some(RoutePlan {
        facts: Arc::new(facts),
        answers_head: api.compat == Compat::None,
        body_bytes_max: api.limits.request_body_bytes_max,
        buffer_bytes_max: api.limits.buffered_body_bytes_max.unwrap_or(BODY_BUFFER_BYTES),
        required_parameters: required_parameters?.into(),
        only_reports: only_reports(cx, route),
        reads_request_body: reads_request_body(cx, &integration)
            || !body_models.is_empty()
            || plugins.iter().any(|plugin| plugin.reads_request_body || plugin.phases.map_request),
        body_models,
        keeps_request_headers: keeps_request_headers(cx, &integration) || !plugins.is_empty(),
        guards: policies.guards.into(),
        authorizer,
        authorize: policies.authorize.into(),
        plugins: plugins.into(),
        scripts: scripts.bank().cloned(),
        upgrade,
        integration,
    })
}

/// Other protocols, where the integration passes requests on over HTTP/1.1: `Upgrade` belongs to that version.
fn upgrade(
    cx: &mut ApiContext<'_>,
    route: &RouteConfig,
    integration: Option<&IntegrationPlan>,
    pointer: &str,
) -> Option<UpgradePlan> {
    let config = route.upgrade.as_ref()?;
    match integration {
        Some(IntegrationPlan::HttpProxy(plan)) if speaks_http11(&plan.call.upstream.spec) => {}
        Some(IntegrationPlan::HttpProxy(_)) => {
            let help =
                "say `http_version: \"1.1\"` on an `http_proxy` integration, or use an `http://` URL as `upstream`";
            let message = "only an upstream that speaks HTTP/1.1 can go over to another protocol";
            cx.error_help("E119", pointer, message.to_owned(), help.to_owned());
        }
        // A problem with the integration itself was reported.
        None => {}
        Some(_) => {
            let help = "use `upstream`, or an integration of type `http_proxy`";
            let message = "only a route that passes requests on can go over to another protocol";
            cx.error_help("E119", pointer, message.to_owned(), help.to_owned());
        }
    }
    if config.protocols.is_empty() {
        cx.error("E119", &child(pointer, "protocols"), "no protocol is named".to_owned());
    }
    for (index, protocol) in config.protocols.iter().enumerate() {
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~/".contains(&byte);
        if protocol.is_empty() || !protocol.bytes().all(is_token) {
            cx.error(
                "E119",
                &child(&child(pointer, "protocols"), index.to_string()),
                format!("`{protocol}` is no protocol's name"),
            );
        }
    }
    let millis = |value: Option<u32>, default| value.map_or(default, |value| Duration::from_millis(value.into()));
    Some(UpgradePlan {
        protocols: config.protocols.iter().map(|protocol| protocol.as_str().into()).collect(),
        limits: UpgradeLimits {
            idle: millis(config.idle_timeout_ms, UPGRADE_IDLE),
            lifetime: millis(config.lifetime_ms, UPGRADE_LIFETIME),
        },
    })
}

/// Whether HTTP/1.1 is spoken in any case.
fn speaks_http11(upstream: &UpstreamSpec) -> bool {
    match upstream.version {
        HttpVersion::Http11 => true,
        HttpVersion::Auto => upstream.targets.iter().all(|target| target.tls.is_none()),
        HttpVersion::Http2 => false,
    }
}

fn facts(cx: &mut ApiContext<'_>, route: &RouteConfig, pointer: &str) -> Option<RouteFacts> {
    let key = route.key.to_string();
    let path = match &route.key {
        RouteKey::Default => "$default",
        RouteKey::On { path, .. } => path,
    };
    if path.split('/').count() > SEGMENTS_MAX {
        cx.error("E108", &child(pointer, "match"), format!("the path has more than {SEGMENTS_MAX} segments"));
        return None;
    }
    for segment in path.split('/').filter(|segment| !segment.is_empty() && !segment.starts_with(['{', '$'])) {
        let normal = Target::from_text(format!("/{segment}")).ok();
        let normal = normal.as_ref().and_then(|target| target.path().strip_prefix('/'));
        if normal != Some(segment) {
            let message = format!("no request ever matches the segment `{segment}`");
            let help = match normal.filter(|normal| !normal.is_empty()) {
                Some(normal) => format!("write it in the form that paths are matched in: `{normal}`"),
                None => "it cannot stand in a path".to_owned(),
            };
            cx.error_help("E113", &child(pointer, "match"), message, help);
            return None;
        }
    }
    let names = path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'));
    Some(RouteFacts {
        api_id: cx.api.api.as_str().into(),
        resource_path: path.into(),
        name: route.name.as_deref().unwrap_or(&key).into(),
        parameter_names: names.map(|name| name.trim_end_matches('+').into()).collect(),
        key: key.into(),
    })
}

fn policies(cx: &mut ApiContext<'_>, common: &Common, route: &RouteConfig, pointer: &str) -> Policies {
    let authorize = common.policies.authorize.clone();
    let mut policies = Policies { guards: Vec::new(), authorize };
    for (index, attachment) in route.policies.iter().enumerate() {
        add_policy(cx, attachment, &format!("{pointer}/policies/{index}"), &mut policies);
    }
    if let Some(api_key) = common.api_key.as_ref().filter(|_| route.api_key_required) {
        policies.authorize.push(Arc::clone(api_key));
    }
    policies
}

fn add_policy(cx: &mut ApiContext<'_>, attachment: &PolicyAttachment, pointer: &str, policies: &mut Policies) {
    let mut context = CompileContext::new(cx.file, pointer, cx.issues, cx.secrets);
    match registry::compile(attachment, &mut context) {
        Some(Compiled::Guard(guard)) => policies.guards.push(guard),
        Some(Compiled::Authorize(authorize)) => policies.authorize.push(authorize),
        // Reported; an API with an error is not served.
        None => {}
    }
}

fn plugins(scripts: &Scripts, common: &Common, route: &RouteConfig, pointer: &str) -> Vec<Arc<PluginPlan>> {
    let own = plugin::plans(scripts, &route.plugins, &child(pointer, "plugins"), "route");
    common.plugins.iter().chain(&common.stage_plugins).cloned().chain(own).collect()
}

/// Parameters that must be there, where the route's validator checks them.
fn required(cx: &mut ApiContext<'_>, route: &RouteConfig, pointer: &str) -> Option<Vec<(Box<str>, ValueSource)>> {
    let api = cx.api;
    let checks =
        |name: &String| api.request_validators.get(name).is_some_and(|known| known.validate_request_parameters);
    let is_checked = route.request_validator.as_ref().is_some_and(checks);
    let mut required = Vec::new();
    for (text, is_required) in &route.request_parameters {
        match expression::parameter(text) {
            Ok(parameter) if *is_required && is_checked => required.push((text.clone(), parameter)),
            Ok(_) => {}
            Err(message) => {
                cx.error("E101", &child(&child(pointer, "request_parameters"), text), message);
                return None;
            }
        }
    }
    // In the order of their keys, as AWS tells them: headers, then the path's, then the query's.
    required.sort_by(|(a, _), (b, _)| a.cmp(b));
    Some(required.into_iter().map(|(_, parameter)| parameter).collect())
}

/// Whether the route's validator lets requests pass that fail it.
fn only_reports(cx: &ApiContext<'_>, route: &RouteConfig) -> bool {
    let validator = route.request_validator.as_ref().and_then(|name| cx.api.request_validators.get(name));
    validator.is_some_and(|known| known.mode == ValidationMode::Report)
}

/// Models by media type, where the route's validator checks the body. A model that cannot be used was reported.
fn body_models(cx: &mut ApiContext<'_>, common: &mut Common, route: &RouteConfig) -> Box<[(Box<str>, Arc<Validator>)]> {
    let api = cx.api;
    let checks = |name: &String| api.request_validators.get(name).is_some_and(|known| known.validate_request_body);
    if !route.request_validator.as_ref().is_some_and(checks) {
        return Box::default();
    }
    let models = route.request_models.iter();
    let compiled = models
        .filter_map(|(media_type, name)| Some((media_type.to_ascii_lowercase().into(), common.models.get(cx, name)?)));
    compiled.collect()
}

/// Whether a stage needs the request's body in memory.
fn reads_request_body(cx: &ApiContext<'_>, integration: &IntegrationPlan) -> bool {
    let maps_body = |parameters: &[Mapping]| parameters.iter().any(|mapping| mapping.source.reads_body());
    // What is not binary is text under AWS's habits: it has to be looked at.
    let is_aws = cx.api.compat == Compat::Aws;
    match integration {
        IntegrationPlan::Function(_) => true,
        IntegrationPlan::Mock(plan) => plan.templates.has_script(),
        IntegrationPlan::HttpProxy(plan) => plan.content.is_some() || maps_body(&plan.parameters),
        IntegrationPlan::Http(plan) => {
            is_aws || plan.content.is_some() || plan.templates.has_script() || maps_body(&plan.parameters)
        }
        IntegrationPlan::Unavailable { .. } => false,
    }
}

/// Whether anything after `map_request` still looks at the request's headers. Only plain proxying does not.
fn keeps_request_headers(cx: &ApiContext<'_>, integration: &IntegrationPlan) -> bool {
    let is_plain = matches!(integration, IntegrationPlan::HttpProxy(plan) if plan.changes.is_empty());
    !is_plain || cx.api.compat == Compat::Aws || !cx.api.gateway_responses.is_empty()
}
