//! Who calls the management API, and what they may do.
//!
//! Callers show a bearer token (RFC 6750). A token belongs to a user; what it opens is what its user's grants allow, but never more than
//! the token's own scope. Stored are hashes only.

mod secret;

use moongate_admin_store::records::{Grant, Role, Scope, TokenRecord, UserRecord};
use moongate_admin_store::{Actor, Store, now_ms};

use crate::problem::Problem;

pub use secret::{MadeSecret, digest, make};

/// The grant that stands for every API, and for what belongs to none.
pub const EVERY_API: &str = "*";

/// Begins every token, so that scanners of leaked secrets know it.
pub const TOKEN_PREFIX: &str = "mgt_";

/// Begins every API key.
pub const KEY_PREFIX: &str = "mgk_";

/// A caller and what they may do.
#[derive(Clone, Debug)]
pub struct Access {
    /// Who, for the audit log.
    pub actor: Actor,
    grants: Vec<Grant>,
    /// The most that the token allows.
    role_max: Option<Role>,
    /// Whether it is a gateway.
    is_node: bool,
}

impl Access {
    /// The program itself: it may do everything.
    pub fn system(name: &str) -> Self {
        let actor = Actor { user: name.to_owned(), ..Actor::default() };
        let grants = vec![Grant { api: EVERY_API.to_owned(), role: Role::Admin }];
        Self { actor, grants, role_max: Some(Role::Admin), is_node: true }
    }

    fn new(user: &UserRecord, token: &TokenRecord) -> Self {
        let role_max = match token.scope {
            Scope::Read => Some(Role::Viewer),
            Scope::Write => Some(Role::Editor),
            Scope::Deploy => Some(Role::Deployer),
            Scope::Admin => Some(Role::Admin),
            Scope::Node => None,
        };
        let actor = Actor { user: user.id.clone(), token: Some(token.id.clone()), ..Actor::default() };
        Self { actor, grants: user.grants.clone(), role_max, is_node: token.scope == Scope::Node }
    }

    /// What the caller may do with an API; with [`EVERY_API`], with what belongs to none.
    pub fn role(&self, api: &str) -> Option<Role> {
        let granted =
            self.grants.iter().filter(|grant| grant.api == EVERY_API || grant.api == api).map(|grant| grant.role);
        granted.max().and_then(|role| Some(role.min(self.role_max?)))
    }

    /// Checks that the caller may do something.
    ///
    /// # Errors
    ///
    /// 403, naming what is missing.
    pub fn need(&self, api: &str, role: Role) -> Result<(), Problem> {
        if self.role(api).is_some_and(|has| has >= role) {
            return Ok(());
        }
        let name = format!("{role:?}").to_lowercase();
        let of = if api == EVERY_API { "for all APIs".to_owned() } else { format!("for the API `{api}`") };
        Err(Problem::forbidden(format!("`{}` is not {name} {of}, or the token's scope is smaller", self.actor.user)))
    }

    /// Checks that the caller is a gateway.
    ///
    /// # Errors
    ///
    /// 403.
    pub fn need_node(&self) -> Result<(), Problem> {
        if self.is_node || self.role(EVERY_API) == Some(Role::Admin) {
            return Ok(());
        }
        Err(Problem::forbidden("only tokens of scope `node` follow the feeds"))
    }

    /// Whether the caller may see an API.
    pub fn sees(&self, api: &str) -> bool {
        self.role(api).is_some()
    }
}

/// Finds out who shows a token.
///
/// # Errors
///
/// 401 when it is unknown or expired, or its user may do nothing any more.
pub async fn authenticate(store: &Store, token: &str) -> Result<Access, Problem> {
    let refused =
        || Problem::new(http::StatusCode::UNAUTHORIZED, "unauthorized", "the token is unknown or has expired");
    // The table is searched by the hash: how long that takes says nothing about a token.
    let Some(token) = store.find::<TokenRecord>(&digest(token)).await? else { return Err(refused()) };
    let token = token.record;
    if token.expires_ms.is_some_and(|expires| expires <= now_ms()) {
        return Err(refused());
    }
    match store.get::<UserRecord>("", &token.user).await? {
        Some(user) if user.record.enabled => Ok(Access::new(&user.record, &token)),
        _ => Err(refused()),
    }
}
