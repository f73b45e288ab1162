//! One machine with all scripts of a set loaded, and the calls that stages make.

use std::sync::Arc;

use bytes::Bytes;
use mlua::Table;
use moongate_exchange::{Exchange, Request, Response};

use crate::authorization::{Authorization, BadResult};
use crate::budget::{Limits, Overrun, Usage};
use crate::call::{Failure, Outcome, Subject, error_text};
use crate::error::{ErrorKind, ScriptError};
use crate::host::build::BODY_NOT_JSON;
use crate::json::encode;
use crate::load::{Loaded, Loader};
use crate::machine::{Argument, Ended, Machine, Reference};
use crate::run::{Buffers, Message, Phase, Run, Spent};
use crate::sandbox::Sandbox;
use crate::script::{ConfigId, Kind, ScriptId, ScriptSet};
use crate::services::Services;
use crate::stack::Value;
use crate::wait::WAITING_MAX;
use crate::watchdog;

/// What a run that waits may keep without being counted against those that run, in bytes.
const WAITING_BYTES: usize = 64 * 1024;

/// What a mapping template made of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapped {
    /// The new body.
    pub body: Bytes,
    /// Whether the template returned a table, which was written as JSON.
    pub is_json: bool,
}

/// Which phases a plugin takes part in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Phases {
    /// Deciding about the caller.
    pub authorize: bool,
    /// Making the upstream's body.
    pub map_request: bool,
    /// Before the request goes to the upstream.
    pub request: bool,
    /// Before the response goes to the client.
    pub response: bool,
    /// On every piece of the response's body.
    pub response_chunk: bool,
    /// When the response was sent.
    pub log: bool,
}

impl Phases {
    /// The names of those it takes part in, in the order in which they run.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        let all = [
            ("authorize", self.authorize),
            ("map_request", self.map_request),
            ("request", self.request),
            ("response", self.response),
            ("response_chunk", self.response_chunk),
            ("log", self.log),
        ];
        all.into_iter().filter(|(_, is_there)| *is_there).map(|(name, _)| name)
    }
}

/// A machine with the scripts of a set. Used through [`VmGuard`](crate::VmGuard).
pub struct Vm {
    machine: Machine,
    scripts: Vec<Loaded>,
    /// What plugins are called with: settings, and what `init` made of them.
    configs: Vec<Vec<Argument>>,
    /// The globals `request` and `context`, which authorizers and functions are also given.
    request: Reference,
    context: Reference,
    buffers: Buffers,
    limits: Limits,
    budget: Usage,
    /// Those of the run that began last.
    current: Limits,
    set: Arc<ScriptSet>,
    services: Services,
    /// What the machine holds when all scripts are loaded, in bytes.
    base_bytes: usize,
    /// Memory did not come back: the machine has to be made anew.
    is_worn: bool,
    /// How many runs wait in it.
    waiting: usize,
}

impl Vm {
    /// Makes a machine and loads the scripts, which runs those that are not templates once.
    ///
    /// # Errors
    ///
    /// The first script that fails, passes its budget or does not return what its kind has to.
    pub(crate) fn build(set: &Arc<ScriptSet>, limits: Limits, services: Services) -> Result<Self, ScriptError> {
        let no_machine = |error| ScriptError::machine("", &error);
        let sandbox = Sandbox::new().map_err(no_machine)?;
        let globals = sandbox.lua.globals();
        let noun = |name: &str| globals.get::<Table>(name);
        let (request, context) = (noun("request").map_err(no_machine)?, noun("context").map_err(no_machine)?);
        let machine = Machine::new(sandbox.lua.clone()).map_err(no_machine)?;
        let mut vm = Self {
            scripts: Vec::with_capacity(set.scripts.len()),
            configs: Vec::with_capacity(set.configs.len()),
            request: machine.keep(request).map_err(no_machine)?,
            context: machine.keep(context).map_err(no_machine)?,
            buffers: Buffers::default(),
            limits,
            budget: Usage::budget(&limits),
            current: limits,
            set: Arc::clone(set),
            services,
            base_bytes: 0,
            is_worn: false,
            waiting: 0,
            machine,
        };
        vm.settle().map_err(no_machine)?;
        vm.load_all(&sandbox)?;
        vm.settle().map_err(no_machine)?;
        Ok(vm)
    }

    /// Takes what the machine holds now as its base.
    fn settle(&mut self) -> mlua::Result<()> {
        let lua = self.machine.lua();
        // The second pass frees what the first one found to be unreachable only in the end.
        lua.gc_collect()?;
        lua.gc_collect()?;
        self.base_bytes = lua.used_memory();
        self.restore_memory_limit();
        Ok(())
    }

    fn load_all(&mut self, sandbox: &Sandbox) -> Result<(), ScriptError> {
        let set = Arc::clone(&self.set);
        let mut loader = Loader::new(self, sandbox).map_err(|error| ScriptError::machine("", &error))?;
        for script in &set.scripts {
            let loaded = loader.load(script)?;
            loader.vm.scripts.push(loaded);
        }
        for config in &set.configs {
            let arguments = loader.config(config)?;
            loader.vm.configs.push(arguments);
        }
        Ok(())
    }

    pub(crate) fn machine(&self) -> &Machine {
        &self.machine
    }

    /// Asks an authorizer about a request.
    ///
    /// # Errors
    ///
    /// A script that says `error("Unauthorized")` fails with [`ErrorKind::Raised`] and exactly that message; the other kinds
    /// but [`ErrorKind::Compile`] are possible too.
    pub fn authorize(&mut self, id: ScriptId, exchange: &mut Exchange) -> Result<Authorization, ScriptError> {
        let Some(Loaded::Authorizer(function)) = self.scripts.get(id.index()) else {
            return Err(self.misused(id, Kind::Authorizer));
        };
        let arguments = [Argument::Value(self.request), Argument::Value(self.context)];
        let subject = Subject::new(Phase::Authorize, exchange);
        self.run(id, *function, &arguments, subject, |run, value| {
            Authorization::read(value, &run.ticket).map_err(|BadResult(why)| why)
        })
        .map(|(authorization, _)| authorization)
    }

    /// Maps a request's body. What the template says about overrides is in the exchange afterwards.
    ///
    /// # Errors
    ///
    /// All kinds but [`ErrorKind::Compile`].
    pub fn map_request(&mut self, id: ScriptId, exchange: &mut Exchange, body: &Bytes) -> Result<Mapped, ScriptError> {
        let subject = Subject { body: Some(body), ..Subject::new(Phase::MapRequest, exchange) };
        self.map(id, subject)
    }

    /// Maps a response's body. `response` is the integration's, whose head the template may read.
    ///
    /// # Errors
    ///
    /// All kinds but [`ErrorKind::Compile`].
    pub fn map_response(
        &mut self,
        id: ScriptId,
        exchange: &mut Exchange,
        response: &mut Response,
        body: &Bytes,
    ) -> Result<Mapped, ScriptError> {
        let message = Message::ResponseHead(response);
        let subject = Subject { body: Some(body), message, ..Subject::new(Phase::MapResponse, exchange) };
        self.map(id, subject)
    }

    fn map(&mut self, id: ScriptId, subject: Subject<'_>) -> Result<Mapped, ScriptError> {
        let Some(Loaded::Template(function)) = self.scripts.get(id.index()) else {
            return Err(self.misused(id, Kind::Template));
        };
        let read = |run: &mut Run<'_>, value: Value<'_>| match value {
            Value::Nil => Ok(Mapped { body: Bytes::new(), is_json: false }),
            Value::Text(text) => Ok(Mapped { body: Bytes::copy_from_slice(text), is_json: false }),
            Value::Table(_) => Ok(Mapped { body: write_json(run, value)?, is_json: true }),
            other => Err(format!("a template returns a string, a table or nil, not {}", other.type_name())),
        };
        self.run(id, *function, &[], subject, read).map(|(mapped, _)| mapped)
    }

    /// Calls a function with an event, and returns what it returned as JSON text.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::BodyNotJson`] when `event` is no JSON, and all other kinds but [`ErrorKind::Compile`].
    pub fn call_function(&mut self, id: ScriptId, event: &[u8], exchange: &mut Exchange) -> Result<Bytes, ScriptError> {
        let Some(Loaded::Function(function)) = self.scripts.get(id.index()) else {
            return Err(self.misused(id, Kind::Function));
        };
        let arguments = [Argument::Event, Argument::Value(self.context)];
        let subject = Subject { event, ..Subject::new(Phase::Function, exchange) };
        self.run(id, *function, &arguments, subject, write_json).map(|(text, _)| text)
    }

    /// Runs a plugin's phase `request`, which may change the integration request. The answer is a response when the plugin
    /// answers the client itself, and nothing when the plugin has no such phase.
    ///
    /// # Errors
    ///
    /// All kinds but [`ErrorKind::Compile`]. The request may have been changed before the error.
    pub fn plugin_request(
        &mut self,
        id: ScriptId,
        config: ConfigId,
        exchange: &mut Exchange,
        request: &mut Request,
    ) -> Result<Option<Response>, ScriptError> {
        let Some(Loaded::Plugin(functions)) = self.scripts.get(id.index()) else {
            return Err(self.misused(id, Kind::Plugin));
        };
        let Some(function) = functions.of(Phase::Request) else { return Ok(None) };
        let arguments = self.settings(id, config)?;
        let message = Message::Request(request);
        let subject = Subject { message, config: Some(config), ..Subject::new(Phase::Request, exchange) };
        let ((), exit) = self.run(id, function, &arguments, subject, |_, _| Ok(()))?;
        Ok(exit.map(|response| *response))
    }

    /// Runs a plugin's phase `response`, which may change the response. Does nothing when the plugin has no such phase.
    ///
    /// # Errors
    ///
    /// All kinds but [`ErrorKind::Compile`]. The response may have been changed before the error.
    pub fn plugin_response(
        &mut self,
        id: ScriptId,
        config: ConfigId,
        exchange: &mut Exchange,
        response: &mut Response,
    ) -> Result<(), ScriptError> {
        let Some(Loaded::Plugin(functions)) = self.scripts.get(id.index()) else {
            return Err(self.misused(id, Kind::Plugin));
        };
        let Some(function) = functions.of(Phase::Response) else { return Ok(()) };
        let arguments = self.settings(id, config)?;
        let message = Message::Response(response);
        let subject = Subject { message, config: Some(config), ..Subject::new(Phase::Response, exchange) };
        self.run(id, function, &arguments, subject, |_, _| Ok(())).map(|((), _)| ())
    }

    /// Which phases each script has: none, unless it is a plugin.
    pub(crate) fn all_phases(&self) -> Box<[Phases]> {
        let phases = self.scripts.iter().map(|script| match script {
            Loaded::Plugin(functions) => {
                let has = |phase| functions.of(phase).is_some();
                Phases {
                    authorize: has(Phase::Authorize),
                    map_request: has(Phase::MapRequest),
                    request: has(Phase::Request),
                    response: has(Phase::Response),
                    response_chunk: has(Phase::ResponseChunk),
                    log: has(Phase::Log),
                }
            }
            _ => Phases::default(),
        });
        phases.collect()
    }

    /// What the machine holds in memory now, in bytes, including garbage.
    pub fn used_bytes(&self) -> usize {
        self.machine.lua().used_memory()
    }

    /// What the machine held when all scripts had been loaded, in bytes.
    pub fn base_bytes(&self) -> usize {
        self.base_bytes
    }

    /// Whether the machine has to be made anew, and nobody waits in it who would be lost.
    pub(crate) fn is_worn(&self) -> bool {
        self.is_worn && self.waiting == 0
    }

    /// Makes room for a run that waits, if there is any.
    pub(crate) fn starts_waiting(&mut self) -> bool {
        let has_room = self.waiting < WAITING_MAX;
        if has_room {
            self.waiting += 1;
            self.restore_memory_limit();
        }
        has_room
    }

    /// A run that waited is over.
    pub(crate) fn stops_waiting(&mut self) {
        self.waiting = self.waiting.saturating_sub(1);
        self.restore_memory_limit();
    }

    /// What a run about that subject may use.
    pub(crate) fn limits_of(&self, subject: &Subject<'_>) -> Limits {
        let attached = subject.config.and_then(|config| self.set.configs.get(config.index()));
        attached.and_then(|config| config.limits).unwrap_or(self.limits)
    }

    /// The same, as the watchdog wants it.
    pub(crate) fn budget_of(&self, subject: &Subject<'_>) -> Usage {
        match subject.config {
            None => self.budget,
            Some(_) => Usage::budget(&self.limits_of(subject)),
        }
    }

    /// What the machine may hold before any run: what it held when all scripts were loaded, and what waiting runs keep.
    fn floor_bytes(&self) -> usize {
        self.base_bytes.saturating_add(self.waiting * WAITING_BYTES)
    }

    /// Makes the machine anew. On failure it stays as it is: worn, but working.
    pub(crate) fn renew(&mut self) -> Result<(), ScriptError> {
        *self = Self::build(&self.set, self.limits, self.services.clone())?;
        Ok(())
    }

    /// Marks the machine to be made anew before it is used again.
    pub(crate) fn wear_out(&mut self) {
        self.is_worn = true;
    }

    /// What an attachment's phases are called with.
    pub(crate) fn settings(&self, id: ScriptId, config: ConfigId) -> Result<Vec<Argument>, ScriptError> {
        let arguments = self.configs.get(config.index()).cloned();
        arguments.ok_or_else(|| ScriptError::new(ErrorKind::Internal, self.name(id), "there is no such configuration"))
    }

    /// How many attachments are ready.
    pub(crate) fn configs_loaded(&self) -> usize {
        self.configs.len()
    }

    /// A script in the machine.
    pub(crate) fn loaded(&self, id: ScriptId) -> Option<&Loaded> {
        self.scripts.get(id.index())
    }

    /// What authorizers are called with.
    pub(crate) fn request_and_context(&self) -> Vec<Argument> {
        vec![Argument::Value(self.request), Argument::Value(self.context)]
    }

    pub(crate) fn name(&self, id: ScriptId) -> &str {
        self.set.scripts.get(id.index()).map_or("", |script| &script.name)
    }

    #[cold]
    pub(crate) fn misused(&self, id: ScriptId, wanted: Kind) -> ScriptError {
        let is = self.set.scripts.get(id.index()).map_or("not in this set", |script| script.kind.name());
        let message = format!("the script is {is} and cannot be used as {}", wanted.name());
        ScriptError::new(ErrorKind::Internal, self.name(id), message)
    }

    /// Runs a function of a script, and makes an error of whatever goes wrong.
    pub(crate) fn run<R>(
        &mut self,
        id: ScriptId,
        function: Reference,
        arguments: &[Argument],
        subject: Subject<'_>,
        read: impl FnOnce(&mut Run<'_>, Value<'_>) -> Result<R, String>,
    ) -> Result<(R, Option<Box<Response>>), ScriptError> {
        let outcome = self.execute(function, arguments, subject, read);
        if outcome.overrun.is_none()
            && let Ok(result) = outcome.result
        {
            self.tidy();
            return Ok((result, outcome.exit));
        }
        let set = Arc::clone(&self.set);
        let name = set.scripts.get(id.index()).map_or("", |script| &script.name);
        Err(self.fail(name, outcome))
    }

    /// Runs a function under the budgets.
    pub(crate) fn execute<R>(
        &mut self,
        function: Reference,
        arguments: &[Argument],
        subject: Subject<'_>,
        read: impl FnOnce(&mut Run<'_>, Value<'_>) -> Result<R, String>,
    ) -> Outcome<R> {
        let budget = self.budget_of(&subject);
        let ((result, exit, line), overrun) = self.within(subject, budget, |machine, run| {
            let result = machine.call(function, arguments, run, |run, ended| match ended {
                Ended::Returned(value) => read(run, value).map_err(Failure::BadResult),
                Ended::Raised(error, is_out_of_memory) => Err(Failure::Raised {
                    text: error_text(error),
                    is_out_of_memory,
                    is_body_faulty: run.is_body_faulty,
                }),
            });
            (result, run.exit.take(), run.fault_line)
        });
        Outcome { result, exit, line, overrun }
    }

    /// Makes a run, calls `work` in it under a budget, and says whether it was condemned.
    #[inline]
    pub(crate) fn within<R>(
        &mut self,
        subject: Subject<'_>,
        budget: Usage,
        work: impl FnOnce(&Machine, &mut Run<'_>) -> R,
    ) -> (R, Option<Overrun>) {
        let (list_metatable, list_metatable_ref) = self.machine.list_metatable();
        let attached = subject.config.and_then(|config| self.set.configs.get(config.index()));
        let tenant = attached.map_or(&self.set.tenant, |config| &config.tenant);
        self.current = attached.and_then(|config| config.limits).unwrap_or(self.limits);
        watchdog::with_lane(|lane| {
            let visit = self.machine.enter(lane, budget);
            let mut run = Run {
                phase: subject.phase,
                exchange: subject.exchange,
                message: subject.message,
                body: subject.body,
                event: subject.event,
                chunk: subject.chunk,
                is_last: subject.is_last,
                exit: None,
                fault_line: None,
                is_body_faulty: false,
                buffers: &mut self.buffers,
                services: &self.services,
                tenant,
                thread: std::ptr::null_mut(),
                is_child: false,
                pending: None,
                reply: None,
                children: Vec::new(),
                spent: Spent::default(),
                limits: self.current,
                lua: self.machine.lua(),
                ticket: visit.ticket(),
                list_metatable,
                list_metatable_ref,
            };
            let result = work(&self.machine, &mut run);
            drop(run);
            (result, visit.leave())
        })
    }

    /// The error that an outcome without a result stands for; puts the machine in order again.
    #[cold]
    pub(crate) fn fail<R>(&mut self, name: &str, outcome: Outcome<R>) -> ScriptError {
        let error = match (outcome.overrun, outcome.result) {
            (Some(Overrun::Cpu), _) => {
                let message = format!("the run used up its CPU budget of {} ms", self.current.cpu.as_millis());
                ScriptError::new(ErrorKind::CpuBudget, name, message)
            }
            (Some(Overrun::Wall), _) => {
                let message = format!("the run used up its wall-clock budget of {} ms", self.current.wall.as_millis());
                ScriptError::new(ErrorKind::WallBudget, name, message)
            }
            (None, Err(Failure::BadResult(why))) => ScriptError::new(ErrorKind::BadResult, name, why),
            (None, Err(Failure::Raised { text, is_out_of_memory, is_body_faulty })) => {
                let mut error = ScriptError::raised(name, &text);
                if is_out_of_memory || error.kind == ErrorKind::MemoryBudget {
                    error.kind = ErrorKind::MemoryBudget;
                    error.message = format!("the run used up its memory budget of {} bytes", self.limits.memory_bytes);
                } else if is_body_faulty && error.message.starts_with(BODY_NOT_JSON) {
                    error.kind = ErrorKind::BodyNotJson;
                }
                error
            }
            (None, Ok(_)) => ScriptError::new(ErrorKind::Internal, name, "a result was taken for an error"),
        };
        if let ErrorKind::CpuBudget | ErrorKind::WallBudget | ErrorKind::MemoryBudget = error.kind {
            self.recover();
        } else {
            self.tidy();
        }
        error.at(outcome.line)
    }

    /// Frees memory when a run left much of it, so that the next one has its full budget.
    pub(crate) fn tidy(&mut self) {
        if self.used_bytes() > self.floor_bytes() + self.limits.memory_bytes / 4 {
            self.recover();
        }
        self.buffers.reset();
    }

    #[cold]
    fn recover(&mut self) {
        self.restore_memory_limit();
        let collected = self.machine.lua().gc_collect();
        self.is_worn = collected.is_err() || self.used_bytes() > self.floor_bytes() + self.limits.memory_bytes / 4;
        self.buffers.reset();
    }

    fn restore_memory_limit(&self) {
        let limit = self.floor_bytes().saturating_add(self.limits.memory_bytes);
        // Fails only for machines that were not made here.
        if let Err(error) = self.machine.lua().set_memory_limit(limit) {
            tracing::error!(%error, "a script's memory cannot be limited");
        }
    }
}

pub(crate) fn write_json(run: &mut Run<'_>, value: Value<'_>) -> Result<Bytes, String> {
    let mut text = Vec::with_capacity(256);
    encode::write(value, &mut text, &run.ticket).map_err(|why| format!("the result holds {why}"))?;
    Ok(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::raw;
    use crate::host::{Answered, Call};

    fn vm() -> Vm {
        watchdog::start().expect("there are threads");
        Vm::build(&Arc::new(ScriptSet::new()), Limits::default(), Services::default()).expect("builds")
    }

    fn panics<'call>(_call: Call<'call, '_>) -> Answered<'call> {
        panic!("on purpose")
    }

    #[test]
    fn a_panic_in_a_host_function_is_an_error_of_the_script() {
        let mut vm = vm();
        let function = raw::function(vm.machine.lua(), "panics", panics).expect("is made");
        let function = vm.machine.keep(function).expect("is kept");
        for _ in 0..3 {
            let outcome = vm.execute(function, &[], Subject::load(b"null"), |_, _| Ok(()));
            let Err(Failure::Raised { text, .. }) = outcome.result else { panic!("no error") };
            assert_eq!(String::from_utf8_lossy(&text), "internal error");
        }
        assert!(crate::run::with(|_| ()).is_none(), "the run is over");
    }

    #[test]
    fn host_functions_refuse_to_work_without_a_run() {
        let vm = vm();
        let decode: mlua::Function = vm.machine.lua().load("return json.decode").eval().expect("is there");
        let error = decode.call::<mlua::Value>("1").expect_err("no run");
        assert!(error.to_string().contains("only while a script runs"), "{error}");
    }

    #[test]
    fn a_machine_is_small_and_its_base_is_stable() {
        let vm = vm();
        assert!(vm.base_bytes() < 1 << 20, "{} bytes", vm.base_bytes());
        vm.machine.lua().gc_collect().expect("collects");
        assert!(vm.used_bytes() <= vm.base_bytes() + 4096);
    }
}
