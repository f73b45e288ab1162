//! What is served, put together from its sources: the project's folder and the control plane.
//!
//! Each source replaces its own part; the data path sees whole snapshots only. Where both have an API or a domain, the folder's is served:
//! the control plane shows the folder's APIs, and never gets between a file and the gateway.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use moongate_config::Project;
use moongate_runtime::{Published, Snapshot};

/// Puts snapshots together and publishes them.
#[derive(Default)]
pub(crate) struct Composer {
    published: Arc<Published>,
    parts: Mutex<Parts>,
}

/// Is shown the folder's project.
type Mirror = Box<dyn Fn(&Arc<Project>) + Send>;

#[derive(Default)]
struct Parts {
    folder: Option<Snapshot>,
    control: Option<Snapshot>,
    /// Who wants to see the folder's project, for the control plane to show it.
    mirror: Option<Mirror>,
    project: Option<Arc<Project>>,
}

impl Composer {
    /// Where the newest snapshot is.
    pub(crate) fn published(&self) -> Arc<Published> {
        Arc::clone(&self.published)
    }

    /// Serves what the folder declares, which is `project` compiled.
    pub(crate) fn set_folder(&self, snapshot: Snapshot, project: &Arc<Project>) {
        let mut parts = self.parts();
        // A folder without a document has nothing to say about which revision is served.
        parts.folder = (!project.apis.is_empty() || !project.domains.is_empty()).then_some(snapshot);
        self.publish(&parts);
        if let Some(mirror) = &parts.mirror {
            mirror(project);
        }
        parts.project = Some(Arc::clone(project));
    }

    /// Serves what the control plane published.
    pub(crate) fn set_control(&self, snapshot: Snapshot) {
        let mut parts = self.parts();
        parts.control = Some(snapshot);
        self.publish(&parts);
    }

    /// Calls `mirror` with the folder's project, now and whenever it changes. It must not wait.
    pub(crate) fn mirror(&self, mirror: impl Fn(&Arc<Project>) + Send + 'static) {
        let mut parts = self.parts();
        if let Some(project) = &parts.project {
            mirror(project);
        }
        parts.mirror = Some(Box::new(mirror));
    }

    /// Whether the folder has an API of that name.
    pub(crate) fn is_in_folder(&self, api: &str) -> bool {
        self.parts().folder.as_ref().is_some_and(|folder| folder.apis.contains_key(api))
    }

    fn publish(&self, parts: &Parts) {
        let empty = Snapshot::default();
        match (&parts.folder, &parts.control) {
            (Some(folder), control) => self.published.store(folder.merged(control.as_ref().unwrap_or(&empty))),
            (None, Some(control)) => self.published.store(control.merged(&empty)),
            (None, None) => {}
        }
    }

    fn parts(&self) -> MutexGuard<'_, Parts> {
        // Whole values are put in: a panic elsewhere leaves nothing half done.
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
