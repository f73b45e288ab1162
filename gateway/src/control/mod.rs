//! Following a control plane: in the same process, or on another machine.
//!
//! Three threads, none of them a worker's: one takes revisions ([`revisions`]), one the credentials ([`credentials`]), one reports what is
//! served and counted ([`report`]). What was taken is kept on disk ([`known_good`]), so that a gateway starts, and serves, with no control
//! plane to be seen.

pub(crate) mod feed;
pub(crate) mod known_good;

mod credentials;
mod report;
mod revisions;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use moongate_policy::api_key::Credentials;
use moongate_runtime::compile::RevisionCompiler;

use crate::compose::Composer;
use crate::control::feed::Feed;
use crate::control::known_good::KnownGood;

/// How long a feed may keep us waiting for news.
const WAIT: Duration = Duration::from_secs(25);

/// First pause after a feed that failed; it doubles.
const PAUSE: Duration = Duration::from_millis(100);
/// Longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// What a gateway is, to its control plane.
pub(crate) struct Follower {
    /// The gateway's name.
    pub(crate) node: String,
    pub(crate) feed: Arc<dyn Feed>,
    pub(crate) known_good: KnownGood,
    pub(crate) composer: Arc<Composer>,
    pub(crate) credentials: Arc<Credentials>,
    /// The newest revision that was offered, and the one that is served.
    offered: AtomicU64,
    serving: AtomicU64,
}

impl Follower {
    pub(crate) fn new(
        node: String,
        feed: Arc<dyn Feed>,
        known_good: KnownGood,
        composer: Arc<Composer>,
        credentials: Arc<Credentials>,
    ) -> Self {
        let (offered, serving) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { node, feed, known_good, composer, credentials, offered, serving }
    }

    /// Serves what is on disk, and follows from there on for as long as the process runs.
    ///
    /// # Errors
    ///
    /// When what is on disk cannot be used, nothing else can be had, and the gateway would serve nothing; and when a thread cannot be
    /// started.
    pub(crate) fn start(self, compiler: RevisionCompiler) -> anyhow::Result<()> {
        let follower = Arc::new(self);
        credentials::restore(&follower);
        let mut revisions = revisions::Revisions::new(Arc::clone(&follower), compiler);
        revisions.restore()?;
        let others = Arc::clone(&follower);
        std::thread::Builder::new().name("revisions".to_owned()).spawn(move || revisions.follow())?;
        std::thread::Builder::new().name("credentials".to_owned()).spawn(move || credentials::follow(&others))?;
        std::thread::Builder::new().name("report".to_owned()).spawn(move || report::follow(&follower))?;
        Ok(())
    }

    fn offered(&self) -> u64 {
        self.offered.load(Ordering::Relaxed)
    }

    fn serving(&self) -> u64 {
        self.serving.load(Ordering::Relaxed)
    }
}

/// Pauses that grow while something fails, and what was said about it.
struct Pauses {
    what: &'static str,
    next: Duration,
}

impl Pauses {
    fn new(what: &'static str) -> Self {
        Self { what, next: PAUSE }
    }

    /// It failed: says so the first time, and waits.
    fn failed(&mut self, error: &anyhow::Error) {
        if self.next == PAUSE {
            tracing::warn!(error = %format!("{error:#}"), "{} cannot be followed, going on with what is known", self.what);
        }
        std::thread::sleep(self.next);
        self.next = (self.next * 2).min(PAUSE_MAX);
    }

    /// It went well.
    fn went_well(&mut self) {
        if self.next != PAUSE {
            tracing::info!("{} can be followed again", self.what);
        }
        self.next = PAUSE;
    }
}
