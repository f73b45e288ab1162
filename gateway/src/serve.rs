//! Beside the data path: the control plane of this process, or the one it follows.

use std::path::Path;
use std::sync::Arc;

use moongate_policy::LocalSecrets;
use moongate_policy::api_key::Credentials;
use moongate_runtime::compile::{Compiler, RevisionCompiler};

use crate::client::Client;
use crate::compose::Composer;
use crate::control::Follower;
use crate::control::feed::{Feed, Remote};
use crate::control::known_good::KnownGood;
use crate::output::Printer;
use crate::roles::admin::Admin;
use crate::settings::Settings;

/// The last revisions, in the data folder.
const KNOWN_GOOD: &str = "known-good";

/// Whether APIs may come from a control plane.
pub(crate) fn has_control(settings: &Settings, admin: Option<&Admin>) -> bool {
    admin.is_some() || settings.admin.control.is_some()
}

/// Starts the admin role where there is one, and follows it, or the control plane on another machine.
///
/// # Errors
///
/// When a control plane on another machine is to be followed but cannot be, for reasons that do not pass by themselves.
pub(crate) fn control(
    settings: &Settings,
    admin: Option<Admin>,
    root: &Path,
    composer: &Arc<Composer>,
    credentials: &Arc<Credentials>,
    printer: Printer,
) -> anyhow::Result<()> {
    let (node, remote, data_dir) =
        (settings.admin.node.clone(), settings.admin.control.as_ref(), settings.admin.data_dir.clone());
    let remote = match remote {
        Some(control) => Some(Client::new(&control.url, &control.token()?, control.ca_file.as_deref())?),
        None => None,
    };
    let embedded = match admin {
        Some(admin) => Some(admin.start(settings.admin.clone(), composer, printer)?),
        None => None,
    };
    let feed: Arc<dyn Feed> = match (remote, embedded) {
        (Some(client), _) => Arc::new(Remote(client)),
        (None, Some(embedded)) => embedded,
        (None, None) => return Ok(()),
    };
    let known_good = match KnownGood::open(&data_dir.join(KNOWN_GOOD)) {
        Ok(known_good) => known_good,
        Err(error) if settings.admin.control.is_none() => {
            let folder = data_dir.display();
            tracing::error!(%folder, %error, "the data folder cannot be used: only the project's folder is served");
            return Ok(());
        }
        Err(error) => anyhow::bail!("the data folder `{}` cannot be used: {error}", data_dir.display()),
    };
    let secrets = Box::new(LocalSecrets::new(root));
    let compiler =
        Compiler::new(settings.workers, settings.scripts.clone(), secrets).with_credentials(Arc::clone(credentials));
    let (composer, credentials) = (Arc::clone(composer), Arc::clone(credentials));
    Follower::new(node, feed, known_good, composer, credentials).start(RevisionCompiler::new(compiler))
}
