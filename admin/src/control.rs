//! The control plane without HTTP: the store, what publishes, and who waits for news.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use moongate_admin_store::counter::CREDENTIALS;
use moongate_admin_store::records::{Grant, Role, Scope, TokenRecord, UserRecord};
use moongate_admin_store::{Actor, Entry, Error as StoreError, Expect, Store, Transaction};
use tokio::sync::watch;

use crate::auth::{EVERY_API, MadeSecret, TOKEN_PREFIX, digest, make};
use crate::problem::Problem;
use crate::publish::DryRun;

/// How often the newest versions are looked up, for changes that other processes made.
const LOOK: Duration = Duration::from_millis(200);

/// The first user.
const FIRST_USER: &str = "admin";

/// How a control plane is opened.
#[derive(Clone, Debug)]
pub struct Options {
    /// The store: `sqlite:FILE` or `postgres://...`.
    pub store: String,
    /// The first administrator's token, where it is not to be made up: at least 20 characters.
    pub first_token: Option<String>,
}

/// The control plane. Cheap to clone.
#[derive(Clone)]
pub struct Control(Arc<Inner>);

/// What all clones share; tasks hold it weakly, so that they do not keep the control plane alive.
pub(crate) struct Inner {
    store: Store,
    dry_run: Arc<Mutex<DryRun>>,
    versions: watch::Sender<Versions>,
}

/// What the feeds are at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Versions {
    /// The newest revision.
    pub revision: u64,
    /// The newest version of the credentials.
    pub credentials: i64,
}

/// What opening gave beside the control plane.
#[derive(Debug, PartialEq, Eq)]
pub enum FirstToken {
    /// There were users already.
    None,
    /// The first administrator's token, to be shown once.
    Made(String),
    /// The first administrator was made with the token that was given.
    Given,
}

/// Why the control plane does not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The store does not open.
    #[error("the store cannot be opened")]
    Store(#[from] StoreError),
    /// The system has no randomness to give.
    #[error("no token can be made")]
    Random(#[from] openssl::error::ErrorStack),
    /// The token that was given is too short to be safe.
    #[error("the first token has fewer than 20 characters")]
    ShortToken,
}

impl Control {
    /// Opens the store, makes the first user where there is none, and begins to look for news. Must be called in a tokio runtime, which
    /// must live as long as the control plane.
    ///
    /// # Errors
    ///
    /// When the store cannot be opened.
    pub async fn open(options: &Options) -> Result<(Self, FirstToken), OpenError> {
        let store = Store::open(&options.store).await?;
        let first = first_user(&store, options.first_token.as_deref()).await?;
        let versions = watch::Sender::new(newest(&store).await?);
        let control = Self(Arc::new(Inner { store, dry_run: Arc::default(), versions }));
        tokio::spawn(look(Arc::downgrade(&control.0)));
        tokio::spawn(crate::publish::verdict::watch(Arc::downgrade(&control.0)));
        Ok((control, first))
    }

    /// The store.
    pub fn store(&self) -> &Store {
        &self.0.store
    }

    /// Where deployments are tried.
    pub(crate) fn dry_run(&self) -> Arc<Mutex<DryRun>> {
        Arc::clone(&self.0.dry_run)
    }

    /// What the feeds are at, and a way to wait for more.
    pub fn versions(&self) -> watch::Receiver<Versions> {
        self.0.versions.subscribe()
    }

    /// Commits a change and tells everybody who waits.
    pub(crate) async fn commit(&self, transaction: Transaction) -> Result<(), Problem> {
        transaction.commit().await?;
        let newest = newest(&self.0.store).await?;
        tell(&self.0.versions, newest);
        Ok(())
    }

    pub(crate) fn from_inner(inner: Arc<Inner>) -> Self {
        Self(inner)
    }
}

fn tell(sender: &watch::Sender<Versions>, newest: Versions) {
    sender.send_if_modified(|known| {
        let is_news = *known != newest;
        *known = newest;
        is_news
    });
}

async fn newest(store: &Store) -> Result<Versions, StoreError> {
    Ok(Versions { revision: store.newest_revision().await?, credentials: store.counter(CREDENTIALS).await? })
}

/// Looks for changes of other processes until the control plane is gone.
async fn look(inner: std::sync::Weak<Inner>) {
    let mut was_reachable = true;
    loop {
        tokio::time::sleep(LOOK).await;
        let Some(inner) = inner.upgrade() else { return };
        let found = newest(&inner.store).await;
        match &found {
            Ok(newest) => tell(&inner.versions, *newest),
            Err(error) if was_reachable => {
                tracing::warn!(error = %crate::problem::chain(error), "the store cannot be reached: gateways go on with what they have");
            }
            Err(_) => {}
        }
        was_reachable = found.is_ok();
    }
}

/// Makes the first administrator where there is no user.
async fn first_user(store: &Store, given: Option<&str>) -> Result<FirstToken, OpenError> {
    let mut transaction = store.begin().await?;
    if !store.list::<UserRecord>("", "", 1).await?.items.is_empty() {
        return Ok(FirstToken::None);
    }
    let made = make(TOKEN_PREFIX)?;
    let (secret, first) = match given {
        Some(token) if token.len() < 20 => return Err(OpenError::ShortToken),
        Some(token) => {
            let prefix = token.chars().take(6).collect();
            (MadeSecret { prefix, hash: digest(token), secret: String::new(), id: made.id }, FirstToken::Given)
        }
        None => {
            let first = FirstToken::Made(made.secret.clone());
            (made, first)
        }
    };
    let grants = vec![Grant { api: EVERY_API.to_owned(), role: Role::Admin }];
    let user = UserRecord { id: FIRST_USER.to_owned(), name: "Administrator".to_owned(), grants, enabled: true };
    let token = TokenRecord {
        id: secret.id,
        name: "first".to_owned(),
        user: user.id.clone(),
        prefix: secret.prefix,
        hash: secret.hash,
        scope: Scope::Admin,
        expires_ms: None,
    };
    transaction.put(user, Expect::Absent).await?;
    transaction.put(token, Expect::Absent).await?;
    transaction
        .audit(&Entry::new(&Actor::system(), "user.create", format!("users/{FIRST_USER}")).summary("first start"))
        .await?;
    transaction.commit().await?;
    Ok(first)
}
