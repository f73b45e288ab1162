//! From the project's folder to the published snapshot, once at the start and again whenever a file changes.
//!
//! Everything here runs off the worker threads. A project with an error is not published: what was served goes on being served.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use moongate_config::issue::codes;
use moongate_config::{Issue, Project, Sources};
use moongate_function::local::{Functions, Spec};
use moongate_policy::LocalSecrets;
use moongate_policy::api_key::Credentials;
use moongate_runtime::Snapshot;
use moongate_runtime::compile::{Compiler, ScriptSettings};
use notify::{EventKind, RecursiveMode, Watcher};

use crate::compose::Composer;
use crate::{folder, functions};

/// How long the folder must be quiet before it is read: editors write in several steps.
const QUIET: Duration = Duration::from_millis(15);

/// How long a folder that is never quiet is waited for.
const QUIET_MAX: Duration = Duration::from_millis(100);

/// Loads a project's folder again and again.
pub(crate) struct Loader {
    root: PathBuf,
    /// Whether a folder without any document is fine: APIs may come from elsewhere.
    may_be_empty: bool,
    compiler: Compiler,
    functions: Functions,
    revision: u64,
}

/// What loading gave.
pub(crate) struct Loaded {
    /// The snapshot, unless there is an error among the issues.
    pub(crate) snapshot: Option<Snapshot>,
    /// Everything that is wrong, with positions.
    pub(crate) issues: Vec<Issue>,
    /// The functions that the snapshot's routes ask.
    pub(crate) functions: Vec<Spec>,
    /// The project, with the texts by which problems are shown.
    pub(crate) project: Arc<Project>,
    /// Documents, routes and scripts, for telling.
    pub(crate) size: Size,
    /// How long it took.
    pub(crate) took: Duration,
}

/// How much a project holds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Size {
    pub(crate) files: usize,
    pub(crate) routes: usize,
    pub(crate) scripts: usize,
}

impl Loaded {
    /// The texts, by which problems are shown.
    pub(crate) fn sources(&self) -> &Sources {
        &self.project.sources
    }

    /// Whether it cannot be served.
    pub(crate) fn is_refused(&self) -> bool {
        self.issues.iter().any(Issue::is_error)
    }
}

impl Loader {
    /// A loader for a folder.
    pub(crate) fn new(root: &Path, workers: usize, scripts: ScriptSettings, functions: Functions) -> Self {
        let secrets = Box::new(LocalSecrets::new(root));
        let compiler = Compiler::new(workers, scripts, secrets).with_functions(functions.clone());
        Self { root: root.to_owned(), may_be_empty: false, compiler, functions, revision: 0 }
    }

    /// A loader beside a control plane: its API keys open the folder's routes too, and there need be no API in the folder.
    #[must_use]
    pub(crate) fn beside_control(self, credentials: Arc<Credentials>) -> Self {
        Self { may_be_empty: true, compiler: self.compiler.with_credentials(credentials), ..self }
    }

    /// Reads, checks and compiles the project.
    ///
    /// # Errors
    ///
    /// When the folder itself cannot be read.
    pub(crate) fn load(&mut self) -> io::Result<Loaded> {
        let started = Instant::now();
        let (sources, mut issues) = folder::read(&self.root)?;
        let (project, found) = Project::load(sources);
        let functions = functions::specs(&self.root, &project, &LocalSecrets::new(&self.root), &mut issues);
        let is_missing = |issue: &Issue| issue.code == codes::EMPTY_PROJECT;
        issues.extend(found.into_iter().filter(|issue| !(self.may_be_empty && is_missing(issue))));
        let mut snapshot = None;
        if !issues.iter().any(Issue::is_error) {
            let outcome = self.compiler.compile(&project, self.revision + 1);
            issues.extend(outcome.issues);
            snapshot = outcome.snapshot;
        }
        project.resolve(&mut issues);
        if issues.iter().any(Issue::is_error) {
            snapshot = None;
        }
        if snapshot.is_some() {
            self.revision += 1;
        }
        let scripts = project.sources.files.keys().filter(|name| name.ends_with(".lua")).count();
        let size = Size {
            files: project.apis.len() + project.domains.len() + project.functions.len(),
            routes: project.apis.iter().map(|api| api.config.routes.len()).sum(),
            scripts,
        };
        Ok(Loaded { snapshot, issues, functions, project: Arc::new(project), size, took: started.elapsed() })
    }
}

/// What became of a change.
pub(crate) enum Change<'loaded> {
    /// It is served, as this revision.
    Published(u64, &'loaded Loaded),
    /// It has errors; the last good configuration is still served.
    Refused(&'loaded Loaded),
    /// The folder could not be read.
    Failed(io::Error),
}

/// Publishes what was loaded and tells what became of it.
pub(crate) fn publish(
    composer: &Composer,
    functions: &Functions,
    loaded: io::Result<Loaded>,
    tell: &(dyn Fn(Change<'_>) + Send + Sync),
) {
    let mut loaded = match loaded {
        Ok(loaded) => loaded,
        Err(error) => return tell(Change::Failed(error)),
    };
    match loaded.snapshot.take() {
        Some(snapshot) => {
            let revision = snapshot.revision;
            // Before the routes that ask them.
            functions.replace_blocking(std::mem::take(&mut loaded.functions));
            composer.set_folder(snapshot, &loaded.project);
            tell(Change::Published(revision, &loaded));
        }
        None => tell(Change::Refused(&loaded)),
    }
}

/// Watches the folder on a thread of its own, for as long as the process runs.
///
/// # Errors
///
/// When the folder cannot be watched.
pub(crate) fn watch(
    mut loader: Loader,
    composer: Arc<Composer>,
    tell: Arc<dyn Fn(Change<'_>) + Send + Sync>,
) -> anyhow::Result<()> {
    let (sender, changes) = mpsc::channel();
    let root = loader.root.clone();
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let Ok(event) = event else { return };
        let is_change = !matches!(event.kind, EventKind::Access(_));
        if is_change && (event.paths.is_empty() || event.paths.iter().any(|path| folder::is_relevant(&root, path))) {
            // The receiver lives as long as the process.
            let _ = sender.send(());
        }
    })?;
    watcher.watch(&loader.root, RecursiveMode::Recursive)?;
    std::thread::Builder::new().name("follow".to_owned()).spawn(move || {
        let _watcher = watcher;
        while changes.recv().is_ok() {
            wait_until_quiet(&changes);
            publish(&composer, &loader.functions.clone(), loader.load(), &*tell);
        }
    })?;
    Ok(())
}

fn wait_until_quiet(changes: &mpsc::Receiver<()>) {
    let began = Instant::now();
    while began.elapsed() < QUIET_MAX {
        match changes.recv_timeout(QUIET) {
            Ok(()) => {}
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// Loads the folder again on every SIGHUP, on a thread of its own.
///
/// # Errors
///
/// When the thread cannot be started.
pub(crate) fn on_hangup(
    mut loader: Loader,
    composer: Arc<Composer>,
    tell: Arc<dyn Fn(Change<'_>) + Send + Sync>,
) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    std::thread::Builder::new().name("follow".to_owned()).spawn(move || {
        runtime.block_on(async {
            let hangup = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup());
            let Ok(mut hangup) = hangup else {
                tracing::error!("SIGHUP cannot be received: the configuration is not reloaded");
                return;
            };
            while hangup.recv().await.is_some() {
                publish(&composer, &loader.functions.clone(), loader.load(), &*tell);
            }
        });
    })?;
    Ok(())
}
