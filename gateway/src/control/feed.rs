//! The feeds of a control plane, wherever it is.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use moongate_admin::Control;
use moongate_admin::publish::feed::{Acknowledgement, CredentialFeed, Measurements};
use moongate_config::{Deployment, Digest, Manifest};
use serde_json::json;
use tokio::runtime::Handle;

use crate::client::{Client, encoded};

/// What a gateway asks of a control plane. Everything may block; nothing is called from a worker.
pub(crate) trait Feed: Send + Sync {
    /// The newest revision, once it is another than `known`; `None` when `wait` is over.
    fn manifest(&self, known: u64, wait: Duration) -> anyhow::Result<Option<Manifest>>;

    /// A deployment, which need not be the one that was asked for: whoever asks checks its digest.
    fn deployment(&self, digest: &Digest) -> anyhow::Result<Deployment>;

    /// All credentials, once their version is another than `known`; `None` when `wait` is over.
    fn credentials(&self, known: i64, wait: Duration) -> anyhow::Result<Option<CredentialFeed>>;

    /// Says what is served.
    fn acknowledge(&self, said: Acknowledgement) -> anyhow::Result<()>;

    /// Says what was counted.
    fn measure(&self, said: Measurements) -> anyhow::Result<()>;
}

/// The control plane of this process, once its store is open.
#[derive(Default)]
pub(crate) struct Embedded {
    open: Mutex<Option<(Control, Handle)>>,
    opened: Condvar,
}

impl Embedded {
    /// The control plane is open.
    pub(crate) fn open(&self, control: Control, runtime: Handle) {
        *self.open.lock().unwrap_or_else(PoisonError::into_inner) = Some((control, runtime));
        self.opened.notify_all();
    }

    /// Asks it something, waiting for its store to open for as long as an answer may take.
    fn ask<T, F>(&self, wait: Duration, call: impl FnOnce(Control) -> F) -> anyhow::Result<T>
    where
        F: Future<Output = Result<T, moongate_admin::Problem>>,
    {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.opened.wait_timeout_while(open, wait, |open| open.is_none());
        let open = waited.unwrap_or_else(PoisonError::into_inner).0.clone();
        let (control, runtime) = open.context("the store is not open yet")?;
        runtime.block_on(call(control)).map_err(|problem| anyhow::anyhow!(problem.detail))
    }
}

impl Feed for Embedded {
    fn manifest(&self, known: u64, wait: Duration) -> anyhow::Result<Option<Manifest>> {
        self.ask(wait, |control| async move { control.next_manifest(known, wait).await })
    }

    fn deployment(&self, digest: &Digest) -> anyhow::Result<Deployment> {
        self.ask(Duration::ZERO, |control| async move { control.deployment(digest).await })
    }

    fn credentials(&self, known: i64, wait: Duration) -> anyhow::Result<Option<CredentialFeed>> {
        self.ask(wait, |control| async move { control.next_credentials(known, wait).await })
    }

    fn acknowledge(&self, said: Acknowledgement) -> anyhow::Result<()> {
        self.ask(Duration::ZERO, |control| async move { control.acknowledge(said).await })
    }

    fn measure(&self, said: Measurements) -> anyhow::Result<()> {
        self.ask(Duration::ZERO, |control| async move { control.measure(&said).await })
    }
}

/// A control plane on another machine.
pub(crate) struct Remote(pub(crate) Client);

impl Feed for Remote {
    fn manifest(&self, known: u64, wait: Duration) -> anyhow::Result<Option<Manifest>> {
        Ok(self.0.get(&format!("/feed/manifest?after={known}&wait_ms={}", wait.as_millis()), wait)?)
    }

    fn deployment(&self, digest: &Digest) -> anyhow::Result<Deployment> {
        let path = format!("/feed/deployments/{}", encoded(&digest.to_string()));
        self.0.get(&path, Duration::ZERO)?.context("the deployment is empty")
    }

    fn credentials(&self, known: i64, wait: Duration) -> anyhow::Result<Option<CredentialFeed>> {
        Ok(self.0.get(&format!("/feed/credentials?after={known}&wait_ms={}", wait.as_millis()), wait)?)
    }

    fn acknowledge(&self, said: Acknowledgement) -> anyhow::Result<()> {
        self.0.send("POST", "/feed/acknowledgements", Some(&json!(said)))?;
        Ok(())
    }

    fn measure(&self, said: Measurements) -> anyhow::Result<()> {
        self.0.send("POST", "/feed/measurements", Some(&json!(said)))?;
        Ok(())
    }
}
