//! Compiling what is about to be published, with the same compiler that gateways use: what is accepted here, gateways accept.

use std::collections::HashMap;
use std::sync::Arc;

use moongate_config::{Deployment, Digest, Issue, Manifest};
use moongate_policy::{Secret, SecretError, Secrets};
use moongate_runtime::compile::{Compiler, RevisionCompiler, ScriptSettings};

use crate::problem::{FieldError, Problem};

/// Stands for secrets, which only gateways have: long enough for every purpose.
const STAND_IN: &str = "stand-in-for-a-secret-that-only-gateways-know";

/// A compiler for trying deployments. It has one worker's virtual machines.
pub(crate) struct DryRun(RevisionCompiler);

impl Default for DryRun {
    fn default() -> Self {
        Self(RevisionCompiler::new(Compiler::new(1, ScriptSettings::default(), Box::new(StandIns))))
    }
}

/// Accepts every reference that has the form of one.
struct StandIns;

impl Secrets for StandIns {
    fn resolve(&self, reference: &str) -> Result<Secret, SecretError> {
        match reference.split_once(':') {
            // Each its own, so that two keys are not the same key.
            Some(("env" | "file" | "secret", name)) if !name.is_empty() => {
                Ok(Secret::new(format!("{STAND_IN}-{}", crate::auth::digest(name))))
            }
            _ => Err(SecretError::NotAReference),
        }
    }
}

impl DryRun {
    /// Compiles the APIs of a manifest; what is wrong. Blocks for as long as that takes.
    pub(crate) fn check(&mut self, manifest: &Manifest, deployments: &HashMap<Digest, Arc<Deployment>>) -> Vec<Issue> {
        self.0.compile(manifest, &|digest| deployments.get(digest).cloned()).issues
    }
}

/// The errors among issues as a problem; the warnings when there is none.
pub(crate) fn verdict(issues: &[Issue], prefix: &str) -> Result<Vec<FieldError>, Problem> {
    let mut errors: Vec<FieldError> = issues.iter().map(|issue| FieldError::of(issue, prefix, None)).collect();
    // Several stages of one deployment have the same problems.
    errors.dedup_by(|a, b| a.pointer == b.pointer && a.message == b.message && a.file == b.file);
    if issues.iter().any(Issue::is_error) { Err(Problem::invalid(errors)) } else { Ok(errors) }
}
