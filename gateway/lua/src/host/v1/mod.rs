//! Version 1 of the host API: one file per noun.
//!
//! Scripts find every noun in the table `gate`; those that were there first are globals of their own as well. A new noun is a
//! file with a declaration and a line in [`NOUNS`]; pages, editor types and checks follow from that.

use mlua::{Lua, Table};

use super::{Draft, Noun};

mod base64;
mod cache;
mod context;
mod crypto;
mod fields;
mod form;
mod gate;
mod guards;
mod hex;
mod http;
mod identity;
mod input;
mod ip;
mod json;
mod jsonpath;
mod jwt;
mod log;
mod regex;
mod request;
mod response;
mod stage_variables;
mod store;
mod time;
mod url;
mod util;
mod uuid;
mod vtl;
mod xml;

pub(crate) use crypto::hmac_of;
pub(crate) use fields::write_all;
pub(crate) use guards::guard_libraries;
pub(crate) use vtl::install as install_vtl;

/// Every noun, in the order of the reference.
pub(crate) static NOUNS: [&Noun; 24] = [
    &request::NOUN,
    &response::NOUN,
    &context::NOUN,
    &stage_variables::NOUN,
    &input::NOUN,
    &util::NOUN,
    &json::NOUN,
    &log::NOUN,
    &gate::NOUN,
    &identity::NOUN,
    &xml::NOUN,
    &jsonpath::NOUN,
    &base64::NOUN,
    &hex::NOUN,
    &url::NOUN,
    &crypto::NOUN,
    &jwt::NOUN,
    &time::NOUN,
    &uuid::NOUN,
    &regex::NOUN,
    &ip::NOUN,
    &http::NOUN,
    &store::NOUN,
    &cache::NOUN,
];

/// Makes the nouns of the API: the globals that scripts find beside Luau's own.
pub(crate) fn install(lua: &Lua) -> mlua::Result<Vec<(&'static str, Table)>> {
    let mut globals = Vec::new();
    let mut gate = Draft::of(lua, &gate::NOUN)?;
    for noun in NOUNS.into_iter().filter(|noun| noun.path != gate::NOUN.path) {
        let table = match noun.path {
            "context" => context::install(lua)?,
            "stageVariables" => stage_variables::install(lua)?,
            "input" => input::install(lua)?,
            "json" => json::install(lua)?,
            _ => Draft::of(lua, noun)?.finish(),
        };
        if !noun.path.starts_with("gate.") {
            globals.push((noun.path, table.clone()));
        }
        gate = gate.field(noun.name(), table)?;
    }
    globals.push((gate::NOUN.path, gate.finish()));
    Ok(globals)
}
