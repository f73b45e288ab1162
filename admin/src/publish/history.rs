//! Going back: a stage to what it ran before, or everything to an older revision. History is never edited: going back is a new revision.

use moongate_admin_store::Entry;
use moongate_config::revision::StageManifest;
use moongate_config::{Manifest, StageName};

use crate::auth::Access;
use crate::control::Control;
use crate::problem::Problem;
use crate::publish::change::{Draft, Published};
use crate::publish::deploy::find;

/// How many revisions are looked through for what a stage ran before.
const LOOK_BACK: u64 = 1000;

/// Puts a stage back to what it was in a revision; by default, to the deployment it ran before the one it runs now. A canary ends.
///
/// # Errors
///
/// When there is nothing to go back to.
pub async fn rollback(
    control: &Control,
    access: &Access,
    api: &str,
    name: &StageName,
    to: Option<u64>,
    is_dry_run: bool,
) -> Result<Published, Problem> {
    let mut draft = Draft::begin(control).await?;
    let Some(current) = draft.manifest.apis.get_mut(api).and_then(|manifest| find(manifest, name)).cloned() else {
        return Err(Problem::missing("stage", name.as_str()));
    };
    let newest = draft.before().revision;
    let (revision, mut wanted) = match to {
        Some(revision) => {
            let Some(stage) = stage_in(control, revision, api, name).await? else {
                return Err(Problem::missing(&format!("stage `{name}` in revision"), &revision.to_string()));
            };
            (revision, stage)
        }
        None => before(control, newest, api, name, &current).await?,
    };
    wanted.canary = None;
    if let Some(stage) = draft.manifest.apis.get_mut(api).and_then(|manifest| find(manifest, name)) {
        *stage = wanted;
    }
    let cause = format!("roll back {api} on {name} to revision {revision}");
    draft
        .entry(Entry::new(&access.actor, "stage.rollback", format!("apis/{api}/stages/{name}")).summary(cause.clone()));
    draft.publish(&cause, access, is_dry_run).await
}

/// Serves again what an older revision served.
///
/// # Errors
///
/// When there is no such revision.
pub async fn restore(
    control: &Control,
    access: &Access,
    revision: u64,
    is_dry_run: bool,
) -> Result<Published, Problem> {
    let Some(old) = control.store().manifest(revision).await? else {
        return Err(Problem::missing("revision", &revision.to_string()));
    };
    let mut draft = Draft::begin(control).await?;
    draft.manifest = Manifest { revision: draft.before().revision, ..old };
    let cause = format!("restore revision {revision}");
    draft.entry(Entry::new(&access.actor, "revision.restore", format!("revisions/{revision}")).summary(cause.clone()));
    draft.publish(&cause, access, is_dry_run).await
}

/// The newest revision in which the stage ran another deployment, and what it was there.
async fn before(
    control: &Control,
    newest: u64,
    api: &str,
    name: &StageName,
    current: &StageManifest,
) -> Result<(u64, StageManifest), Problem> {
    // A rollback goes back behind what it went back to: what the stage ran right before is what somebody just left.
    for revision in (newest.saturating_sub(LOOK_BACK).max(1)..newest).rev() {
        match stage_in(control, revision, api, name).await? {
            Some(stage) if stage.deployment != current.deployment => return Ok((revision, stage)),
            Some(_) => {}
            None => break,
        }
    }
    Err(Problem::conflict(format!("`{name}` has run no other deployment of `{api}` before")))
}

async fn stage_in(
    control: &Control,
    revision: u64,
    api: &str,
    name: &StageName,
) -> Result<Option<StageManifest>, Problem> {
    let Some(mut manifest) = control.store().manifest(revision).await? else { return Ok(None) };
    Ok(manifest.apis.get_mut(api).and_then(|api| find(api, name)).cloned())
}
