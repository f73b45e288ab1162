//! The kinds of records.

use std::collections::BTreeMap;

use moongate_config::usage_plan::UsagePlanConfig;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::object::Record;

/// An API's draft: what is edited, and what the next deployment will be made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ApiRecord {
    /// The API's id.
    pub id: String,
    /// Its document (`ApiConfig`), without stages.
    pub document: Value,
    /// The files the document names, by path.
    #[serde(default)]
    pub files: BTreeMap<String, String>,
    /// Who alone edits it, where that is not this program: `folder` for the project that this process serves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub managed_by: Option<String>,
    /// Who wrote it last.
    pub updated_by: String,
}

impl Record for ApiRecord {
    const KIND: &'static str = "API";

    fn id(&self) -> &str {
        &self.id
    }
}

/// A usage plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UsagePlanRecord {
    /// Its id.
    pub id: String,
    /// What it allows.
    pub plan: UsagePlanConfig,
}

impl Record for UsagePlanRecord {
    const KIND: &'static str = "usage plan";

    fn id(&self) -> &str {
        &self.id
    }
}

/// An API key: everything about it but the key, of which the SHA-256 is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRecord {
    /// Its id.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// The key's first characters, by which people recognise it.
    pub prefix: String,
    /// The key's SHA-256, 64 hexadecimal digits.
    pub hash: String,
    /// Whether it is accepted.
    pub enabled: bool,
    /// Until when, in milliseconds since 1970. `None`: for ever.
    #[serde(default)]
    pub expires_ms: Option<i64>,
    /// The usage plans it belongs to.
    #[serde(default)]
    pub plans: Vec<String>,
    /// Who has it.
    #[serde(default)]
    pub owner: String,
}

impl Record for KeyRecord {
    const KIND: &'static str = "key";

    fn id(&self) -> &str {
        &self.id
    }

    fn lookup(&self) -> Option<&str> {
        Some(&self.hash)
    }
}

/// What somebody may do, in steps: each includes the ones before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Reads.
    Viewer,
    /// Writes drafts.
    Editor,
    /// Deploys, rolls back, runs canaries, and gives out API keys.
    Deployer,
    /// Everything: users, tokens, settings.
    Admin,
}

/// A role for one API, or for all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// The API's id, or `*`.
    pub api: String,
    /// What may be done with it.
    pub role: Role,
}

/// Somebody who may sign in or holds tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserRecord {
    /// The name that is typed.
    pub id: String,
    /// The name that is shown.
    #[serde(default)]
    pub name: String,
    /// What they may do.
    #[serde(default)]
    pub grants: Vec<Grant>,
    /// Whether they may do anything at all.
    pub enabled: bool,
}

impl Record for UserRecord {
    const KIND: &'static str = "user";

    fn id(&self) -> &str {
        &self.id
    }
}

/// What a token may be used for at most, whatever its user may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
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

/// A bearer token: everything about it but the token, of which the SHA-256 is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRecord {
    /// Its id.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// Whose it is.
    pub user: String,
    /// The token's first characters.
    pub prefix: String,
    /// The token's SHA-256, 64 hexadecimal digits.
    pub hash: String,
    /// What it may be used for.
    pub scope: Scope,
    /// Until when, in milliseconds since 1970. `None`: for ever.
    #[serde(default)]
    pub expires_ms: Option<i64>,
}

impl Record for TokenRecord {
    const KIND: &'static str = "token";

    fn id(&self) -> &str {
        &self.id
    }

    fn lookup(&self) -> Option<&str> {
        Some(&self.hash)
    }
}

/// A gateway that follows the feeds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NodeRecord {
    /// Its name.
    pub id: String,
    /// The version of its program.
    pub version: String,
    /// The newest revision it was offered.
    pub revision: u64,
    /// The revision it serves.
    pub serving: u64,
    /// Why it does not serve the newest, if it refused it.
    #[serde(default)]
    pub issues: Vec<Value>,
    /// When it last said something, in milliseconds since 1970.
    pub seen_ms: i64,
}

impl Record for NodeRecord {
    const KIND: &'static str = "node";

    fn id(&self) -> &str {
        &self.id
    }
}

/// A setting of the control plane.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SettingRecord {
    /// Its name.
    pub id: String,
    /// Its value.
    pub value: Value,
}

impl Record for SettingRecord {
    const KIND: &'static str = "setting";

    fn id(&self) -> &str {
        &self.id
    }
}
