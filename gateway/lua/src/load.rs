//! Loading the scripts of a set into a machine.
//!
//! The whole machine is made under the budgets of a run: scripts that are not templates run once here.

use mlua::chunk::ChunkMode;
use mlua::{Function, Table};

use crate::call::Subject;
use crate::error::{ErrorKind, ScriptError};
use crate::machine::{Argument, Reference};
use crate::sandbox::Sandbox;
use crate::script::{Kind, Script};
use crate::vm::Vm;

/// A script in the machine.
pub(crate) enum Loaded {
    Template(Reference),
    Authorizer(Reference),
    Function(Reference),
    Plugin { request: Option<Reference>, response: Option<Reference> },
}

/// Loads scripts into a machine.
pub(crate) struct Loader<'load> {
    pub(crate) vm: &'load mut Vm,
    sandbox: &'load Sandbox,
    /// A function of Lua that calls its first argument and puts the result into the second one, where `mlua` finds it.
    call: Reference,
    result: Table,
    result_reference: Reference,
    refusal: Function,
}

impl<'load> Loader<'load> {
    pub(crate) fn new(vm: &'load mut Vm, sandbox: &'load Sandbox) -> mlua::Result<Self> {
        let lua = &sandbox.lua;
        let call: Function =
            lua.load("return function(f, result) result[1] = f() end").set_name("=[gateway]").eval()?;
        let result = lua.create_table()?;
        Ok(Self {
            call: vm.machine().keep(call)?,
            result_reference: vm.machine().keep(&result)?,
            result,
            refusal: sandbox.refusal()?,
            vm,
            sandbox,
        })
    }

    pub(crate) fn load(&mut self, script: &Script) -> Result<Loaded, ScriptError> {
        let failed = |error| ScriptError::machine(&script.name, &error);
        let environment = self.sandbox.environment().map_err(failed)?;
        let chunk = self.sandbox.lua.load(&script.bytecode[..]).set_name(format!("={}", script.name));
        let chunk = chunk.set_mode(ChunkMode::Binary).set_environment(environment.table.clone());
        let chunk = chunk.into_function().and_then(|chunk| self.vm.machine().keep(chunk)).map_err(failed)?;
        if script.kind == Kind::Template {
            environment.freeze(&self.refusal).map_err(failed)?;
            return Ok(Loaded::Template(chunk));
        }
        let result = self.run(&script.name, chunk, b"null")?;
        environment.freeze(&self.refusal).map_err(failed)?;
        let wrong = |message: &str| ScriptError::new(ErrorKind::BadResult, &script.name, message);
        let keep = |function: Function| self.vm.machine().keep(function).map_err(failed);
        match (script.kind, result) {
            (Kind::Authorizer, mlua::Value::Function(function)) => Ok(Loaded::Authorizer(keep(function)?)),
            (Kind::Function, mlua::Value::Function(function)) => Ok(Loaded::Function(keep(function)?)),
            (Kind::Authorizer, _) => Err(wrong("an authorizer has to return a function")),
            (Kind::Function, _) => Err(wrong("a function has to return a function")),
            (_, mlua::Value::Table(phases)) => {
                let phase = |name: &str| match phases.raw_get(name).map_err(failed)? {
                    mlua::Value::Nil => Ok(None),
                    mlua::Value::Function(function) => keep(function).map(Some),
                    _ => Err(wrong("a plugin's phase has to be a function")),
                };
                let (request, response) = (phase("request")?, phase("response")?);
                if request.is_none() && response.is_none() {
                    return Err(wrong("a plugin has to return a table with a function `request` or `response`"));
                }
                Ok(Loaded::Plugin { request, response })
            }
            (_, _) => Err(wrong("a plugin has to return a table of functions")),
        }
    }

    pub(crate) fn config(&mut self, text: &[u8]) -> Result<Reference, ScriptError> {
        let value = self.run("configuration", self.vm.machine().event(), text)?;
        self.vm.machine().keep(value).map_err(|error| ScriptError::machine("configuration", &error))
    }

    /// Runs a function under the budgets of a run, and returns what it returned.
    fn run(&mut self, name: &str, function: Reference, event: &[u8]) -> Result<mlua::Value, ScriptError> {
        let arguments = [Argument::Value(function), Argument::Value(self.result_reference)];
        let outcome = self.vm.execute(self.call, &arguments, Subject::load(event), |_, _| Ok(()));
        if outcome.result.is_err() || outcome.overrun.is_some() {
            return Err(self.vm.fail(name, outcome));
        }
        self.result.raw_get(1).map_err(|error| ScriptError::machine(name, &error))
    }
}
