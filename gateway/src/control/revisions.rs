//! Taking revisions: fetch what is new, compile it beside the workers, serve it, keep it, say so.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use moongate_config::issue::render::reports;
use moongate_config::{Deployment, Digest, Issue, Manifest, Sources};
use moongate_runtime::compile::RevisionCompiler;

use crate::control::{Follower, Pauses, WAIT, report};

/// How long a control plane is waited for where there is nothing else to serve.
const PATIENCE: Duration = Duration::from_secs(15);

/// Most issues that are reported to the control plane.
const ISSUES_MAX: usize = 50;

/// Takes one revision after the other.
pub(super) struct Revisions {
    follower: Arc<Follower>,
    compiler: RevisionCompiler,
}

impl Revisions {
    pub(super) fn new(follower: Arc<Follower>, compiler: RevisionCompiler) -> Self {
        Self { follower, compiler }
    }

    /// Serves the newest revision on disk that is whole and compiles.
    ///
    /// # Errors
    ///
    /// When there are revisions on disk and none of them can be used, and no control plane answers either.
    pub(super) fn restore(&mut self) -> anyhow::Result<()> {
        let (manifests, broken) = self.follower.known_good.manifests();
        for error in &broken {
            tracing::error!(error = %format!("{error:#}"), "a kept revision cannot be used");
        }
        let had_any = !manifests.is_empty() || !broken.is_empty();
        for manifest in manifests {
            match self.serve(&manifest, false) {
                Ok(_) => {
                    tracing::info!(revision = manifest.revision, "serving the revision that was kept");
                    return Ok(());
                }
                Err(issues) => tell(&manifest, &issues),
            }
        }
        if had_any && let Err(error) = self.follower.feed.manifest(0, PATIENCE) {
            let why = "no revision that was kept can be used, and the control plane cannot be reached";
            anyhow::bail!(
                "{why}: {error:#}; mend the control plane, or empty the data folder to start without a revision"
            );
        }
        Ok(())
    }

    /// Follows until the process ends.
    pub(super) fn follow(mut self) {
        let mut pauses = Pauses::new("the control plane");
        loop {
            match self.follower.feed.manifest(self.follower.offered(), WAIT) {
                Ok(Some(manifest)) => match self.take(&manifest) {
                    Ok(()) => pauses.went_well(),
                    Err(error) => pauses.failed(&error),
                },
                Ok(None) => pauses.went_well(),
                Err(error) => pauses.failed(&error),
            }
        }
    }

    /// Serves a revision, or refuses it. An error means that it could not be fetched: it is tried again.
    fn take(&mut self, manifest: &Manifest) -> anyhow::Result<()> {
        let started = Instant::now();
        let outcome = self.serve(manifest, true);
        if let Err(issues) = &outcome
            && let Some(missing) = issues.iter().find(|issue| issue.code == MISSING)
        {
            anyhow::bail!(missing.message.clone());
        }
        self.follower.offered.store(manifest.revision, Ordering::Relaxed);
        let revision = manifest.revision;
        let issues = match outcome {
            Ok(fetched) => {
                tracing::info!(revision, duration_ms = started.elapsed().as_millis() as u64, "revision is served");
                // Served first, then kept: a slow disk delays nobody.
                if let Err(error) = self.keep(manifest, &fetched) {
                    tracing::error!(revision, error = %format!("{error:#}"), "revision cannot be kept: a restart begins with an older one");
                }
                Vec::new()
            }
            Err(issues) => {
                tell(manifest, &issues);
                issues
            }
        };
        let shown = reports(&issues, &Sources::default()).into_iter().take(ISSUES_MAX);
        let shown = shown.filter_map(|report| serde_json::to_value(report).ok()).collect();
        // The control plane learns it with the next report otherwise.
        let _ = report::say(&self.follower, shown);
        Ok(())
    }

    /// Keeps a revision on disk, its deployments first.
    fn keep(&self, manifest: &Manifest, fetched: &[(Digest, Arc<Deployment>)]) -> anyhow::Result<()> {
        for (digest, deployment) in fetched {
            self.follower.known_good.keep_deployment(digest, deployment)?;
        }
        self.follower.known_good.keep(manifest)
    }

    /// Compiles a revision and serves it, or says what is wrong with it. The deployments that had to be fetched for it.
    fn serve(&mut self, manifest: &Manifest, may_fetch: bool) -> Result<Fetched, Vec<Issue>> {
        let follower = &self.follower;
        let mut own = manifest.clone();
        own.apis.retain(|id, _| !follower.composer.is_in_folder(id));
        let failure = RefCell::new(None);
        let fetched = RefCell::new(Fetched::new());
        let lookup = |digest: &Digest| {
            let found = find(follower, digest, may_fetch, &fetched);
            found.map_err(|error| *failure.borrow_mut() = Some(error)).ok()
        };
        let outcome = self.compiler.compile(&own, &lookup);
        match outcome.snapshot {
            Some(snapshot) => {
                follower.composer.set_control(snapshot);
                follower.serving.store(manifest.revision, Ordering::Relaxed);
                if !may_fetch {
                    follower.offered.store(manifest.revision, Ordering::Relaxed);
                }
                Ok(fetched.into_inner())
            }
            None => {
                let mut issues = outcome.issues;
                if let Some(error) = failure.into_inner() {
                    issues.insert(0, Issue::error(MISSING, "", "", format!("{error:#}")));
                }
                Err(issues)
            }
        }
    }
}

/// A deployment could not be had.
const MISSING: &str = "E151";

/// Deployments that are new to this gateway.
type Fetched = Vec<(Digest, Arc<Deployment>)>;

/// A deployment from the disk, or else from the control plane.
fn find(
    follower: &Follower,
    digest: &Digest,
    may_fetch: bool,
    fetched: &RefCell<Fetched>,
) -> anyhow::Result<Arc<Deployment>> {
    let known =
        fetched.borrow().iter().find(|(known, _)| known == digest).map(|(_, deployment)| Arc::clone(deployment));
    if let Some(known) = known.or_else(|| follower.known_good.deployment(digest)) {
        return Ok(known);
    }
    anyhow::ensure!(may_fetch, "the deployment {digest} is missing or damaged");
    let deployment = follower.feed.deployment(digest)?;
    let found = deployment.digest()?;
    anyhow::ensure!(found == *digest, "the deployment {digest} arrived as {found}");
    let deployment = Arc::new(deployment);
    fetched.borrow_mut().push((*digest, Arc::clone(&deployment)));
    Ok(deployment)
}

fn tell(manifest: &Manifest, issues: &[Issue]) {
    let first = issues.iter().find(|issue| issue.is_error()).map(ToString::to_string).unwrap_or_default();
    tracing::error!(
        revision = manifest.revision,
        issues = issues.len(),
        error = first,
        "revision refused, keeping the current one"
    );
}
