//! The last revisions that were served, on disk: whoever starts without a control plane serves them.
//!
//! `revision.json` is the newest, `revision.previous.json` the one before, each a line with the SHA-256 of what follows and then the
//! manifest; `deployments/` holds what they point at, by digest. Files are written whole beside their place, synced and then renamed, the
//! deployments before the manifest that names them: whatever moment the power fails, there is a whole revision.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use moongate_admin::publish::feed::CredentialFeed;
use moongate_config::{Deployment, Digest, Manifest};
use serde::Serialize;
use serde::de::DeserializeOwned;

const NEWEST: &str = "revision.json";
const PREVIOUS: &str = "revision.previous.json";
const CREDENTIALS: &str = "credentials.json";
const DEPLOYMENTS: &str = "deployments";

/// A folder with the last revisions.
pub(crate) struct KnownGood {
    folder: PathBuf,
}

impl KnownGood {
    /// Uses a folder, which is made where it is not there.
    ///
    /// # Errors
    ///
    /// When it cannot be made.
    pub(crate) fn open(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder.join(DEPLOYMENTS))?;
        Ok(Self { folder: folder.to_owned() })
    }

    /// The revisions on disk that are whole, newest first, and what is wrong with those that are not.
    pub(crate) fn manifests(&self) -> (Vec<Manifest>, Vec<anyhow::Error>) {
        let (mut whole, mut broken) = (Vec::new(), Vec::new());
        for name in [NEWEST, PREVIOUS] {
            match self.read(name) {
                Ok(Some(manifest)) => whole.push(manifest),
                Ok(None) => {}
                Err(error) => broken.push(error),
            }
        }
        (whole, broken)
    }

    /// Keeps a revision whose deployments are all kept, and forgets deployments that neither it nor the one before needs.
    ///
    /// # Errors
    ///
    /// When the disk fails or is full; what was kept before is kept still.
    pub(crate) fn keep(&self, manifest: &Manifest) -> anyhow::Result<()> {
        let newest = self.folder.join(NEWEST);
        // Copied, not moved: there is a newest one at every moment.
        if let Ok(Some(before)) = self.read::<Manifest>(NEWEST)
            && before.revision != manifest.revision
        {
            self.write(PREVIOUS, &before)?;
        }
        self.write(NEWEST, manifest).with_context(|| format!("`{}` cannot be written", newest.display()))?;
        self.forget();
        Ok(())
    }

    /// A deployment that was kept, if it is there and whole.
    pub(crate) fn deployment(&self, digest: &Digest) -> Option<Arc<Deployment>> {
        let text = fs::read(self.place(digest)).ok()?;
        let deployment: Deployment = serde_json::from_slice(&text).ok()?;
        let is_whole = deployment.digest().is_ok_and(|found| found == *digest);
        is_whole.then(|| Arc::new(deployment))
    }

    /// Keeps a deployment.
    ///
    /// # Errors
    ///
    /// When the disk fails or is full.
    pub(crate) fn keep_deployment(&self, digest: &Digest, deployment: &Deployment) -> anyhow::Result<()> {
        replace(&self.place(digest), &serde_json::to_vec(deployment)?)
    }

    /// The credentials that were kept.
    ///
    /// # Errors
    ///
    /// When they are there but not whole.
    pub(crate) fn credentials(&self) -> anyhow::Result<Option<CredentialFeed>> {
        self.read(CREDENTIALS)
    }

    /// Keeps credentials.
    ///
    /// # Errors
    ///
    /// When the disk fails or is full.
    pub(crate) fn keep_credentials(&self, credentials: &CredentialFeed) -> anyhow::Result<()> {
        self.write(CREDENTIALS, credentials)
    }

    fn place(&self, digest: &Digest) -> PathBuf {
        let name = digest.to_string().replace(':', "-");
        self.folder.join(DEPLOYMENTS).join(format!("{name}.json"))
    }

    fn read<T: DeserializeOwned>(&self, name: &str) -> anyhow::Result<Option<T>> {
        let path = self.folder.join(name);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("`{}` cannot be read", path.display())),
        };
        let damaged = || format!("`{}` is damaged", path.display());
        let (checksum, body) = text.split_once('\n').with_context(damaged)?;
        anyhow::ensure!(checksum == Digest::of(&body)?.to_string(), damaged());
        serde_json::from_str(body).map(Some).with_context(damaged)
    }

    fn write(&self, name: &str, value: &impl Serialize) -> anyhow::Result<()> {
        let body = serde_json::to_string(value)?;
        let text = format!("{}\n{body}", Digest::of(&body)?);
        replace(&self.folder.join(name), text.as_bytes())
    }

    fn forget(&self) {
        let (manifests, broken) = self.manifests();
        if !broken.is_empty() {
            return;
        }
        let stages = manifests.iter().flat_map(|manifest| manifest.apis.values()).flat_map(|api| &api.stages);
        let needed: HashSet<PathBuf> = stages
            .flat_map(|stage| [Some(stage.deployment), stage.canary.as_ref().map(|canary| canary.deployment)])
            .flatten()
            .map(|digest| self.place(&digest))
            .collect();
        let entries = fs::read_dir(self.folder.join(DEPLOYMENTS)).into_iter().flatten().filter_map(Result::ok);
        for path in entries.map(|entry| entry.path()).filter(|path| !needed.contains(path)) {
            // What stays only takes room.
            let _ = fs::remove_file(path);
        }
    }
}

/// Writes a file whole: readers, and whoever starts after a crash, see the old one or the new one.
pub(crate) fn replace(path: &Path, text: &[u8]) -> anyhow::Result<()> {
    let draft = path.with_extension("new");
    let folder = path.parent().context("a file lies in a folder")?;
    let written = File::create(&draft).and_then(|mut file| {
        file.write_all(text)?;
        file.sync_all()
    });
    let renamed = written.and_then(|()| fs::rename(&draft, path)).and_then(|()| File::open(folder)?.sync_all());
    renamed.with_context(|| format!("`{}` cannot be written", path.display()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn manifest(revision: u64) -> Manifest {
        Manifest { revision, ..Manifest::default() }
    }

    #[test]
    fn the_newest_whole_revision_is_found_whatever_happened_to_the_others() {
        let folder = tempfile::tempdir().expect("a folder");
        let kept = KnownGood::open(folder.path()).expect("opened");
        assert!(kept.manifests().0.is_empty());
        for revision in [1, 2, 3] {
            kept.keep(&manifest(revision)).expect("kept");
        }
        let revisions = || kept.manifests().0.iter().map(|manifest| manifest.revision).collect::<Vec<_>>();
        assert_eq!(revisions(), [3, 2]);
        let newest = folder.path().join(NEWEST);
        let text = fs::read_to_string(&newest).expect("text");
        for broken in ["", "sha256:0\n{}", &text[..text.len() - 1], &text.replace('3', "4"), "\u{0}"] {
            fs::write(&newest, broken).expect("written");
            assert_eq!(revisions(), [2], "{broken}");
            assert_eq!(kept.manifests().1.len(), 1);
        }
        fs::write(folder.path().join("revision.new"), "half").expect("a write that was cut off");
        kept.keep(&manifest(5)).expect("kept over the damaged one");
        assert_eq!(revisions(), [5, 2]);
    }

    #[test]
    fn a_damaged_deployment_is_not_there() {
        let folder = tempfile::tempdir().expect("a folder");
        let kept = KnownGood::open(folder.path()).expect("opened");
        let deployment = Deployment { document: json!({"api": "a"}), files: [].into() };
        let digest = deployment.digest().expect("JSON");
        assert!(kept.deployment(&digest).is_none());
        kept.keep_deployment(&digest, &deployment).expect("kept");
        assert_eq!(*kept.deployment(&digest).expect("there"), deployment);
        fs::write(kept.place(&digest), r#"{"document":{"api":"b"}}"#).expect("written");
        assert!(kept.deployment(&digest).is_none());
    }
}
