//! What scripts may ask of the gateway.
//!
//! `v1/` has one file per noun of the API: ordinary functions from a [`Call`] to an [`Answer`]. `raw.rs` makes functions of
//! Lua out of them, `build.rs` makes Lua values out of JSON. A function reads its arguments and the run, and says what is to
//! be returned; Lua's side is touched only after it has returned, because that may raise an error that unwinds.

use std::fmt::{self, Write as _};

use mlua::{Lua, Table};

use crate::error::printable;
use crate::run::{Phase, Run};
use crate::stack::{Stack, Value};

pub(crate) mod build;
pub(crate) mod raw;
mod v1;

pub(crate) use v1::{guard_libraries, install};

/// A call of a host function.
pub(crate) struct Call<'call, 'run> {
    pub(crate) arguments: Stack<'call>,
    pub(crate) run: &'call mut Run<'run>,
}

/// What a host function returns to Lua.
#[derive(Clone, Copy)]
pub(crate) enum Answer<'call> {
    /// No value.
    Nothing,
    Nil,
    Boolean(bool),
    Number(f64),
    Text(&'call [u8]),
    /// The text that was written into the output buffer.
    Output,
    /// The value of a JSON text.
    Json(&'call [u8], JsonOf),
    /// The value of the JSON text that was written into the output buffer.
    OutputJson,
    /// Two numbers.
    Span(f64, f64),
    /// The argument with this number, marked as a list, or a new list when there is none.
    List(u8),
    /// Whatever the function that this one guards returns.
    Guarded,
}

/// Whose text a JSON text is: how errors in it are told.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum JsonOf {
    /// An argument of the function with this name.
    Argument(&'static str),
    /// The body that the run is about, or the event.
    Body,
}

/// The function refused its arguments, or the phase; the buffers say why. Lua sees an error.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refused;

/// The result of a host function.
pub(crate) type Answered<'call> = Result<Answer<'call>, Refused>;

impl Run<'_> {
    /// Notes why a function refuses to go on.
    pub(crate) fn refuse(&mut self, why: fmt::Arguments<'_>) -> Refused {
        self.buffers.refusal.clear();
        self.buffers.refusal.write_fmt(why).expect("writing to a String does not fail");
        Refused
    }

    /// Refuses unless the run is in one of these phases.
    pub(crate) fn demand_phase(&mut self, function: &str, phases: &[Phase]) -> Result<(), Refused> {
        if phases.contains(&self.phase) {
            return Ok(());
        }
        let names: Vec<_> = phases.iter().map(|phase| format!("`{}`", phase.name())).collect();
        let noun = if names.len() == 1 { "phase" } else { "phases" };
        Err(self.refuse(format_args!("{function} is only allowed in {noun} {}", names.join(" and "))))
    }
}

impl<'call> Call<'call, '_> {
    /// An argument that has to be a string.
    pub(crate) fn text(&mut self, place: u8, function: &str) -> Result<&'call [u8], Refused> {
        match self.arguments.get(place.into()) {
            Value::Text(text) => Ok(text),
            other => Err(self.wrong(place, function, "a string", other)),
        }
    }

    /// Refuses an argument.
    #[cold]
    pub(crate) fn wrong(&mut self, place: u8, function: &str, wanted: &str, got: Value<'_>) -> Refused {
        let got = got.type_name();
        self.run.refuse(format_args!("{function}: argument {place} must be {wanted}, not {got}"))
    }
}

/// Refuses an assignment to a global variable.
pub(crate) fn refuse_global<'call>(call: Call<'call, '_>) -> Answered<'call> {
    let name = match call.arguments.get(2) {
        Value::Text(name) => printable(name, 64),
        _ => String::new(),
    };
    Err(call.run.refuse(format_args!(
        "global variable `{name}` cannot be set while a request is handled; write `local {name}`"
    )))
}

/// A noun of the API while it is made: a table of functions.
pub(crate) struct Noun<'lua> {
    lua: &'lua Lua,
    table: Table,
}

impl<'lua> Noun<'lua> {
    pub(crate) fn new(lua: &'lua Lua) -> mlua::Result<Self> {
        Ok(Self { lua, table: lua.create_table()? })
    }

    /// Adds a function. `name` is its field in the table; `path` is what Luau's own messages call it.
    pub(crate) fn function<F>(self, name: &str, function: F) -> mlua::Result<Self>
    where
        F: for<'call, 'run> Fn(Call<'call, 'run>) -> Answered<'call> + Copy + 'static,
    {
        self.table.raw_set(name, raw::function(self.lua, name, function)?)?;
        Ok(self)
    }

    /// Adds any other field.
    pub(crate) fn field(self, name: &str, value: impl mlua::IntoLua) -> mlua::Result<Self> {
        self.table.raw_set(name, value)?;
        Ok(self)
    }

    /// Lets a function answer for fields that the table does not have.
    pub(crate) fn lookup<F>(self, lookup: F) -> mlua::Result<Self>
    where
        F: for<'call, 'run> Fn(Call<'call, 'run>) -> Answered<'call> + Copy + 'static,
    {
        self.metamethod("__index", lookup)
    }

    /// Lets a function take what is assigned to fields.
    pub(crate) fn assignment<F>(self, assign: F) -> mlua::Result<Self>
    where
        F: for<'call, 'run> Fn(Call<'call, 'run>) -> Answered<'call> + Copy + 'static,
    {
        self.metamethod("__newindex", assign)
    }

    fn metamethod<F>(self, name: &str, function: F) -> mlua::Result<Self>
    where
        F: for<'call, 'run> Fn(Call<'call, 'run>) -> Answered<'call> + Copy + 'static,
    {
        let metatable = match self.table.metatable() {
            Some(metatable) => metatable,
            None => self.lua.create_table()?,
        };
        metatable.raw_set(name, raw::function(self.lua, name, function)?)?;
        metatable.raw_set("__metatable", "locked")?;
        self.table.set_metatable(Some(metatable))?;
        Ok(self)
    }

    /// The table, which from now on cannot be changed.
    pub(crate) fn finish(self) -> Table {
        if let Some(metatable) = self.table.metatable() {
            metatable.set_readonly(true);
        }
        self.table.set_readonly(true);
        self.table
    }
}
