//! The control plane of this process: its store, its listener, and the feed that the gateway beside it follows.
//!
//! All of it runs on threads of its own. When it cannot start, the gateway serves what it has all the same.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use moongate_admin::publish::apply;
use moongate_admin::{Control, FirstToken, Options, server};
use moongate_config::Project;
use tokio::sync::watch;

use crate::compose::Composer;
use crate::control::feed::Embedded;
use crate::control::known_good::replace;
use crate::output::Printer;
use crate::settings::AdminSettings;

/// Where the first token is kept for the command line, in the data folder.
pub(crate) const TOKEN_FILE: &str = "token";
/// Where the listener's address is kept for the command line.
pub(crate) const ADDRESS_FILE: &str = "admin.json";

/// An admin role whose address is reserved.
pub(crate) struct Admin {
    listener: TcpListener,
    address: SocketAddr,
}

/// Longest pause between two attempts to open the store.
const PAUSE_MAX: Duration = Duration::from_secs(5);

impl Admin {
    /// Reserves the address. `None` where the admin role is switched off, or its address is taken: that is told, and no reason not to
    /// serve.
    pub(crate) fn bind(settings: &AdminSettings) -> Option<Self> {
        let wanted = settings.listen?;
        let bound = TcpListener::bind(wanted).and_then(|listener| {
            listener.set_nonblocking(true)?;
            Ok(Self { address: listener.local_addr()?, listener })
        });
        bound
            .inspect_err(|error| {
                tracing::error!(address = %wanted, %error, "the management API does not listen: choose another address with --admin-listen, or `none`");
            })
            .ok()
    }

    /// Where it will listen.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Opens the store and serves the management API, on threads of its own, and tries again for as long as the store cannot be
    /// opened. The project's folder is shown there, and its changes are followed, when it is served by this process.
    ///
    /// # Errors
    ///
    /// When the system has no thread to give.
    pub(crate) fn start(
        self,
        settings: AdminSettings,
        composer: &Arc<Composer>,
        printer: Printer,
    ) -> anyhow::Result<Arc<Embedded>> {
        let feed = Arc::new(Embedded::default());
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).thread_name("admin").enable_all().build()?;
        let (composer, opened) = (Arc::clone(composer), Arc::clone(&feed));
        std::thread::Builder::new().name("admin-start".to_owned()).spawn(move || {
            let control = runtime.block_on(self.open(&settings, printer));
            mirror(runtime.handle(), &control, &composer);
            opened.open(control.clone(), runtime.handle().clone());
            let served = runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(self.listener)?;
                let pair = settings.tls.as_ref().map(|(certificate, key)| (certificate.as_path(), key.as_path()));
                server::serve(control, listener, pair).await.map_err(anyhow::Error::from)
            });
            if let Err(error) = served {
                tracing::error!(error = %format!("{error:#}"), "the management API is not served");
            }
        })?;
        Ok(feed)
    }

    /// Opens the store, however often it takes.
    async fn open(&self, settings: &AdminSettings, printer: Printer) -> Control {
        let mut pause = Duration::from_millis(100);
        loop {
            match self.try_open(settings, printer).await {
                Ok(control) => return control,
                Err(error) => {
                    tracing::error!(error = %format!("{error:#}"), "the control plane does not start yet, the gateway goes on without it");
                }
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    async fn try_open(&self, settings: &AdminSettings, printer: Printer) -> anyhow::Result<Control> {
        let folder = &settings.data_dir;
        std::fs::create_dir_all(folder).with_context(|| format!("the data folder `{}`", folder.display()))?;
        keep_out_of_git(folder);
        let options = Options { store: settings.store_url(), first_token: settings.first_token()? };
        let (control, first) = Control::open(&options).await?;
        let scheme = if settings.tls.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://{}", self.address);
        replace(&folder.join(ADDRESS_FILE), serde_json::json!({"url": url}).to_string().as_bytes())?;
        let token = match first {
            FirstToken::Made(token) => {
                keep_token(&folder.join(TOKEN_FILE), &token)?;
                Some(token)
            }
            FirstToken::Given | FirstToken::None => None,
        };
        printer.admin(&url, token);
        Ok(control)
    }
}

/// Shows the folder's project in the control plane, always the newest.
fn mirror(runtime: &tokio::runtime::Handle, control: &Control, composer: &Composer) {
    let (sender, mut receiver) = watch::channel::<Option<Arc<Project>>>(None);
    let control = control.clone();
    runtime.spawn(async move {
        while receiver.changed().await.is_ok() {
            let Some(project) = receiver.borrow_and_update().clone() else { continue };
            if let Err(problem) = apply::mirror(&control, &project).await {
                tracing::warn!(error = problem.detail, "the project's folder cannot be shown in the management API");
            }
        }
    });
    composer.mirror(move |project| {
        sender.send_replace(Some(Arc::clone(project)));
    });
}

/// Writes the first token where only its owner reads it.
fn keep_token(path: &Path, token: &str) -> anyhow::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(token.as_bytes()))
        .with_context(|| format!("the token's file `{}`", path.display()))
}

/// Data and tokens are no part of a project.
fn keep_out_of_git(folder: &Path) {
    let file: PathBuf = folder.join(".gitignore");
    if !file.exists() {
        // Where it cannot be written, it is only less convenient.
        let _ = std::fs::write(file, "*\n");
    }
}
