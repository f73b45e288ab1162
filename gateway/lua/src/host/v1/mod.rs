//! Version 1 of the host API: one file per noun.

use mlua::{Lua, Table};

mod context;
mod fields;
mod form;
mod guards;
mod input;
mod json;
mod log;
mod request;
mod response;
mod stage_variables;
mod util;

pub(crate) use guards::guard_libraries;

/// Makes the nouns of the API: the globals that scripts find beside Luau's own.
pub(crate) fn install(lua: &Lua) -> mlua::Result<Vec<(&'static str, Table)>> {
    Ok(vec![
        ("request", request::install(lua)?),
        ("response", response::install(lua)?),
        ("context", context::install(lua)?),
        ("stageVariables", stage_variables::install(lua)?),
        ("input", input::install(lua)?),
        ("util", util::install(lua)?),
        ("json", json::install(lua)?),
        ("log", log::install(lua)?),
    ])
}
