//! `/users`, `/roles`, `/tokens` and `/me`: who may do what.

use moongate_admin_store::records::{ApiRecord, Grant, Role, Scope, TokenRecord, UserRecord};
use moongate_admin_store::{Entry, Expect, Stored};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::api::{check_id, check_name, expiry};
use crate::auth::{EVERY_API, TOKEN_PREFIX, make};
use crate::call::{Call, List, Outcome, Reply};
use crate::problem::Problem;
use crate::publish::change::audited;
use crate::time;

/// What somebody may do, in steps: `viewer` reads, `editor` also writes drafts, `deployer` also deploys and gives out API keys, `admin`
/// does everything.
#[derive(Clone, Copy, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RoleName {
    /// Reads.
    Viewer,
    /// Writes drafts.
    Editor,
    /// Deploys, and gives out API keys.
    Deployer,
    /// Everything.
    Admin,
}

/// A role for one API, or for all.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GrantView {
    /// The API's id, or `*`.
    api: String,
    /// What may be done with it.
    role: RoleName,
}

/// What a token may be used for at most.
#[derive(Clone, Copy, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ScopeName {
    /// Reading.
    Read,
    /// Writing drafts, besides reading.
    Write,
    /// Deploying and API keys, besides writing.
    Deploy,
    /// Everything its user may do.
    Admin,
    /// Following the feeds as a gateway, and nothing else.
    Node,
}

/// A user as it is written.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UserInput {
    /// The name that is shown.
    #[serde(default)]
    #[schemars(length(max = 255))]
    name: String,
    /// What they may do.
    #[serde(default)]
    #[schemars(length(max = 1000))]
    grants: Vec<GrantView>,
    /// Whether they may do anything at all.
    #[serde(default = "yes")]
    enabled: bool,
}

fn yes() -> bool {
    true
}

/// A user as it is shown.
#[derive(Serialize, JsonSchema)]
pub(crate) struct UserView {
    /// The name that is typed.
    id: String,
    /// The version for `If-Match`.
    version: i64,
    /// What they are and may do.
    #[serde(flatten)]
    user: UserInput,
    /// When they were made.
    created_at: String,
}

/// A role and what it may do.
#[derive(Serialize, JsonSchema)]
pub(crate) struct RoleView {
    /// The role.
    role: RoleName,
    /// In words.
    description: &'static str,
}

/// A token as it is written.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TokenInput {
    /// What people call it.
    #[schemars(length(min = 1, max = 255))]
    name: String,
    /// Whose it is. Default: the caller's own.
    #[serde(default)]
    user: Option<String>,
    /// What it may be used for.
    scope: ScopeName,
    /// Until when: a time, or how long it lasts (`90d`). Default: for ever.
    #[serde(default)]
    expires: Option<String>,
}

/// A token as it is shown.
#[derive(Serialize, JsonSchema)]
pub(crate) struct TokenView {
    /// Its id.
    id: String,
    /// What people call it.
    name: String,
    /// Whose it is.
    user: String,
    /// Its first characters.
    prefix: String,
    /// What it may be used for.
    scope: ScopeName,
    /// Until when.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<String>,
    /// When it was made.
    created_at: String,
}

/// A token that was just made.
#[derive(Serialize, JsonSchema)]
pub(crate) struct MadeToken {
    /// The token, shown this once.
    token: String,
    /// What is known about it from now on.
    #[serde(flatten)]
    view: TokenView,
}

/// Who calls.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Me {
    /// The user.
    user: String,
    /// The token's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    /// What may be done with everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<RoleName>,
    /// What may be done with single APIs, where that is more.
    apis: Vec<GrantView>,
}

fn role_name(role: Role) -> RoleName {
    match role {
        Role::Viewer => RoleName::Viewer,
        Role::Editor => RoleName::Editor,
        Role::Deployer => RoleName::Deployer,
        Role::Admin => RoleName::Admin,
    }
}

fn role(name: RoleName) -> Role {
    match name {
        RoleName::Viewer => Role::Viewer,
        RoleName::Editor => Role::Editor,
        RoleName::Deployer => Role::Deployer,
        RoleName::Admin => Role::Admin,
    }
}

fn scope_name(scope: Scope) -> ScopeName {
    match scope {
        Scope::Read => ScopeName::Read,
        Scope::Write => ScopeName::Write,
        Scope::Deploy => ScopeName::Deploy,
        Scope::Admin => ScopeName::Admin,
        Scope::Node => ScopeName::Node,
    }
}

fn scope(name: ScopeName) -> Scope {
    match name {
        ScopeName::Read => Scope::Read,
        ScopeName::Write => Scope::Write,
        ScopeName::Deploy => Scope::Deploy,
        ScopeName::Admin => Scope::Admin,
        ScopeName::Node => Scope::Node,
    }
}

fn user_view(stored: Stored<UserRecord>) -> UserView {
    let record = stored.record;
    let grants = record.grants.into_iter().map(|grant| GrantView { api: grant.api, role: role_name(grant.role) });
    UserView {
        id: record.id,
        version: stored.version,
        user: UserInput { name: record.name, grants: grants.collect(), enabled: record.enabled },
        created_at: time::text(stored.created_ms),
    }
}

fn token_view(stored: Stored<TokenRecord>) -> TokenView {
    let record = stored.record;
    TokenView {
        id: record.id,
        name: record.name,
        user: record.user,
        prefix: record.prefix,
        scope: scope_name(record.scope),
        expires: record.expires_ms.map(time::text),
        created_at: time::text(stored.created_ms),
    }
}

pub(crate) async fn list_users(call: Call) -> Outcome {
    call.need(Role::Admin)?;
    let after = call.query("after").unwrap_or_default();
    let page = call.control.store().list::<UserRecord>("", after, call.limit()?).await?;
    Reply::ok(List { items: page.items.into_iter().map(user_view).collect(), next: page.next })
}

pub(crate) async fn show_user(call: Call) -> Outcome {
    call.need(Role::Admin)?;
    let id = call.param("user");
    let stored = call.control.store().get::<UserRecord>("", id).await?;
    let stored = stored.ok_or_else(|| Problem::missing("user", id))?;
    let version = stored.version;
    Ok(Reply::ok(user_view(stored))?.etag(version))
}

pub(crate) async fn put_user(call: Call) -> Outcome {
    call.need(Role::Admin)?;
    let id = call.param("user").to_owned();
    check_id("user", &id)?;
    let input: UserInput = call.body()?;
    if input.name.len() > 255 || input.grants.len() > 1000 {
        return Err(Problem::field("", "a name has at most 255 bytes, and a user at most 1000 grants"));
    }
    let grants = input.grants.into_iter().map(|grant| Grant { api: grant.api, role: role(grant.role) });
    let record = UserRecord { id: id.clone(), name: input.name, grants: grants.collect(), enabled: input.enabled };
    let mut transaction = call.control.store().begin().await?;
    let before = transaction.get::<UserRecord>("", &id).await?.map(|stored| json!(stored.record));
    let changes = audited(&before.unwrap_or_default(), &json!(record));
    let stored = transaction.put(record, call.expect()?).await?;
    transaction.audit(&Entry::new(&call.access.actor, "user.update", format!("users/{id}")).changes(changes)).await?;
    need_an_admin(&call, &stored.record).await?;
    call.control.commit(transaction).await?;
    let version = stored.version;
    let location = format!("{}/users/{id}", crate::router::API);
    let reply = if version == 1 { Reply::created(user_view(stored), location)? } else { Reply::ok(user_view(stored))? };
    Ok(reply.etag(version))
}

/// Somebody must be left who can mend everything.
async fn need_an_admin(call: &Call, changed: &UserRecord) -> Result<(), Problem> {
    let is_admin = |user: &UserRecord| {
        user.enabled && user.grants.iter().any(|grant| grant.api == EVERY_API && grant.role == Role::Admin)
    };
    let others = call.control.store().all::<UserRecord>().await?;
    let is_left = others.iter().any(|other| other.record.id != changed.id && is_admin(&other.record));
    if is_left || is_admin(changed) {
        return Ok(());
    }
    Err(Problem::conflict("at least one enabled user must be admin for all APIs"))
}

pub(crate) async fn delete_user(call: Call) -> Outcome {
    call.need(Role::Admin)?;
    let id = call.param("user").to_owned();
    let mut transaction = call.control.store().begin().await?;
    let gone = transaction.delete::<UserRecord>("", &id, call.expect()?).await?;
    need_an_admin(&call, &UserRecord { enabled: false, ..gone.record }).await?;
    for token in call.control.store().all::<TokenRecord>().await?.into_iter().filter(|token| token.record.user == id) {
        transaction.delete::<TokenRecord>("", &token.record.id, Expect::Anything).await?;
    }
    transaction.audit(&Entry::new(&call.access.actor, "user.delete", format!("users/{id}"))).await?;
    call.control.commit(transaction).await?;
    Reply::nothing()
}

pub(crate) async fn roles(_call: Call) -> Outcome {
    let items = vec![
        RoleView { role: RoleName::Viewer, description: "reads everything but users and tokens" },
        RoleView { role: RoleName::Editor, description: "also writes drafts" },
        RoleView {
            role: RoleName::Deployer,
            description: "also deploys, rolls back, runs canaries, and gives out API keys",
        },
        RoleView { role: RoleName::Admin, description: "does everything" },
    ];
    Reply::ok(List { items, next: None })
}

pub(crate) async fn list_tokens(call: Call) -> Outcome {
    call.need(Role::Admin)?;
    let after = call.query("after").unwrap_or_default();
    let page = call.control.store().list::<TokenRecord>("", after, call.limit()?).await?;
    Reply::ok(List { items: page.items.into_iter().map(token_view).collect(), next: page.next })
}

pub(crate) async fn create_token(call: Call) -> Outcome {
    let input: TokenInput = call.body()?;
    check_name(&input.name, "/name")?;
    let own = call.access.actor.user.clone();
    let user = input.user.unwrap_or_else(|| own.clone());
    let wanted = scope(input.scope);
    // A token never opens more than the one it was made with.
    let least = match wanted {
        Scope::Read => Role::Viewer,
        Scope::Write => Role::Editor,
        Scope::Deploy => Role::Deployer,
        Scope::Admin | Scope::Node => Role::Admin,
    };
    call.need(if user == own { least } else { Role::Admin })?;
    let known = call.control.store().get::<UserRecord>("", &user).await?;
    if known.is_none() {
        return Err(Problem::field("/user", format!("there is no user `{user}`")));
    }
    let made = make(TOKEN_PREFIX).map_err(|_| {
        Problem::new(http::StatusCode::SERVICE_UNAVAILABLE, "no_randomness", "no token can be made now")
    })?;
    let record = TokenRecord {
        id: made.id,
        name: input.name,
        user,
        prefix: made.prefix,
        hash: made.hash,
        scope: wanted,
        expires_ms: expiry(input.expires.as_deref())?,
    };
    let entry = Entry::new(&call.access.actor, "token.create", format!("tokens/{}", record.id));
    let entry = entry.summary(format!("`{}` for {}, scope {:?}", record.name, record.user, record.scope));
    let mut transaction = call.control.store().begin().await?;
    let stored = transaction.put(record, Expect::Absent).await?;
    transaction.audit(&entry).await?;
    call.control.commit(transaction).await?;
    let location = format!("{}/tokens/{}", crate::router::API, stored.record.id);
    Reply::created(MadeToken { token: made.secret, view: token_view(stored) }, location)
}

pub(crate) async fn delete_token(call: Call) -> Outcome {
    let id = call.param("token").to_owned();
    let is_own = call.access.actor.token.as_deref() == Some(&*id);
    if !is_own {
        call.need(Role::Admin)?;
    }
    let mut transaction = call.control.store().begin().await?;
    transaction.delete::<TokenRecord>("", &id, call.expect()?).await?;
    transaction.audit(&Entry::new(&call.access.actor, "token.delete", format!("tokens/{id}"))).await?;
    call.control.commit(transaction).await?;
    Reply::nothing()
}

pub(crate) async fn me(call: Call) -> Outcome {
    let all = call.access.role(EVERY_API);
    let mut apis = Vec::new();
    if all != Some(Role::Admin) {
        for api in call.control.store().all::<ApiRecord>().await? {
            let id = api.record.id;
            if let Some(role) = call.access.role(&id).filter(|role| Some(*role) > all) {
                apis.push(GrantView { api: id, role: role_name(role) });
            }
        }
    }
    let (user, token) = (call.access.actor.user, call.access.actor.token);
    Reply::ok(Me { user, token, role: all.map(role_name), apis })
}
