//! Plans: what the configuration becomes when it is compiled. Immutable, and all a request looks at.
//!
//! `compile/` makes them, `pipeline/` reads them. A plan holds no declared text that would have to be parsed per request.

mod call;
mod canary;
mod cors;
mod integration;
mod mapping;
mod response;

use std::sync::Arc;

use jsonschema::Validator;
use moongate_config::{Compat, Protocol};
use moongate_exchange::{RouteFacts, StageFacts, UpgradeLimits};
use moongate_lua::{Bank, ConfigId, Phases, ScriptId};
use moongate_policy::{Authorize, Guard};
use regex::Regex;

pub use call::{CallPlan, FaultPlan, MirrorPlan, RetryPlan, Share, Timeouts, is_idempotent};
pub use canary::{CanaryPlan, StagePlan};
pub use cors::CorsPlan;
pub use integration::{
    Changes, FunctionForm, FunctionPlan, FunctionRunner, HttpPlan, IntegrationPlan, MockPlan, ProcessPlan, UriPart,
    UriPlan,
};
pub use mapping::{Action, BinaryTypes, Mapping, Place, TemplatePlan, TemplateSet, ValueSource};
pub use response::{GatewayResponsePlan, GatewayResponses, ResponsePlan, Responses, TextPart};

use crate::outbound::Outbound;
use crate::router::Router;

/// An API as it is served on one of its stages.
#[derive(Debug)]
pub struct SitePlan {
    /// The API's id, name of the stage, stage variables.
    pub stage: Arc<StageFacts>,
    /// The API's id.
    pub api_id: Box<str>,
    /// Whose habits errors and defaults follow.
    pub compat: Compat,
    /// Which of AWS's two families it belongs to: they word their errors differently.
    pub protocol: Protocol,
    /// Media types whose bodies are bytes.
    pub binary: BinaryTypes,
    /// Policies of the guard stage that act on every request to the API.
    pub guards: Box<[Arc<dyn Guard>]>,
    /// Whom scripts may ask.
    pub outbound: Arc<Outbound>,
    /// The routes.
    pub router: Router,
    /// Cross-origin rules.
    pub cors: Option<CorsPlan>,
    /// The gateway's own answers.
    pub responses: GatewayResponses,
}

impl SitePlan {
    /// Whether the API keeps AWS's habits.
    pub fn is_aws(&self) -> bool {
        self.compat == Compat::Aws
    }

    /// Whether it keeps those of AWS's REST APIs.
    pub fn is_aws_rest(&self) -> bool {
        self.is_aws() && self.protocol == Protocol::Rest
    }
}

/// One route, ready to serve.
#[derive(Debug)]
pub struct RoutePlan {
    /// Key, path, names: for logs and `context`.
    pub facts: Arc<RouteFacts>,
    /// Whether HEAD requests without a route of their own may come here.
    pub answers_head: bool,
    /// Largest request body, in bytes.
    pub body_bytes_max: Option<u64>,
    /// Largest body a stage may read, in bytes.
    pub buffer_bytes_max: u64,
    /// Parameters that must be there and not blank, by the name the client knows.
    pub required_parameters: Box<[(Box<str>, ValueSource)]>,
    /// Whether a request that fails validation passes all the same, and is only reported.
    pub only_reports: bool,
    /// Models that bodies are checked against, by media type (lower case, without parameters).
    pub body_models: Box<[(Box<str>, Arc<Validator>)]>,
    /// Whether a stage reads the request's body: it is collected before `map_request`.
    pub reads_request_body: bool,
    /// Whether anything after `map_request` still looks at the request's headers. Where nothing does, they are moved to the
    /// upstream instead of being copied.
    pub keeps_request_headers: bool,
    /// Policies of the guard stage, beside the API's.
    pub guards: Box<[Arc<dyn Guard>]>,
    /// Who decides about the caller.
    pub authorizer: AuthorizerPlan,
    /// Policies of the authorize stage.
    pub authorize: Box<[Arc<dyn Authorize>]>,
    /// Plugins, in order.
    pub plugins: Box<[Arc<PluginPlan>]>,
    /// The virtual machines of the API's scripts, where it has any.
    pub scripts: Option<Arc<Bank>>,
    /// Which other protocols a client may go over to.
    pub upgrade: Option<UpgradePlan>,
    /// What answers.
    pub integration: IntegrationPlan,
}

/// Which other protocols a client may go over to, and for how long.
#[derive(Debug)]
pub struct UpgradePlan {
    /// The protocols' tokens, compared without regard to case.
    pub protocols: Box<[Box<str>]>,
    /// How long such a connection may last.
    pub limits: UpgradeLimits,
}

/// Who decides about the caller of a route.
#[derive(Debug)]
pub enum AuthorizerPlan {
    /// Nobody: the route is open.
    Open,
    /// A Lua script.
    Lua(LuaAuthorizerPlan),
    /// The declared authorizer cannot decide in this build or configuration: requests are refused.
    Unavailable(Box<str>),
}

/// A Lua authorizer and what must be there before it runs.
#[derive(Debug)]
pub struct LuaAuthorizerPlan {
    /// The script.
    pub script: ScriptId,
    /// What identifies the caller; a request that lacks one is refused without running the script.
    pub identity: Box<[ValueSource]>,
    /// What the first identity source must match as a whole.
    pub validation: Option<Regex>,
}

/// One use of a plugin.
#[derive(Debug)]
pub struct PluginPlan {
    /// The plugin's name.
    pub name: Box<str>,
    /// Its version.
    pub version: Arc<str>,
    /// The script.
    pub script: ScriptId,
    /// Its settings, checked.
    pub config: ConfigId,
    /// When it acts.
    pub phases: Phases,
    /// Whether it needs the request's body in memory.
    pub reads_request_body: bool,
    /// Whether it needs the response's body in memory.
    pub reads_response_body: bool,
    /// Whether a request goes on when it fails.
    pub fails_open: bool,
    /// Where it is attached, for telling: `global`, `api`, `stage` or `route`.
    pub level: &'static str,
}

impl RoutePlan {
    /// A route that answers 500: for tests of what finds routes.
    #[cfg(test)]
    pub(crate) fn for_tests(key: &str) -> Self {
        let resource_path = key.split_once(' ').map_or(key, |(_, path)| path);
        Self {
            facts: Arc::new(RouteFacts {
                key: key.into(),
                resource_path: resource_path.into(),
                ..RouteFacts::default()
            }),
            answers_head: true,
            body_bytes_max: None,
            buffer_bytes_max: 0,
            required_parameters: Box::default(),
            only_reports: false,
            body_models: Box::default(),
            reads_request_body: false,
            keeps_request_headers: false,
            guards: Box::default(),
            authorizer: AuthorizerPlan::Open,
            authorize: Box::default(),
            plugins: Box::default(),
            scripts: None,
            upgrade: None,
            integration: IntegrationPlan::Unavailable { reason: "test".into(), uri: None },
        }
    }
}
