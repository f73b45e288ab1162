//! From a declared project to a [`Snapshot`]: every check and every parse that a request should not pay for.
//!
//! Compiling is pure but for the secrets it resolves and the virtual machines it starts, and it runs off the worker threads. The
//! same code runs for `validate`, for the admin's dry run and on the gateway: what one accepts, the others accept. Problems are
//! collected; a project with an error gives no snapshot, and the one being served stays.

mod authorizer;
mod context;
mod expression;
mod integration;
mod model;
mod overrides;
mod plugin;
mod response;
mod revision;
mod route;
mod scripts;
mod site;
mod upstream;
mod uri;

use std::collections::HashMap;
use std::sync::Arc;

use moongate_config::plugin::PluginAttachment;
use moongate_config::project::Declared;
use moongate_config::{ApiConfig, Issue, Project};
use moongate_function::local::Functions;
use moongate_lua::{Limits, Services};
use moongate_policy::Secrets;
use moongate_policy::api_key::Credentials;

use crate::compile::context::ApiContext;
use crate::outbound::{Outbound, Rules};
use crate::snapshot::{ApiSites, DomainMapping, Snapshot};

pub use revision::RevisionCompiler;

/// Codes of the problems that compiling finds, each with what it means.
pub const CODES: &[(&str, &str)] = &[
    (
        "E101",
        "A mapping names a source or a destination that does not exist. Sources are `method.request.{path|querystring|\
        header}.NAME`, `method.request.body`, `context.NAME`, `stageVariables.NAME` and `'text'`.",
    ),
    (
        "E102",
        "A URL cannot be used: it needs `http://` or `https://`, a host that is known when the API is deployed, and a port \
        from 1 to 65535.",
    ),
    ("E103", "A regular expression cannot be used, or is too large when compiled."),
    (
        "E104",
        "A file that an upstream's trust names is missing or holds no certificate in PEM form, or the key of a client's \
        certificate cannot be had.",
    ),
    ("E105", "A header name or value cannot be sent."),
    ("E109", "The settings of a plugin do not fit its schema, or the plugin itself cannot be used."),
    (
        "E112",
        "A model is not a JSON Schema that bodies can be checked against: draft-04 to 2020-12, with references to other \
        models only.",
    ),
    (
        "E113",
        "A route's path is not in the form that requests are matched in, so no request can ever reach it: encodings in upper \
        case, nothing encoded that needs no encoding, characters beyond ASCII encoded.",
    ),
    (
        "E119",
        "`upgrade` cannot be had here: it needs at least one protocol, and an upstream that is passed requests on over \
        HTTP/1.1.",
    ),
    ("E111", "There is no plugin of that name."),
    ("E114", "A URL `upstream://NAME` leads to no upstream's document once stage variables are filled in."),
    (
        "E150",
        "What a stage changes of a route does not give a route: the patch names a field that routes do not have, gives it a value \
        of another kind, or changes `match` or `name`.",
    ),
    ("E151", "A revision points at a deployment that is not there."),
    ("E117", "A plugin's own budget is beyond what the operator allows (`scripts.max` in `moongate.yaml`)."),
    (
        "E118",
        "The plugin's files are not those whose digest the attachment pins. `moongate plugin digest NAME` prints the digest of \
        what is there.",
    ),
    (
        "E121",
        "A script requires a library that is not there: `require \"lib.x\"` reads `lib/x.lua` in the plugin's own folder, then \
        `lua/lib/x.lua` of the project, and no other file.",
    ),
    ("E108", "A path template has more segments than a route can have."),
    ("L001", "A Lua script does not compile."),
    ("L002", "A Lua script failed while it was loaded: its top level must only define what the gateway calls later."),
    (
        "E122",
        "A route names a function that the project does not declare: `functions/NAME/function.yaml` with `function: NAME`.",
    ),
    (
        "W101",
        "This kind of integration or authorizer is kept as declared but cannot answer in this version: requests get 500.",
    ),
    (
        "W102",
        "The integration's URL needs a stage variable that this stage does not have, or a value that only a deployment to AWS \
        knows, and is no URL without it. The stage is served all the same, and the route answers 500 there, as in AWS.",
    ),
];

/// Compiles projects, one after the other, reusing what did not change.
pub struct Compiler {
    workers: usize,
    scripts: ScriptSettings,
    services: Services,
    outbound: Arc<Outbound>,
    secrets: Box<dyn Secrets + Send + Sync>,
    upstreams: uri::Interner,
    functions: Option<Functions>,
    credentials: Arc<Credentials>,
}

/// What the operator says about scripts.
#[derive(Clone, Debug)]
pub struct ScriptSettings {
    /// What a run may use.
    pub limits: Limits,
    /// What plugins may be given at most.
    pub limits_max: Limits,
    /// Whom scripts may ask.
    pub outbound: Rules,
    /// Plugins that run on every route of every API, before the APIs' own.
    pub plugins: Vec<PluginAttachment>,
}

impl Default for ScriptSettings {
    fn default() -> Self {
        let limits = Limits::default();
        Self { limits, limits_max: limits_max(&limits), outbound: Rules::default(), plugins: Vec::new() }
    }
}

/// The caps on plugins' own budgets where the operator sets none: four times what every run has, so that a plugin can ask for what
/// one signature or one slow service more takes, and no plugin can take a worker for a second.
pub fn limits_max(limits: &Limits) -> Limits {
    Limits {
        cpu: limits.cpu * 4,
        wall: limits.wall * 4,
        memory_bytes: limits.memory_bytes,
        wait: limits.wait * 4,
        calls_max: limits.calls_max.saturating_mul(4),
        outbound_bytes_max: limits.outbound_bytes_max.saturating_mul(4),
    }
}

/// What compiling gave.
pub struct Outcome {
    /// The snapshot, unless there is an error among the issues.
    pub snapshot: Option<Snapshot>,
    /// Errors and warnings, without positions: [`Project::resolve`] finds those.
    pub issues: Vec<Issue>,
}

impl Compiler {
    /// A compiler for a gateway with that many worker threads, each of which gets virtual machines of its own.
    pub fn new(workers: usize, scripts: ScriptSettings, secrets: Box<dyn Secrets + Send + Sync>) -> Self {
        let outbound = Arc::new(Outbound::new(scripts.outbound.clone()));
        let (services, upstreams) = (Services::default(), uri::Interner::default());
        let (functions, credentials) = (None, Arc::default());
        Self { workers: workers.max(1), scripts, services, outbound, secrets, upstreams, functions, credentials }
    }

    /// What scripts share across configurations: store, caches, meters.
    pub fn services(&self) -> &Services {
        &self.services
    }

    /// A compiler whose routes may ask functions of this machine. Which of them there are is said elsewhere, before a snapshot is
    /// served.
    #[must_use]
    pub fn with_functions(self, functions: Functions) -> Self {
        Self { functions: Some(functions), ..self }
    }

    /// A compiler whose APIs also accept the API keys that the control plane gives out.
    #[must_use]
    pub fn with_credentials(self, credentials: Arc<Credentials>) -> Self {
        Self { credentials, ..self }
    }

    /// Compiles a project. Blocks for as long as that takes: call it off the worker threads.
    pub fn compile(&mut self, project: &Project, revision: u64) -> Outcome {
        let mut issues = Vec::new();
        let mut snapshot = Snapshot { revision, ..Snapshot::default() };
        let documents = upstream::documents(project, &*self.secrets, &mut self.upstreams, &mut issues);
        for declared in &project.apis {
            if let Some(sites) = self.api(declared, project, "", &documents, &mut issues) {
                snapshot.apis.insert(declared.config.api.as_str().into(), sites);
            }
        }
        for declared in &project.domains {
            let mappings = domain(&declared.config, &snapshot.apis);
            snapshot.domains.insert(declared.config.domain.to_ascii_lowercase().into(), mappings);
        }
        drop(documents);
        self.upstreams.forget_unused();
        let is_refused = issues.iter().any(Issue::is_error);
        Outcome { snapshot: (!is_refused).then_some(snapshot), issues }
    }

    /// Compiles the first API of a project, a deployment's own. `None` when there was an error.
    fn deployment(&mut self, project: &Project, deployment_id: &str, issues: &mut Vec<Issue>) -> Option<ApiSites> {
        let documents = upstream::documents(project, &*self.secrets, &mut self.upstreams, issues);
        self.api(project.apis.first()?, project, deployment_id, &documents, issues)
    }

    /// Compiles one API on its stages. `None` when there was an error.
    fn api(
        &mut self,
        declared: &Declared<ApiConfig>,
        project: &Project,
        deployment_id: &str,
        documents: &upstream::Documents,
        issues: &mut Vec<Issue>,
    ) -> Option<ApiSites> {
        let function_names = project.functions.iter().map(|declared| &*declared.config.function).collect();
        site::compile(&mut ApiContext {
            file: &declared.file,
            api: &declared.config,
            sources: &project.sources,
            functions: self.functions.as_ref(),
            function_names: &function_names,
            deployment_id,
            secrets: &*self.secrets,
            credentials: &self.credentials,
            upstreams: &mut self.upstreams,
            documents,
            limits: self.scripts.limits,
            limits_max: self.scripts.limits_max,
            services: &self.services,
            outbound: &self.outbound,
            global_plugins: &self.scripts.plugins,
            workers: self.workers,
            issues,
        })
    }
}

/// The mappings of a domain, longest base path first. That they lead somewhere was checked (`moongate_config::check`).
fn domain(
    config: &moongate_config::domain::DomainConfig,
    apis: &HashMap<Box<str>, ApiSites, foldhash::fast::RandomState>,
) -> Box<[DomainMapping]> {
    let mut mappings: Vec<DomainMapping> = Vec::new();
    for mapping in &config.mappings {
        let Some(sites) = apis.get(mapping.api.as_str()) else { continue };
        let site = match &mapping.stage {
            Some(stage) => sites.stages.iter().find(|(name, _)| **name == *stage.as_str()),
            None => sites.stages.get(sites.default_stage),
        };
        let Some((_, stage)) = site else { continue };
        let base_path = mapping.base_path.as_deref().unwrap_or("/").trim_end_matches('/');
        mappings.push(DomainMapping { base_path: base_path.into(), site: stage.clone() });
    }
    mappings.sort_by_key(|mapping| std::cmp::Reverse(mapping.base_path.len()));
    mappings.into()
}
