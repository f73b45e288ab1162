//! What scripts may ask of the gateway.
//!
//! `v1/` has one file per noun of the API: ordinary functions from a [`Call`] to an [`Answer`]. `raw.rs` makes functions of
//! Lua out of them, `build.rs` makes Lua values out of JSON. A function reads its arguments and the run, and says what is to
//! be returned; Lua's side is touched only after it has returned, because that may raise an error that unwinds.

use std::fmt::{self, Write as _};

use mlua::{Lua, Table};

use crate::error::printable;
use crate::operation::Operation;
use crate::run::{Phase, Run};
use crate::stack::{Stack, Value};

pub(crate) mod build;
pub(crate) mod function;
pub(crate) mod options;
pub(crate) mod raw;
pub(crate) mod v1;

pub(crate) use function::{Entry, Function, Noun, PhaseSet, Type};
pub(crate) use v1::{guard_libraries, install, install_vtl};

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
    /// Nil, and why: the text that [`Run::fail`] noted.
    Failed,
    /// The value of a JSON text as the library `vtl` has values.
    Velocity(&'call [u8], JsonOf),
    /// The same of the JSON text that was written into the output buffer.
    OutputVelocity,
    /// Nothing yet: the coroutine is left, see [`Call::wait`].
    Waits,
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

/// Largest whole number that every number up to it can be told from its neighbours, 2^53.
const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;

/// The result of a host function.
pub(crate) type Answered<'call> = Result<Answer<'call>, Refused>;

impl Run<'_> {
    /// Notes why a function refuses to go on.
    pub(crate) fn refuse(&mut self, why: fmt::Arguments<'_>) -> Refused {
        self.buffers.refusal.clear();
        self.buffers.refusal.write_fmt(why).expect("writing to a String does not fail");
        Refused
    }

    /// Notes why a function has no result: it returns nil, and this.
    pub(crate) fn fail<'call>(&mut self, why: fmt::Arguments<'_>) -> Answer<'call> {
        let Refused = self.refuse(why);
        Answer::Failed
    }

    /// Refuses unless the run is in one of these phases.
    pub(crate) fn demand_phase(&mut self, function: &str, phases: &[Phase]) -> Result<(), Refused> {
        if phases.contains(&self.phase) {
            return Ok(());
        }
        Err(self.refuse(format_args!("{function} is only allowed in {}", PhaseSet::of(phases))))
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

    /// Leaves the coroutine until there is a reply.
    pub(crate) fn wait(mut self, function: &str, operation: Operation) -> Answered<'call> {
        self.demand_coroutine(function)?;
        self.run.pending = Some(operation);
        Ok(Answer::Waits)
    }

    /// Refuses where the run cannot wait.
    pub(crate) fn demand_coroutine(&mut self, function: &str) -> Result<(), Refused> {
        if self.arguments.can_yield(self.run.thread) {
            return Ok(());
        }
        let why = if self.run.thread.is_null() {
            "waits, which only authorizers, functions and plugins can that write its name out"
        } else {
            "cannot wait inside of a coroutine or of a function that another one calls back; `gate.parallel` does several things \
             at once"
        };
        Err(self.run.refuse(format_args!("{function} {why}")))
    }

    /// Refuses an argument.
    #[cold]
    pub(crate) fn wrong(&mut self, place: u8, function: &str, wanted: &str, got: Value<'_>) -> Refused {
        let got = got.type_name();
        self.run.refuse(format_args!("{function}: argument {place} must be {wanted}, not {got}"))
    }
}

/// Checks phase and arguments as a function's declaration has them, and calls it.
pub(crate) fn check_and_call<'call>(
    noun: &'static Noun,
    function: &'static Function,
    call: Call<'call, '_>,
) -> Answered<'call> {
    if !function.phases.contains(call.run.phase) {
        let path = noun.path_of(function);
        let why = if call.run.phase == Phase::Load {
            format!("{path}: there is no request while a script is loaded")
        } else {
            format!("{path} is only allowed in {}, and this is phase `{}`", function.phases, call.run.phase.name())
        };
        return Err(call.run.refuse(format_args!("{why}")));
    }
    for (place, parameter) in (1..).zip(function.parameters) {
        let value = call.arguments.get(place);
        let fits = match (parameter.kind, value) {
            (_, Value::Absent | Value::Nil) if parameter.is_optional => true,
            (Type::Any, value) => !matches!(value, Value::Absent),
            (Type::Text, Value::Text(_))
            | (Type::Boolean, Value::Boolean(_))
            | (Type::Table, Value::Table(_))
            | (Type::TextOrTable, Value::Text(_) | Value::Table(_))
            | (Type::Function, Value::Other("function")) => true,
            (Type::Number, Value::Number(number)) => number.is_finite(),
            (Type::Whole, Value::Number(number)) => number.trunc() == number && number.abs() <= WHOLE_MAX,
            _ => false,
        };
        if !fits {
            let (path, wanted) = (noun.path_of(function), parameter.kind.words());
            let got = value.type_name();
            let name = parameter.name;
            return Err(call
                .run
                .refuse(format_args!("{path}: argument {place} (`{name}`) must be {wanted}, not {got}")));
        }
    }
    match function.entry {
        Entry::Checked(body) | Entry::Waiting(body) | Entry::Parallel(body) => body(call),
        Entry::Direct(_) => Err(Refused),
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
pub(crate) struct Draft<'lua> {
    lua: &'lua Lua,
    table: Table,
}

impl<'lua> Draft<'lua> {
    pub(crate) fn new(lua: &'lua Lua) -> mlua::Result<Self> {
        Ok(Self { lua, table: lua.create_table()? })
    }

    /// A table with all functions of a declaration.
    pub(crate) fn of(lua: &'lua Lua, noun: &'static Noun) -> mlua::Result<Self> {
        let draft = Self::new(lua)?;
        for function in noun.functions {
            draft.table.raw_set(function.name, raw::declared(lua, noun, function)?)?;
        }
        Ok(draft)
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
