//! From a revision to a [`Snapshot`]: deployments are compiled once, and what a revision has in common with the one before is reused.

use std::collections::HashMap;
use std::sync::Arc;

use indexmap::IndexMap;
use moongate_config::revision::{ApiManifest, StageManifest, document_file};
use moongate_config::{Deployment, Digest, Issue, Manifest, Project, StageConfig};

use crate::compile::{Compiler, Outcome, domain};
use crate::plan::{CanaryPlan, StagePlan};
use crate::snapshot::{ApiSites, Snapshot};

/// Digits of a digest that `context.deploymentId` shows.
const ID_DIGITS: usize = 12;

/// Compiles revisions, one after the other.
pub struct RevisionCompiler {
    compiler: Compiler,
    /// What was compiled for the newest revision.
    known: HashMap<Digest, ApiSites>,
}

/// A deployment and the stages it is compiled for.
struct Unit<'a> {
    api: &'a str,
    digest: Digest,
    stages: Vec<StageConfig>,
}

impl RevisionCompiler {
    /// A compiler of revisions that compiles deployments as the given one does.
    pub fn new(compiler: Compiler) -> Self {
        Self { compiler, known: HashMap::new() }
    }

    /// Compiles a revision. `deployment` looks deployments up by their digest. Blocks for as long as that takes: call it off the worker
    /// threads.
    ///
    /// Problems are reported against the document `apis/{api}.json` of the API that has them.
    pub fn compile(&mut self, manifest: &Manifest, deployment: &dyn Fn(&Digest) -> Option<Arc<Deployment>>) -> Outcome {
        let mut pass = Pass {
            compiler: &mut self.compiler,
            known: &self.known,
            used: HashMap::new(),
            deployment,
            issues: Vec::new(),
        };
        let mut snapshot = Snapshot { revision: manifest.revision, ..Snapshot::default() };
        for (id, api) in &manifest.apis {
            if let Some(sites) = pass.api(id, api) {
                snapshot.apis.insert(id.as_str().into(), sites);
            }
        }
        for (name, config) in &manifest.domains {
            snapshot.domains.insert(name.to_ascii_lowercase().into(), domain(config, &snapshot.apis));
        }
        let Pass { used, issues, .. } = pass;
        let is_refused = issues.iter().any(Issue::is_error);
        if !is_refused {
            self.known = used;
        }
        self.compiler.upstreams.forget_unused();
        Outcome { snapshot: (!is_refused).then_some(snapshot), issues }
    }
}

/// One pass over a manifest.
struct Pass<'a> {
    compiler: &'a mut Compiler,
    known: &'a HashMap<Digest, ApiSites>,
    used: HashMap<Digest, ApiSites>,
    deployment: &'a dyn Fn(&Digest) -> Option<Arc<Deployment>>,
    issues: Vec<Issue>,
}

impl Pass<'_> {
    /// An API on its stages. `None` when there is none, or there was an error.
    fn api(&mut self, id: &str, api: &ApiManifest) -> Option<ApiSites> {
        // Stages that run the same deployment share its scripts' machines.
        let mut units: IndexMap<Digest, Unit<'_>> = IndexMap::new();
        for stage in &api.stages {
            let unit = units.entry(stage.deployment).or_insert_with(|| Unit {
                api: id,
                digest: stage.deployment,
                stages: Vec::new(),
            });
            unit.stages.push(stage.settings.clone());
        }
        let mut plans: HashMap<Box<str>, StagePlan> = HashMap::new();
        for unit in units.values() {
            plans.extend(self.unit(unit)?.stages.iter().cloned());
        }
        let mut stages: Vec<(Box<str>, StagePlan)> = Vec::with_capacity(api.stages.len());
        for stage in &api.stages {
            let name = stage.settings.name.as_str();
            let mut plan = plans.get(name)?.clone();
            plan.canary = self.canary(id, stage, &plan)?;
            stages.push((name.into(), plan));
        }
        let wanted = api.default_stage.as_ref();
        let default_stage = wanted.and_then(|name| stages.iter().position(|(known, _)| **known == *name.as_str()));
        (!stages.is_empty()).then(|| ApiSites { stages: stages.into(), default_stage: default_stage.unwrap_or(0) })
    }

    /// A stage's canary, if it has one. `None` when there was an error.
    fn canary(&mut self, id: &str, stage: &StageManifest, plan: &StagePlan) -> Option<Option<Arc<CanaryPlan>>> {
        let Some(canary) = &stage.canary else { return Some(None) };
        let mut settings = stage.settings.clone();
        settings.variables.extend(canary.variables.clone());
        let sites = self.unit(&Unit { api: id, digest: canary.deployment, stages: vec![settings] })?;
        let (_, arm) = sites.stages.first()?;
        let site = Arc::clone(&arm.stable);
        let made = CanaryPlan::new(&plan.stable, site, canary.percent, canary.sticky.clone(), canary.trial());
        Some(Some(Arc::new(made)))
    }

    /// A deployment on its stages: reused, or compiled.
    fn unit(&mut self, unit: &Unit<'_>) -> Option<ApiSites> {
        let Ok(key) = Digest::of(&(unit.api, unit.digest, &unit.stages)) else { return None };
        if let Some(sites) = self.used.get(&key).or_else(|| self.known.get(&key)) {
            let sites = sites.clone();
            self.used.insert(key, sites.clone());
            return Some(sites);
        }
        let file = document_file(unit.api);
        let Some(deployment) = (self.deployment)(&unit.digest) else {
            let message = format!("the deployment {} of `{}` is not there", unit.digest, unit.api);
            self.issues.push(Issue::error("E151", file, "", message));
            return None;
        };
        let (project, issues) = Project::load(deployment.sources(unit.api, &unit.stages, None));
        let is_refused = issues.iter().any(Issue::is_error);
        self.issues.extend(issues);
        if is_refused {
            return None;
        }
        let digits = unit.digest.to_string();
        let id = digits.rsplit(':').next().and_then(|digits| digits.get(..ID_DIGITS)).unwrap_or_default();
        let before = self.issues.len();
        let sites = self.compiler.deployment(&project, id, &mut self.issues);
        project.resolve(&mut self.issues[before..]);
        let sites = sites?;
        self.used.insert(key, sites.clone());
        Some(sites)
    }
}
