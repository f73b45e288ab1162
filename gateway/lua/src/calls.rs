//! The calls that stages make which may have to wait, and those of plugins.

use bytes::Bytes;
use moongate_exchange::{Exchange, Request, Response};

use crate::authorization::{Authorization, BadResult};
use crate::bank::Bank;
use crate::call::Subject;
use crate::error::{ErrorKind, ScriptError};
use crate::load::Loaded;
use crate::machine::{Argument, Reference};
use crate::operation::Outside;
use crate::run::{Message, Phase, Run};
use crate::script::{ConfigId, Kind, ScriptId};
use crate::stack::Value;
use crate::vm::{Mapped, Vm, write_json};
use crate::wait::Target;

/// What a phase of a plugin gave, and the answer it gave the client itself.
pub type PhaseResult<R> = Result<(R, Option<Box<Response>>), ScriptError>;

/// What a plugin keeps about one response while it streams: in the machine of the worker that it streams on.
#[derive(Debug)]
pub struct Stream {
    slot: usize,
    state: Reference,
}

impl Bank {
    /// Asks an authorizer about a request, as [`Vm::authorize`] does; it may wait.
    ///
    /// # Errors
    ///
    /// As there, and [`ErrorKind::Busy`].
    pub async fn authorize<O: Outside>(
        &self,
        id: ScriptId,
        exchange: &mut Exchange,
        outside: &O,
    ) -> Result<Authorization, ScriptError> {
        if !self.waits(id) {
            return self.vm().authorize(id, exchange);
        }
        let subject = Subject::new(Phase::Authorize, exchange);
        let target = |vm: &Vm| vm.authorizer_target(id);
        Ok(self.drive(id, target, subject, outside, read_authorization).await?.0)
    }

    /// Calls a function with an event, as [`Vm::call_function`] does; it may wait.
    ///
    /// # Errors
    ///
    /// As there, and [`ErrorKind::Busy`].
    pub async fn call_function<O: Outside>(
        &self,
        id: ScriptId,
        event: &[u8],
        exchange: &mut Exchange,
        outside: &O,
    ) -> Result<Bytes, ScriptError> {
        if !self.waits(id) {
            return self.vm().call_function(id, event, exchange);
        }
        let subject = Subject { event, ..Subject::new(Phase::Function, exchange) };
        let target = |vm: &Vm| vm.function_target(id);
        Ok(self.drive(id, target, subject, outside, write_json).await?.0)
    }

    /// Runs a plugin's phase `authorize`. `None` says that it has no opinion about the caller.
    ///
    /// # Errors
    ///
    /// All kinds but [`ErrorKind::Compile`].
    pub async fn plugin_authorize<O: Outside>(
        &self,
        id: ScriptId,
        config: ConfigId,
        exchange: &mut Exchange,
        outside: &O,
    ) -> PhaseResult<Option<Authorization>> {
        let subject = Subject { config: Some(config), ..Subject::new(Phase::Authorize, exchange) };
        let read = |run: &mut Run<'_>, value: Value<'_>| match value {
            Value::Nil => Ok(None),
            value => read_authorization(run, value).map(Some),
        };
        self.plugin(id, config, subject, outside, read).await
    }

    /// Runs a plugin's phase `map_request`, which may make a new body of the one given.
    ///
    /// # Errors
    ///
    /// All kinds but [`ErrorKind::Compile`].
    pub async fn plugin_map_request<O: Outside>(
        &self,
        id: ScriptId,
        config: ConfigId,
        exchange: &mut Exchange,
        body: &Bytes,
        outside: &O,
    ) -> PhaseResult<Option<Mapped>> {
        let subject = Subject { config: Some(config), body: Some(body), ..Subject::new(Phase::MapRequest, exchange) };
        let read = |run: &mut Run<'_>, value: Value<'_>| match value {
            Value::Nil => Ok(None),
            Value::Text(text) => Ok(Some(Mapped { body: Bytes::copy_from_slice(text), is_json: false })),
            Value::Table(_) => Ok(Some(Mapped { body: write_json(run, value)?, is_json: true })),
            other => Err(format!("phase `map_request` returns a string, a table or nil, not {}", other.type_name())),
        };
        self.plugin(id, config, subject, outside, read).await
    }

    /// Runs a plugin's phase `request`, which may change the integration request.
    ///
    /// # Errors
    ///
    /// All kinds but [`ErrorKind::Compile`]. The request may have been changed before the error.
    pub async fn plugin_request<O: Outside>(
        &self,
        id: ScriptId,
        config: ConfigId,
        exchange: &mut Exchange,
        request: &mut Request,
        outside: &O,
    ) -> PhaseResult<()> {
        let message = Message::Request(request);
        let subject = Subject { config: Some(config), message, ..Subject::new(Phase::Request, exchange) };
        self.plugin(id, config, subject, outside, |_, _| Ok(())).await
    }

    /// Runs a plugin's phase `response`, which may change the response.
    ///
    /// # Errors
    ///
    /// All kinds but [`ErrorKind::Compile`]. The response may have been changed before the error.
    pub async fn plugin_response<O: Outside>(
        &self,
        id: ScriptId,
        config: ConfigId,
        exchange: &mut Exchange,
        response: &mut Response,
        outside: &O,
    ) -> Result<(), ScriptError> {
        let message = Message::Response(response);
        let subject = Subject { config: Some(config), message, ..Subject::new(Phase::Response, exchange) };
        self.plugin(id, config, subject, outside, |_, _| Ok(())).await?;
        Ok(())
    }

    /// Runs a plugin's phase `log`, when the response was sent.
    ///
    /// # Errors
    ///
    /// All kinds but [`ErrorKind::Compile`].
    pub fn plugin_log(&self, id: ScriptId, config: ConfigId, exchange: &mut Exchange) -> Result<(), ScriptError> {
        let subject = Subject { config: Some(config), ..Subject::new(Phase::Log, exchange) };
        let mut vm = self.vm();
        let (function, arguments) = vm.plugin_target(id, config, Phase::Log)?;
        vm.run(id, function, &arguments, subject, |_, _| Ok(())).map(|_| ())
    }

    /// Begins a response that streams through a plugin's phase `response_chunk`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::MemoryBudget`] when there is no room for what the plugin keeps about it, [`ErrorKind::Busy`] when too many
    /// wait or stream already.
    pub fn begin_stream(&self, id: ScriptId) -> Result<Stream, ScriptError> {
        let slot = self.own_slot();
        let mut vm = self.slot(slot);
        if !vm.starts_waiting() {
            return Err(ScriptError::new(
                ErrorKind::Busy,
                vm.name(id),
                "too many responses stream through scripts already",
            ));
        }
        match vm.machine().lua().create_table().and_then(|table| vm.machine().keep(table)) {
            Ok(state) => Ok(Stream { slot, state }),
            Err(error) => {
                vm.stops_waiting();
                Err(ScriptError::machine(vm.name(id), &error))
            }
        }
    }

    /// Runs a plugin's phase `response_chunk` on a piece of a body; at the end once more with an empty one. `None` leaves the piece
    /// as it is.
    ///
    /// # Errors
    ///
    /// All kinds but [`ErrorKind::Compile`].
    pub fn plugin_chunk(
        &self,
        id: ScriptId,
        config: ConfigId,
        stream: &Stream,
        chunk: &[u8],
        is_last: bool,
    ) -> Result<Option<Bytes>, ScriptError> {
        let subject =
            Subject { phase: Phase::ResponseChunk, config: Some(config), chunk, is_last, ..Subject::load(b"null") };
        let mut vm = self.slot(stream.slot);
        let (function, mut arguments) = vm.plugin_target(id, config, Phase::ResponseChunk)?;
        arguments.truncate(1);
        arguments.extend([Argument::Chunk, Argument::Value(stream.state), Argument::IsLast]);
        let read = |_: &mut Run<'_>, value: Value<'_>| match value {
            Value::Nil => Ok(None),
            Value::Text(text) => Ok(Some(Bytes::copy_from_slice(text))),
            other => Err(format!("phase `response_chunk` returns a string or nil, not {}", other.type_name())),
        };
        vm.run(id, function, &arguments, subject, read).map(|(chunk, _)| chunk)
    }

    /// Ends a stream, however it ended.
    pub fn end_stream(&self, stream: Stream) {
        let mut vm = self.slot(stream.slot);
        vm.machine().release(stream.state);
        vm.stops_waiting();
    }

    async fn plugin<R, O: Outside>(
        &self,
        id: ScriptId,
        config: ConfigId,
        subject: Subject<'_>,
        outside: &O,
        read: impl Fn(&mut Run<'_>, Value<'_>) -> Result<R, String> + Copy,
    ) -> PhaseResult<R> {
        let phase = subject.phase;
        if !self.waits(id) {
            let mut vm = self.vm();
            let (function, arguments) = vm.plugin_target(id, config, phase)?;
            return vm.run(id, function, &arguments, subject, read);
        }
        self.drive(id, |vm| vm.plugin_target(id, config, phase), subject, outside, read).await
    }
}

fn read_authorization(run: &mut Run<'_>, value: Value<'_>) -> Result<Authorization, String> {
    Authorization::read(value, &run.ticket).map_err(|BadResult(why)| why)
}

impl Vm {
    /// A plugin's function for a phase, and what every phase is called with: the settings, and what `init` made of them.
    pub(crate) fn plugin_target(&self, id: ScriptId, config: ConfigId, phase: Phase) -> Result<Target, ScriptError> {
        let Some(Loaded::Plugin(functions)) = self.loaded(id) else { return Err(self.misused(id, Kind::Plugin)) };
        let Some(function) = functions.of(phase) else {
            let message = format!("the plugin has no phase `{}`", phase.name());
            return Err(ScriptError::new(ErrorKind::Internal, self.name(id), message));
        };
        Ok((function, self.settings(id, config)?))
    }

    fn authorizer_target(&self, id: ScriptId) -> Result<Target, ScriptError> {
        let Some(Loaded::Authorizer(function)) = self.loaded(id) else {
            return Err(self.misused(id, Kind::Authorizer));
        };
        Ok((*function, self.request_and_context()))
    }

    fn function_target(&self, id: ScriptId) -> Result<Target, ScriptError> {
        let Some(Loaded::Function(function)) = self.loaded(id) else { return Err(self.misused(id, Kind::Function)) };
        Ok((*function, vec![Argument::Event, self.request_and_context()[1]]))
    }
}

/// A run that waits is handed to any thread between its legs.
#[expect(dead_code, reason = "asserts something about types")]
fn a_waiting_run_is_send(bank: &Bank, id: ScriptId, exchange: &mut Exchange) {
    fn is_send<T: Send>(_: T) {}
    is_send(bank.authorize(id, exchange, &crate::operation::NoOutside));
}
