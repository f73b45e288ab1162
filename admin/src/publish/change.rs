//! Making a revision: a change of the newest manifest, tried, written and told, or nothing at all.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use moongate_admin_store::audit::Change;
use moongate_admin_store::{Entry, Transaction};
use moongate_config::revision::ApiManifest;
use moongate_config::{Deployment, Digest, Manifest, Project, Sources};
use serde::Serialize;
use serde_json::{Value, json};

use crate::auth::Access;
use crate::control::Control;
use crate::diff::{self, Difference};
use crate::problem::{FieldError, Problem};
use crate::publish::dry_run;

/// A revision in the making. Nobody else writes until it is dropped or committed.
pub struct Draft {
    control: Control,
    /// The transaction, for records that change together with the revision.
    pub transaction: Transaction,
    before: Manifest,
    /// What will be served.
    pub manifest: Manifest,
    /// Deployments that the change brings.
    deployments: HashMap<Digest, Arc<Deployment>>,
    /// Entries for the audit log.
    entries: Vec<Entry>,
    /// Records were changed, so that there is something to commit even without a new revision.
    pub has_records: bool,
}

/// What came of a change.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct Published {
    /// The revision that is served now; the one from before when nothing changed or it was a dry run.
    pub revision: u64,
    /// Whether there is a new revision (in a dry run: whether there would be).
    pub changed: bool,
    /// What is different, in words.
    pub changes: Vec<Difference>,
    /// What is probably not meant.
    pub warnings: Vec<FieldError>,
}

impl Draft {
    /// Begins a change, after those who write now.
    ///
    /// # Errors
    ///
    /// When the store cannot be reached.
    pub async fn begin(control: &Control) -> Result<Self, Problem> {
        let mut transaction = control.store().begin().await?;
        let before = transaction.newest_manifest().await?;
        Ok(Self {
            control: control.clone(),
            transaction,
            manifest: before.clone(),
            before,
            deployments: HashMap::new(),
            entries: Vec::new(),
            has_records: false,
        })
    }

    /// The store, as it was when the change began: only this transaction writes meanwhile.
    pub fn store(&self) -> &moongate_admin_store::Store {
        self.control.store()
    }

    /// The manifest that is served until this change is.
    pub fn before(&self) -> &Manifest {
        &self.before
    }

    /// Brings a deployment; its digest.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn deployment(
        &mut self,
        api: &str,
        deployment: Deployment,
        message: &str,
        access: &Access,
    ) -> Result<Digest, Problem> {
        let digest = deployment.digest().map_err(|error| Problem::malformed(error.to_string()))?;
        self.transaction.put_deployment(&digest, api, &deployment, message, &access.actor.user).await?;
        self.deployments.insert(digest, Arc::new(deployment));
        Ok(digest)
    }

    /// Adds an entry to the audit log, if the change comes about.
    pub fn entry(&mut self, entry: Entry) {
        self.entries.push(entry);
    }

    /// Tries what has changed; nothing is written. What is probably not meant.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it.
    pub async fn check(&mut self) -> Result<Vec<FieldError>, Problem> {
        let changed = self.changed_apis()?;
        let tried = Manifest { revision: self.manifest.revision, apis: changed, ..Manifest::default() };
        self.fetch(&tried).await?;
        let (dry_run, deployments) = (self.control.dry_run(), self.deployments.clone());
        let issues = tokio::task::spawn_blocking(move || {
            // A panic in a compile must not end all publishing.
            let mut dry_run = dry_run.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            dry_run.check(&tried, &deployments)
        });
        let issues = issues.await.map_err(|_| Problem::malformed("the deployment cannot be compiled"))?;
        let warnings = dry_run::verdict(&issues, "")?;
        check_domains(&self.manifest)?;
        Ok(warnings)
    }

    /// Writes the change and tells everybody who follows.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it, and when the store fails; then nothing was changed.
    pub async fn publish(mut self, cause: &str, access: &Access, is_dry_run: bool) -> Result<Published, Problem> {
        let warnings = self.check().await?;
        self.publish_checked(cause, access, is_dry_run, warnings).await
    }

    /// The same, for what was compiled already.
    ///
    /// # Errors
    ///
    /// As [`Draft::publish`].
    pub async fn publish_checked(
        mut self,
        cause: &str,
        access: &Access,
        is_dry_run: bool,
        warnings: Vec<FieldError>,
    ) -> Result<Published, Problem> {
        let is_changed = !is_same(&self.before, &self.manifest);
        let changes = self.differences().await?;
        let mut revision = self.before.revision;
        if is_dry_run {
            return Ok(Published { revision, changed: is_changed, changes, warnings });
        }
        if is_changed {
            let author = &access.actor.user;
            revision = self.transaction.put_revision(self.manifest.clone(), cause, author).await?.revision;
        }
        for mut entry in std::mem::take(&mut self.entries) {
            if is_changed {
                let words: Vec<&str> = changes.iter().map(|change| &*change.text).take(20).collect();
                let lead = if entry.summary.is_empty() { String::new() } else { format!("{}; ", entry.summary) };
                entry.summary = format!("{lead}revision {revision}: {}", words.join("; "));
            }
            self.transaction.audit(&entry).await?;
        }
        if is_changed || self.has_records {
            self.control.commit(self.transaction).await?;
        }
        Ok(Published { revision, changed: is_changed, changes, warnings })
    }

    /// APIs that are not as they were.
    fn changed_apis(&self) -> Result<std::collections::BTreeMap<String, ApiManifest>, Problem> {
        let is_changed = |id: &str, api: &ApiManifest| {
            self.before.apis.get(id).is_none_or(|before| Digest::of(before).ok() != Digest::of(api).ok())
        };
        let changed = self.manifest.apis.iter().filter(|(id, api)| is_changed(id, api));
        Ok(changed.map(|(id, api)| (id.clone(), api.clone())).collect())
    }

    /// Gets the deployments that a manifest points at.
    async fn fetch(&mut self, manifest: &Manifest) -> Result<(), Problem> {
        let stages = manifest.apis.values().flat_map(|api| &api.stages);
        let wanted: HashSet<Digest> = stages
            .flat_map(|stage| [Some(stage.deployment), stage.canary.as_ref().map(|canary| canary.deployment)])
            .flatten()
            .filter(|digest| !self.deployments.contains_key(digest))
            .collect();
        for digest in wanted {
            let Some(found) = self.control.store().deployment(&digest).await? else {
                return Err(Problem::missing("deployment", &digest.to_string()));
            };
            self.deployments.insert(digest, Arc::new(found));
        }
        Ok(())
    }

    /// What is different, in words.
    async fn differences(&mut self) -> Result<Vec<Difference>, Problem> {
        let changed = diff::changed_only(&self.before, &self.manifest);
        self.fetch(&changed.0).await?;
        self.fetch(&changed.1).await?;
        Ok(diff::manifests(&changed.0, &changed.1, &|digest| self.deployments.get(digest).cloned()))
    }
}

/// Whether two manifests serve the same.
fn is_same(a: &Manifest, b: &Manifest) -> bool {
    Digest::of(&(&a.apis, &a.domains)).ok() == Digest::of(&(&b.apis, &b.domains)).ok()
}

/// Domains must be well-formed and lead somewhere.
fn check_domains(manifest: &Manifest) -> Result<(), Problem> {
    if manifest.domains.is_empty() {
        return Ok(());
    }
    let mut sources = Sources::default();
    for (name, domain) in &manifest.domains {
        let text = serde_json::to_string(domain).unwrap_or_default();
        sources.files.insert(format!("apis/domain.{name}.json"), text);
        for mapping in &domain.mappings {
            let id = mapping.api.as_str();
            let Some(api) = manifest.apis.get(id) else { continue };
            let names = api.stages.iter().map(|stage| json!({"name": stage.settings.name}));
            let stand_in = json!({"api": id, "routes": [], "stages": names.collect::<Vec<Value>>()});
            sources.files.insert(format!("apis/{id}.json"), stand_in.to_string());
        }
    }
    let (_, issues) = Project::load(sources);
    let of_domains: Vec<_> =
        issues.into_iter().filter(|issue| issue.file.starts_with("apis/domain.") && issue.is_error()).collect();
    dry_run::verdict(&of_domains, "").map(drop)
}

/// The values of two documents that differ, for the audit log: at most 100, long texts cut.
pub fn audited(before: &Value, after: &Value) -> Vec<Change> {
    const CHANGES_MAX: usize = 100;
    let mut changes = diff::values(before, after);
    changes.truncate(CHANGES_MAX);
    changes
}
