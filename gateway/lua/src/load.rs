//! Loading the scripts of a set into a machine.
//!
//! The whole machine is made under the budgets of a run: scripts that are not templates run once here.

use mlua::chunk::ChunkMode;
use mlua::{Function, Table};

use crate::call::Subject;
use crate::error::{ErrorKind, ScriptError};
use crate::machine::{Argument, Reference};
use crate::run::Phase;
use crate::sandbox::{Environment, Sandbox};
use crate::script::{Config, ConfigId, Kind, Script};
use crate::vm::Vm;

/// A script in the machine.
pub(crate) enum Loaded {
    Template(Reference),
    Authorizer(Reference),
    Function(Reference),
    Plugin(PluginFunctions),
}

/// The functions of a plugin.
#[derive(Clone, Copy, Default)]
pub(crate) struct PluginFunctions {
    by_phase: [Option<Reference>; Phase::COUNT],
    /// Makes what phases are called with out of the settings, once per attachment and machine.
    pub(crate) init: Option<Reference>,
}

impl PluginFunctions {
    pub(crate) fn of(&self, phase: Phase) -> Option<Reference> {
        self.by_phase[phase as usize]
    }
}

/// The phases that plugins may have.
pub(crate) const PLUGIN_PHASES: [Phase; 6] =
    [Phase::Authorize, Phase::MapRequest, Phase::Request, Phase::Response, Phase::ResponseChunk, Phase::Log];

/// Code of the gateway's own that loading uses: makes `require` out of a table of chunks, and freezes values.
const SUPPORT: &str = "
local function freeze(value, seen)
    if type(value) ~= 'table' or seen[value] then return value end
    seen[value] = true
    for key, member in next, value do freeze(key, seen) freeze(member, seen) end
    if not table.isfrozen(value) then pcall(table.freeze, value) end
    return value
end
local function make_require(chunks)
    local loaded, loading = {}, {}
    return function(name)
        local value = loaded[name]
        if value ~= nil then return value end
        local chunk = chunks[name]
        if chunk == nil then
            error(`library {tostring(name)} was not loaded: require what there is at the top of a script, by a constant name`, 2)
        end
        if loading[name] then error(`library {name} requires itself`, 2) end
        loading[name] = true
        value = chunk()
        if value == nil then error(`library {name} returns nothing`, 2) end
        loaded[name] = freeze(value, {})
        return value
    end
end
return function(value) return freeze(value, {}) end, make_require
";

/// Loads scripts into a machine.
pub(crate) struct Loader<'load> {
    pub(crate) vm: &'load mut Vm,
    sandbox: &'load Sandbox,
    /// A function of Lua that calls its first argument and puts the result into the second one, where `mlua` finds it.
    call: Reference,
    result: Table,
    result_reference: Reference,
    refusal: Function,
    freeze: Function,
    make_require: Function,
}

impl<'load> Loader<'load> {
    pub(crate) fn new(vm: &'load mut Vm, sandbox: &'load Sandbox) -> mlua::Result<Self> {
        let lua = &sandbox.lua;
        let call: Function =
            lua.load("return function(f, result) result[1] = f() end").set_name("=[gateway]").eval()?;
        let result = lua.create_table()?;
        let (freeze, make_require) = lua.load(SUPPORT).set_name("=[gateway]").eval()?;
        Ok(Self {
            call: vm.machine().keep(call)?,
            result_reference: vm.machine().keep(&result)?,
            result,
            refusal: sandbox.refusal()?,
            freeze,
            make_require,
            vm,
            sandbox,
        })
    }

    pub(crate) fn load(&mut self, script: &Script) -> Result<Loaded, ScriptError> {
        let failed = |error| ScriptError::machine(&script.name, &error);
        let modules = self.sandbox.lua.create_table().map_err(failed)?;
        let require = match script.modules.is_empty() {
            true => None,
            false => Some(self.make_require.call::<Function>(&modules).map_err(failed)?),
        };
        let mut environments = Vec::new();
        for module in script.modules.iter() {
            let environment = self.sandbox.environment(require.as_ref()).map_err(failed)?;
            let chunk = self.chunk(&module.file, &module.bytecode, &environment).map_err(failed)?;
            modules.raw_set(module.name.as_str(), chunk).map_err(failed)?;
            environments.push(environment);
        }
        let environment = self.sandbox.environment(require.as_ref()).map_err(failed)?;
        let chunk = self.chunk(&script.name, &script.bytecode, &environment);
        let chunk = chunk.and_then(|chunk| self.vm.machine().keep(chunk)).map_err(failed)?;
        environments.push(environment);
        if script.kind == Kind::Template {
            self.freeze_all(&environments).map_err(failed)?;
            return Ok(Loaded::Template(chunk));
        }
        let result = self.run(&script.name, chunk, b"null", None)?;
        self.freeze_all(&environments).map_err(failed)?;
        // What was not required by now cannot be any more: a library would be loaded in the middle of a request.
        modules.clear().map_err(failed)?;
        let wrong = |message: &str| ScriptError::new(ErrorKind::BadResult, &script.name, message);
        let keep = |function: Function| self.vm.machine().keep(function).map_err(failed);
        match (script.kind, result) {
            (Kind::Authorizer, mlua::Value::Function(function)) => Ok(Loaded::Authorizer(keep(function)?)),
            (Kind::Function, mlua::Value::Function(function)) => Ok(Loaded::Function(keep(function)?)),
            (Kind::Authorizer, _) => Err(wrong("an authorizer has to return a function")),
            (Kind::Function, _) => Err(wrong("a function has to return a function")),
            (_, mlua::Value::Table(phases)) => {
                let function = |name: &str| match phases.raw_get(name).map_err(failed)? {
                    mlua::Value::Nil => Ok(None),
                    mlua::Value::Function(function) => keep(function).map(Some),
                    _ => Err(wrong(&format!("a plugin's `{name}` has to be a function"))),
                };
                let mut functions = PluginFunctions { init: function("init")?, ..PluginFunctions::default() };
                for phase in PLUGIN_PHASES {
                    functions.by_phase[phase as usize] = function(phase.name())?;
                }
                if functions.by_phase.iter().all(Option::is_none) {
                    let names = PLUGIN_PHASES.map(|phase| format!("`{}`", phase.name())).join(", ");
                    return Err(wrong(&format!("a plugin has to return a table with a function for a phase: {names}")));
                }
                Ok(Loaded::Plugin(functions))
            }
            (_, _) => Err(wrong("a plugin has to return a table of functions")),
        }
    }

    fn freeze_all(&self, environments: &[Environment]) -> mlua::Result<()> {
        environments.iter().try_for_each(|environment| environment.freeze(&self.refusal))
    }

    fn chunk(&self, name: &str, bytecode: &[u8], environment: &Environment) -> mlua::Result<Function> {
        let chunk = self.sandbox.lua.load(bytecode).set_name(format!("={name}"));
        chunk.set_mode(ChunkMode::Binary).set_environment(environment.table.clone()).into_function()
    }

    /// Makes an attachment's settings, and what the plugin's `init` makes of them, read-only.
    pub(crate) fn config(&mut self, config: &Config) -> Result<Vec<Argument>, ScriptError> {
        let name = self.vm.name(config.script).to_owned();
        let failed = |error| ScriptError::machine(&name, &error);
        let event = self.vm.machine().event();
        let id = ConfigId::at(self.vm.configs_loaded());
        let settings = self.run("configuration", event, &config.json, None)?;
        let settings = Argument::Value(self.vm.machine().keep(settings).map_err(failed)?);
        let init = match self.vm.loaded(config.script) {
            Some(Loaded::Plugin(functions)) => functions.init,
            _ => None,
        };
        let Some(init) = init else { return Ok(vec![settings]) };
        // `init` is called with the settings, by a function that needs no argument.
        let call = "return function(init, settings) return function() return init(settings) end end";
        let call: Function = self.sandbox.lua.load(call).set_name("=[gateway]").eval().map_err(failed)?;
        let Argument::Value(settings_reference) = settings else { return Ok(vec![settings]) };
        let machine = self.vm.machine();
        let values = (machine.value(init).map_err(failed)?, machine.value(settings_reference).map_err(failed)?);
        let bound = call.call::<Function>(values).and_then(|bound| machine.keep(bound)).map_err(failed)?;
        let state = self.run(&name, bound, b"null", Some(id))?;
        let state: mlua::Value = self.freeze.call(state).map_err(failed)?;
        let state = Argument::Value(self.vm.machine().keep(state).map_err(failed)?);
        Ok(vec![settings, state])
    }

    /// Runs a function under the budgets of a run, and returns what it returned.
    fn run(
        &mut self,
        name: &str,
        function: Reference,
        event: &[u8],
        config: Option<ConfigId>,
    ) -> Result<mlua::Value, ScriptError> {
        let arguments = [Argument::Value(function), Argument::Value(self.result_reference)];
        let subject = Subject { config, ..Subject::load(event) };
        let outcome = self.vm.execute(self.call, &arguments, subject, |_, _| Ok(()));
        if outcome.result.is_err() || outcome.overrun.is_some() {
            return Err(self.vm.fail(name, outcome));
        }
        self.result.raw_get(1).map_err(|error| ScriptError::machine(name, &error))
    }
}
