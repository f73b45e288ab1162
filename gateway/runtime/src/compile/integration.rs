//! Integrations.

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use indexmap::IndexMap;
use moongate_config::integration::{
    HttpVersion, IntegrationConfig, IntegrationType, PassthroughBehavior, PayloadFormat, TIMEOUT_MS_MAX,
};
use moongate_config::script::TemplateConfig;
use moongate_config::{Compat, Protocol};
use moongate_lua::Kind;

use crate::compile::context::{ApiContext, child};
use crate::compile::scripts::Scripts;
use crate::compile::{expression, response, upstream, uri};
use crate::plan::{
    Changes, FunctionForm, FunctionPlan, FunctionRunner, HttpPlan, IntegrationPlan, Mapping, MockPlan, Place,
    ProcessPlan, Responses, TemplatePlan, TemplateSet, UriPlan,
};

type Variables = IndexMap<String, String>;

/// `upstream: URL`: everything passes, the path is appended. `h2c://` is HTTP/2 without TLS.
pub(super) fn shorthand(
    cx: &mut ApiContext<'_>,
    text: &str,
    may_upgrade: bool,
    variables: &Variables,
    pointer: &str,
) -> Option<IntegrationPlan> {
    let text = uri::with_variables(text, variables);
    let (text, version) = match text.strip_prefix("h2c://") {
        Some(rest) => (format!("http://{rest}"), HttpVersion::Http2),
        // `Upgrade` is HTTP/1.1's.
        None if may_upgrade => (text, HttpVersion::Http11),
        None => (text, HttpVersion::Auto),
    };
    let (call, rest) = upstream::call(cx, &text, None, version, pointer)?;
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
        call: Box::new(call),
        uri: UriPlan::Append(rest.trim_end_matches('/').into()),
        method: None,
        parameters: Box::default(),
        refused_field: None,
        templates: TemplateSet::default(),
        passthrough: PassthroughBehavior::WhenNoMatch,
        content: None,
        responses: Responses::default(),
        changes: Box::default(),
        timeout: Duration::from_millis(u64::from(TIMEOUT_MS_MAX)),
    }))
}

/// `function: NAME`: an event to a function of this machine, the answer from its result.
pub(super) fn function_shorthand(cx: &mut ApiContext<'_>, name: &str, pointer: &str) -> Option<IntegrationPlan> {
    let Some(process) = process(cx, name, TIMEOUT_MS_MAX) else {
        let known: Vec<String> = cx.function_names.iter().map(|name| format!("`{name}`")).collect();
        let help = match &*known {
            [] => format!("`moongate function new {name}` makes one"),
            known => format!("declared: {}", known.join(", ")),
        };
        cx.error_help("E122", pointer, format!("there is no function `{name}`"), help);
        return None;
    };
    let format = if cx.api.protocol == Protocol::Http { PayloadFormat::V2 } else { PayloadFormat::V1 };
    let (runner, form) = (FunctionRunner::Process(process), FunctionForm::Proxy(format));
    Some(IntegrationPlan::Function(FunctionPlan { runner, refused: None, form }))
}

/// The function of this machine that has this name.
fn process(cx: &ApiContext<'_>, name: &str, timeout_ms: u32) -> Option<ProcessPlan> {
    let name = *cx.function_names.get(name)?;
    let timeout = Duration::from_millis(timeout_ms.into());
    Some(ProcessPlan { functions: cx.functions?.clone(), name: name.into(), timeout })
}

/// What runs what an integration declares: its script, or the function of this machine that its URI names.
fn runner(
    cx: &mut ApiContext<'_>,
    scripts: &Scripts,
    config: &IntegrationConfig,
    variables: &Variables,
    pointer: &str,
) -> Option<FunctionRunner> {
    if let Some(declared) = &config.function {
        let script = scripts.id(Kind::Function, declared.file.as_deref(), &child(pointer, "function"))?;
        return Some(FunctionRunner::Script(script));
    }
    let uri = uri::with_variables(config.uri.as_deref()?, variables);
    let timeout_ms = config.timeout_ms.unwrap_or(TIMEOUT_MS_MAX);
    process(cx, uri::function_name(&uri)?, timeout_ms).map(FunctionRunner::Process)
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
        IntegrationType::HttpProxy | IntegrationType::Http => {
            if let Some(unavailable) = without_variable(cx, config, variables, pointer) {
                return Some(unavailable);
            }
            let plan = http(cx, scripts, config, variables, pointer)?;
            let is_proxy = config.kind == IntegrationType::HttpProxy;
            Some(if is_proxy { IntegrationPlan::HttpProxy(plan) } else { IntegrationPlan::Http(plan) })
        }
        IntegrationType::Mock => Some(IntegrationPlan::Mock(MockPlan {
            templates: templates(scripts, &config.request_templates, &child(pointer, "request_templates")),
            passthrough: config.passthrough_behavior,
            responses: response::compile(cx, scripts, config, variables, &child(pointer, "responses"))?,
        })),
        IntegrationType::Lua | IntegrationType::Aws | IntegrationType::AwsProxy => {
            function(cx, scripts, config, variables, pointer)
        }
    }
}

/// A URL that is none without something that is not known here: a stage variable that the stage does not have, or what only a
/// deployment to AWS knows. The stage is served, and this route answers 500, as in AWS.
fn without_variable(
    cx: &mut ApiContext<'_>,
    config: &IntegrationConfig,
    variables: &Variables,
    pointer: &str,
) -> Option<IntegrationPlan> {
    let declared = config.uri.as_deref()?;
    let filled = uri::with_variables(declared, variables);
    uri::split(&filled).err()?;
    let reason = match uri::missing_variable(declared, variables) {
        Some(name) => format!("the URL needs the stage variable `{name}`, which this stage does not have"),
        None if cx.api.compat == Compat::Aws && filled.contains("${") => {
            "the URL holds a placeholder that nothing fills in".to_owned()
        }
        None => return None,
    };
    cx.warning("W102", &child(pointer, "uri"), format!("{reason}: requests get 500"));
    Some(IntegrationPlan::Unavailable { reason: reason.into(), uri: Some(filled.into()) })
}

fn function(
    cx: &mut ApiContext<'_>,
    scripts: &Scripts,
    config: &IntegrationConfig,
    variables: &Variables,
    pointer: &str,
) -> Option<IntegrationPlan> {
    let is_lua = config.kind == IntegrationType::Lua;
    let Some(runner) = runner(cx, scripts, config, variables, pointer) else {
        // A `lua` integration without a function was reported by `moongate_config::check`, a script where it was compiled.
        if is_lua || config.function.is_some() {
            return None;
        }
        let uri = config.uri.as_deref().map(|text| uri::with_variables(text, variables));
        let reason = match uri.as_deref().and_then(uri::function_name) {
            Some(name) => format!("the project has no function `{name}`"),
            None => "integrations of type `aws` and `aws_proxy` need a `function` that stands in for what they call"
                .to_owned(),
        };
        cx.warning("W101", &child(pointer, "type"), format!("{reason}: requests get 500"));
        return Some(IntegrationPlan::Unavailable { reason: reason.into(), uri: uri.map(Into::into) });
    };
    let parameters = parameters(cx, config, variables, pointer)?;
    let is_aws = cx.api.compat == Compat::Aws && !is_lua;
    let mut refused = refused_field(&parameters, is_aws, true);
    let default = if is_lua || cx.api.protocol == Protocol::Http { PayloadFormat::V2 } else { PayloadFormat::V1 };
    let form = if config.kind == IntegrationType::Aws {
        FunctionForm::Mapped {
            templates: templates(scripts, &config.request_templates, &child(pointer, "request_templates")),
            passthrough: config.passthrough_behavior,
            content: config.content_handling,
            responses: response::compile(cx, scripts, config, variables, &child(pointer, "responses"))?,
        }
    } else {
        // Lambda's invocations are POST requests; AWS answers 500 where the integration says otherwise (recorded behaviour).
        if is_aws && config.method.as_deref().is_some_and(|method| !method.eq_ignore_ascii_case("POST")) {
            refused = refused.or_else(|| Some("the integration's method is not POST".into()));
        }
        FunctionForm::Proxy(config.payload_format_version.unwrap_or(default))
    };
    Some(IntegrationPlan::Function(FunctionPlan { runner, refused, form }))
}

fn http(
    cx: &mut ApiContext<'_>,
    scripts: &Scripts,
    config: &IntegrationConfig,
    variables: &Variables,
    pointer: &str,
) -> Option<HttpPlan> {
    let text = uri::with_variables(config.uri.as_deref()?, variables);
    let (call, rest) = upstream::call(cx, &text, Some(config), config.http_version, &child(pointer, "uri"))?;
    let parameters = parameters(cx, config, variables, pointer)?;
    Some(HttpPlan {
        call: Box::new(call),
        uri: UriPlan::Template(uri::template(&rest)),
        method: method(cx, config.method.as_deref(), &child(pointer, "method"))?,
        refused_field: refused_field(&parameters, cx.api.compat == Compat::Aws, false),
        parameters,
        templates: templates(scripts, &config.request_templates, &child(pointer, "request_templates")),
        passthrough: config.passthrough_behavior,
        content: config.content_handling,
        responses: response::compile(cx, scripts, config, variables, &child(pointer, "responses"))?,
        changes: changes(cx, config, variables, &child(pointer, "response_parameters"))?,
        timeout: Duration::from_millis(u64::from(config.timeout_ms.unwrap_or(TIMEOUT_MS_MAX))),
    })
}

/// The first mapped header field for which AWS answers every request with 500 (recorded behaviour).
fn refused_field(parameters: &[Mapping], is_aws: bool, is_function: bool) -> Option<Box<str>> {
    const ALWAYS: [&str; 4] = ["content-length", "transfer-encoding", "x-amzn-trace-id", "x-amzn-apigateway-api-id"];
    const FOR_FUNCTIONS: [&str; 5] = ["authorization", "connection", "expect", "proxy-authenticate", "te"];
    let is_refused = |name: &str| {
        let is_in = |names: &[&str]| names.iter().any(|known| known.eq_ignore_ascii_case(name));
        is_in(&ALWAYS) || is_function && is_in(&FOR_FUNCTIONS)
    };
    let mut fields = parameters.iter().filter(|mapping| is_aws && mapping.place == Place::Header);
    fields.find(|mapping| is_refused(&mapping.name)).map(|mapping| mapping.name.clone())
}

/// Changes to answers, by status.
fn changes(
    cx: &mut ApiContext<'_>,
    config: &IntegrationConfig,
    variables: &Variables,
    pointer: &str,
) -> Option<Changes> {
    let mut by_status = Vec::new();
    let mut is_whole = true;
    for (status, declared) in &config.response_parameters {
        let mut mappings = Vec::with_capacity(declared.len());
        for (destination, text) in declared {
            match expression::response_mapping(destination, text, variables) {
                Ok(mapping) => mappings.push(mapping),
                Err(message) => {
                    is_whole = false;
                    cx.error("E101", &child(&child(pointer, status), destination), message);
                }
            }
        }
        // That the status is one was checked by `moongate_config::check`.
        by_status.push((status.parse().ok()?, mappings.into()));
    }
    is_whole.then(|| by_status.into())
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
    let is_proxy = config.kind == IntegrationType::HttpProxy;
    let mut mappings = Vec::with_capacity(config.request_parameters.len());
    for (destination, source) in &config.request_parameters {
        let parsed = expression::request_mapping(destination, source, is_proxy, variables);
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
