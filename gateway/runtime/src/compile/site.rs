//! An API on its stages.

use std::collections::HashMap;
use std::sync::Arc;

use http::HeaderValue;
use moongate_config::cors::CorsConfig;
use moongate_config::route::RouteKey;
use moongate_config::{Protocol, StageConfig, StageName};
use moongate_exchange::StageFacts;

use crate::compile::context::ApiContext;
use crate::compile::route::{self, Common};
use crate::compile::scripts::{self, Scripts};
use crate::compile::{authorizer, overrides, response};
use crate::plan::{BinaryTypes, CorsPlan, SitePlan, StagePlan};
use crate::router::Router;
use crate::snapshot::ApiSites;

/// The stage of a `rest` API that declares none.
const REST_STAGE: &str = "dev";

/// Compiles an API on all its stages. `None` when there was an error.
pub(super) fn compile(cx: &mut ApiContext<'_>) -> Option<ApiSites> {
    let api = cx.api;
    authorizer::warn_unavailable(cx);
    let declared = if api.stages.is_empty() { default_stages(api.protocol) } else { api.stages.clone() };
    let (alike, others): (Vec<_>, Vec<_>) = declared.iter().partition(|stage| stage.routes.is_empty());
    let mut plans = HashMap::with_capacity(declared.len());
    let mut is_broken = false;
    if !alike.is_empty() {
        is_broken |= stages(cx, &alike, &mut plans).is_none();
    }
    for stage in others {
        let index = declared.iter().position(|other| std::ptr::eq(other, stage)).unwrap_or_default();
        let Some(changed) = overrides::apply(cx, stage, index) else {
            is_broken = true;
            continue;
        };
        let mut inner = ApiContext {
            file: cx.file,
            api: &changed,
            sources: cx.sources,
            deployment_id: cx.deployment_id,
            secrets: cx.secrets,
            credentials: cx.credentials,
            upstreams: cx.upstreams,
            documents: cx.documents,
            limits: cx.limits,
            limits_max: cx.limits_max,
            services: cx.services,
            outbound: cx.outbound,
            global_plugins: cx.global_plugins,
            functions: cx.functions,
            function_names: cx.function_names,
            workers: cx.workers,
            issues: cx.issues,
        };
        is_broken |= stages(&mut inner, &[stage], &mut plans).is_none();
    }
    if is_broken {
        return None;
    }
    let in_order = declared.iter().map(|stage| Some((Box::from(stage.name.as_str()), plans.remove(&stage.name)?)));
    let stages: Box<[(Box<str>, StagePlan)]> = in_order.collect::<Option<_>>()?;
    let default_stage = match &api.default_stage {
        Some(wanted) => declared.iter().position(|stage| stage.name == *wanted)?,
        None => 0,
    };
    Some(ApiSites { stages, default_stage })
}

/// Compiles stages whose routes are the same.
fn stages(cx: &mut ApiContext<'_>, stages: &[&StageConfig], plans: &mut HashMap<StageName, StagePlan>) -> Option<()> {
    let scripts = scripts::compile(cx)?;
    let mut common = route::common(cx, &scripts)?;
    for stage in stages {
        let site = site(cx, &scripts, &mut common, stage)?;
        plans.insert(stage.name.clone(), StagePlan::new(Arc::new(site)));
    }
    Some(())
}

fn default_stages(protocol: Protocol) -> Vec<StageConfig> {
    let name = match protocol {
        Protocol::Rest => REST_STAGE,
        Protocol::Http => StageName::DEFAULT,
    };
    let name = StageName::try_from(name.to_owned()).expect("both names are stage names");
    vec![StageConfig::named(name)]
}

fn site(cx: &mut ApiContext<'_>, scripts: &Scripts, common: &mut Common, stage: &StageConfig) -> Option<SitePlan> {
    let api = cx.api;
    let variables = stage.variables.iter().map(|(name, value)| (name.as_str().into(), value.as_str().into())).collect();
    let facts = StageFacts {
        name: stage.name.as_str().into(),
        variables,
        deployment_id: cx.deployment_id.into(),
        ..StageFacts::default()
    };
    let mut router = Router::new();
    let errors_before = cx.issues.iter().filter(|issue| issue.is_error()).count();
    let at = api.stages.iter().position(|declared| declared.name == stage.name).unwrap_or(0);
    common.enter_stage(scripts, stage, at);
    for (index, config) in api.routes.iter().enumerate() {
        // Every route is tried, so that all problems are reported at once.
        if let Some(plan) = route::compile(cx, scripts, common, stage, config, &format!("/routes/{index}")) {
            router.insert(&config.key, Arc::new(plan));
        }
    }
    if let Some(upstream) = &api.upstream
        && let Some(plan) = route::quick(cx, scripts, common, stage, upstream)
    {
        router.insert(&RouteKey::Default, Arc::new(plan));
    }
    let responses = response::gateway(cx, &stage.variables)?;
    let is_broken = cx.issues.iter().filter(|issue| issue.is_error()).count() > errors_before;
    (!is_broken).then(|| SitePlan {
        stage: Arc::new(facts),
        api_id: api.api.as_str().into(),
        compat: api.compat,
        protocol: api.protocol,
        binary: BinaryTypes::new(&api.binary_media_types),
        guards: common.guards(),
        router,
        outbound: Arc::clone(cx.outbound),
        cors: api.cors.as_ref().map(cors),
        responses,
    })
}

fn cors(config: &CorsConfig) -> CorsPlan {
    let list = |names: &[String]| HeaderValue::try_from(names.join(",")).ok().filter(|value| !value.is_empty());
    let (schemes, origins): (Vec<&String>, Vec<&String>) =
        config.allow_origins.iter().filter(|origin| *origin != "*").partition(|origin| origin.ends_with("://*"));
    CorsPlan {
        origins: origins.into_iter().map(|origin| origin.as_str().into()).collect(),
        schemes: schemes.into_iter().map(|scheme| scheme.trim_end_matches('*').into()).collect(),
        any_origin: config.allow_origins.iter().any(|origin| origin == "*"),
        allow_credentials: config.allow_credentials,
        methods: list(&config.allow_methods),
        headers: list(&config.allow_headers),
        expose: list(&config.expose_headers),
        max_age: config.max_age_seconds.map(HeaderValue::from),
    }
}
