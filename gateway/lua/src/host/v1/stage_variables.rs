//! `stageVariables`: the variables of the stage the request came to.

use super::request;
use crate::host::{Answer, Answered, Call, Draft, Noun};
use crate::stack::Value;

/// The declaration.
pub(crate) static NOUN: Noun = Noun {
    path: "stageVariables",
    about: "The variables of the stage the request came to: texts, or nil.",
    functions: &[],
    fields: &[],
    is_open: true,
};

pub(super) fn install(lua: &mlua::Lua) -> mlua::Result<mlua::Table> {
    Ok(Draft::new(lua)?.lookup(variable)?.finish())
}

/// `stageVariables.NAME`: a string, or nil.
fn variable<'call>(call: Call<'call, '_>) -> Answered<'call> {
    let name = call.arguments.get(2);
    let exchange = &*request::exchange(call.run, "stageVariables")?;
    let (Value::Text(name), Some(matched)) = (name, &exchange.matched) else { return Ok(Answer::Nil) };
    let value = std::str::from_utf8(name).ok().and_then(|name| matched.stage.variables.get(name));
    Ok(value.map_or(Answer::Nil, |value| Answer::Text(value.as_bytes())))
}
