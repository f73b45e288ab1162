//! The runner of plugins' specs.
//!
//! A spec is a file `spec/NAME_spec.lua` beside the handler. It returns a list of cases, which are data: settings, what the
//! client sends, what the upstream answers, and what is expected of the request upstream and of the response. The file runs
//! in the same engine as the plugin, under the same budgets, so it may compute its cases.
//!
//! ```lua
//! return {
//!     {
//!         name = "greets the client",                             -- needed, as is `expect`
//!         config = { greeting = "hello" },
//!         caller = { principal = "ann", context = { plan = "gold" }, api_key_id = "k1" },
//!         stage_variables = { colour = "blue" },
//!         request = { method = "GET", path = "/a?b=c", headers = { accept = "*/*" }, body = "" },
//!         client_ip = "192.0.2.10",
//!         integration = { path = "/v2/a" },                       -- the integration request, if not the client's as it came
//!         upstream = { status = 200, headers = { ["set-cookie"] = { "a=1", "b=2" } }, body = { answer = 42 } },
//!         http = { ["GET https://users.example/me"] = { body = { user = "ann" } } },   -- what services answer `gate.http`
//!         secrets = { ["env:KEY"] = "secret" },                   -- what references in the settings stand for
//!         now = 1775736000, seed = 1,                             -- the clock stands still, random bytes repeat
//!         before = { { path = "/a" } },                           -- requests that came before, with the same store and cache
//!         expect = {
//!             request = { method = "GET", path = "/a?b=c", headers = { accept = true }, body = "" },
//!             response = { status = 200, headers = { ["x-greeting"] = "hello", server = false }, exit = false },
//!             caller = { principal = "ann", context = { plan = "gold" } },
//!             calls = { "GET https://users.example/me" },         -- what was asked of services, in this order
//!             log = { "greeted" },
//!         },
//!     },
//! }
//! ```
//!
//! What is not named is not compared. A header is expected with one value or a list of values, `true` for any, `false` for
//! none; a body as a text or as a table, which is compared as JSON. `{request_id}` in an expected text stands for the id
//! of the case's request. `exit = true` expects the plugin to answer without the upstream. Instead of messages a case may
//! expect settings to be refused at exactly some places (`refused = { "/greeting" }`), or a phase to fail
//! (`error = "part of the message"`).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{Method, StatusCode, Version};
use moongate_exchange::{Body, Connection, Exchange, Headers, Request, Response, Target};
use moongate_lua::{Bank, ConfigId, Decision, ErrorKind, Kind, Limits, Phases, ScriptError, ScriptId, ScriptSet};
use serde::Deserialize;
use serde_json::Value;

use crate::description::Phase;
use crate::library::MissingLibrary;
use crate::plugin::Plugin;
use crate::settings::Problem;
use crate::spec::case::{Case, CaseError};
use crate::spec::compare::Comparison;
use crate::spec::world::World;

mod case;
mod compare;
mod world;

#[cfg(test)]
mod tests;

/// Most cases of one spec file.
const CASES_MAX: usize = 1000;

/// What became of a plugin's specs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// How many cases went as expected.
    pub passed: usize,
    /// What did not, in the order of the files.
    pub failed: Vec<Failure>,
}

/// A case that went otherwise, a spec file that could not be run, or a plugin that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The file: a spec, or what is wrong with the plugin itself.
    pub file: String,
    /// The case's name; `None` when it is about the whole file.
    pub case: Option<String>,
    /// What is wrong, one line each.
    pub differences: Vec<String>,
}

/// Runs the specs of the plugin `name`: `files` are the texts of its folder by their paths in it, `handler.lua` and
/// `spec/NAME_spec.lua` among them. Nothing but the plugin is run: no network, no other plugin.
///
/// Everything that goes wrong is in the report. A plugin without a spec file passes nothing and fails nothing.
///
/// Cost: a virtual machine per case, about a millisecond.
pub fn run_specs(files: &BTreeMap<String, String>, name: &str) -> Report {
    let mut report = Report::default();
    let plugin = match Plugin::in_folder("", name, |file| files.get(file).map(String::as_str)) {
        Ok(plugin) => plugin,
        Err(error) => {
            report.fail(&error.file, None, vec![error.to_string()]);
            return report;
        }
    };
    match declared_phases(&plugin) {
        Ok(phases) => {
            if let Some(difference) = undeclared(phases, &plugin.phases) {
                report.fail("plugin.toml", None, vec![difference]);
            }
        }
        Err(error) => {
            report.fail("handler.lua", None, vec![error.to_string()]);
            return report;
        }
    }
    let is_spec = |path: &str| path.starts_with("spec/") && path.ends_with("_spec.lua");
    for (file, source) in files.iter().filter(|(path, _)| is_spec(path)) {
        match declared(file, source) {
            Ok(cases) => cases.iter().for_each(|case| run_case(&plugin, file, case, &mut report)),
            Err(error) => report.fail(file, None, vec![error.to_string()]),
        }
    }
    report
}

/// Why a spec file gives no cases.
#[derive(Debug, thiserror::Error)]
enum FileError {
    #[error(transparent)]
    Script(#[from] ScriptError),
    #[error("a spec has to return a list of cases")]
    NoList,
    #[error("a spec must not have more than {CASES_MAX} cases")]
    TooMany,
}

/// Why a case has no outcome.
#[derive(Debug, thiserror::Error)]
enum PlayError {
    #[error("the case cannot be played: {0}")]
    Case(#[from] CaseError),
    #[error("the plugin failed while it was loaded: {0}")]
    Load(ScriptError),
}

/// The cases a spec file declares, not yet read one by one.
fn declared(file: &str, source: &str) -> Result<Vec<Value>, FileError> {
    let mut set = ScriptSet::new();
    // What a spec returns becomes JSON, which is what templates are for.
    let script = set.add(Kind::Template, file, source)?;
    let bank = Bank::build(&set, 1, Limits::default())?;
    let mapped = bank.vm().map_request(script, &mut blank(), &Bytes::new())?;
    let Ok(Value::Array(cases)) = serde_json::from_slice(&mapped.body) else { return Err(FileError::NoList) };
    if cases.len() > CASES_MAX { Err(FileError::TooMany) } else { Ok(cases) }
}

/// An exchange about nothing, for a script that has none.
fn blank() -> Exchange {
    let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
    let target = Target::from_text("/".to_owned()).expect("a slash is a path");
    let request = Request { method: Method::GET, target, headers: Headers::new(), body: Body::Empty };
    Exchange::new(Arc::new(Connection::new(nowhere, nowhere, false)), Version::HTTP_11, request)
}

/// The phases that a handler returns. Nothing is attached, so `init` does not run.
fn declared_phases(plugin: &Plugin) -> Result<Phases, ScriptError> {
    let mut set = ScriptSet::new();
    let modules = plugin.modules(|_| None).unwrap_or_default();
    let script = set.add_with(Kind::Plugin, "handler.lua", &plugin.handler, &modules)?;
    Ok(Bank::build(&set, 1, Limits::default())?.phases(script))
}

/// What `plugin.toml` says otherwise than the handler about phases, if it says something.
fn undeclared(phases: Phases, declared: &[Phase]) -> Option<String> {
    let there: Vec<&str> = phases.names().collect();
    let said: BTreeSet<&str> = declared.iter().map(|phase| phase.name()).collect();
    if declared.is_empty() || said == there.iter().copied().collect() {
        return None;
    }
    Some(format!("`phases` should say what the handler returns: {}", there.join(", ")))
}

fn run_case(plugin: &Plugin, file: &str, declared: &Value, report: &mut Report) {
    let case = match Case::deserialize(declared) {
        Ok(case) => case,
        Err(error) => {
            let name = declared.get("name").and_then(Value::as_str);
            report.fail(file, name, vec![format!("the case is malformed: {error}")]);
            return;
        }
    };
    let differences = play(plugin, &case).unwrap_or_else(|error| vec![error.to_string()]);
    if differences.is_empty() {
        report.passed += 1;
    } else {
        report.fail(file, Some(&case.name), differences);
    }
}

/// Plays a case and tells what came otherwise than expected.
fn play(plugin: &Plugin, case: &Case) -> Result<Vec<String>, PlayError> {
    let expect = &case.expect;
    let problems = plugin.check_config(&case.config);
    if let Some(places) = &expect.refused {
        return Ok(refusals(places, &problems));
    }
    if !problems.is_empty() {
        let told = |problem: &Problem| format!("the settings do not fit: `{}` {}", problem.pointer, problem.message);
        return Ok(problems.iter().map(told).collect());
    }
    if !expect.is_something() {
        return Ok(vec!["the case expects nothing".to_owned()]);
    }
    let world = World::of(case)?;
    let engine = match (Engine::load(plugin, &plugin.with_defaults(&case.config), &world), &expect.error) {
        (Ok(engine), _) => engine,
        (Err(error), Some(text)) if error.to_string().contains(text) => return Ok(Vec::new()),
        (Err(error), _) => return Err(PlayError::Load(error)),
    };
    for request in &case.before {
        let (mut exchange, request) = case.start(request)?;
        let played = engine.play(&mut exchange, request, case.upstream.response()?, &world);
        if let Err(error) = played {
            return Ok(vec![format!("the plugin failed on a request before: {error}")]);
        }
    }
    let (mut exchange, request) = case.start(&case.request)?;
    let mut comparison = Comparison::new(exchange.id);
    match (engine.play(&mut exchange, request, case.upstream.response()?, &world), &expect.error) {
        (Ok(played), None) => played.compare(case, &mut comparison),
        (Ok(_), Some(text)) => comparison.note(format!("expected an error with {text:?}, but there was none")),
        (Err(error), Some(text)) if error.to_string().contains(text) => {}
        (Err(error), Some(text)) => comparison.note(format!("expected an error with {text:?}, got: {error}")),
        (Err(error), None) => comparison.note(format!("the plugin failed: {error}")),
    }
    if let Some(want) = &expect.caller {
        comparison.caller(want, exchange.caller.as_ref());
    }
    if let Some(want) = &expect.calls {
        comparison.calls(want, &world.calls());
    }
    comparison.log(expect.log.as_deref().unwrap_or_default(), &exchange.script_log);
    Ok(comparison.finish())
}

/// The difference between the places where settings were to be refused and those where they were.
fn refusals(want: &[String], problems: &[Problem]) -> Vec<String> {
    let want: BTreeSet<&str> = want.iter().map(String::as_str).collect();
    let got: BTreeSet<&str> = problems.iter().map(|problem| problem.pointer.as_str()).collect();
    let missing = want.difference(&got).map(|place| format!("expected the settings to be refused at `{place}`"));
    let surplus = problems.iter().filter(|problem| !want.contains(problem.pointer.as_str()));
    let surplus =
        surplus.map(|problem| format!("the settings are refused at `{}` too: {}", problem.pointer, problem.message));
    missing.chain(surplus).collect()
}

/// A virtual machine with a plugin and its settings.
struct Engine {
    bank: Bank,
    script: ScriptId,
    config: ConfigId,
    phases: Phases,
}

/// What a plugin made of an exchange.
struct Played {
    /// What the upstream got; `None` when the plugin answered by itself.
    request: Option<Request>,
    response: Response,
}

impl Engine {
    fn load(plugin: &Plugin, settings: &Value, world: &World) -> Result<Self, ScriptError> {
        let mut set = ScriptSet::new();
        let missing = |error: MissingLibrary| ScriptError {
            kind: ErrorKind::Compile,
            script: "handler.lua".to_owned(),
            line: Some(error.line),
            message: error.to_string(),
        };
        let modules = plugin.modules(|_| None).map_err(missing)?;
        let script = set.add_with(Kind::Plugin, "handler.lua", &plugin.handler, &modules)?;
        let config = set.add_config(script, settings, world.tenant.clone(), None)?;
        let bank = Bank::build_with(&set, 1, Limits::default(), world.services.clone())?;
        let phases = bank.phases(script);
        Ok(Self { bank, script, config, phases })
    }

    /// Runs the phases as the pipeline does: an answer ends the exchange, and passes through the phase `response` too.
    fn play(
        &self,
        exchange: &mut Exchange,
        mut request: Request,
        response: Response,
        world: &World,
    ) -> Result<Played, ScriptError> {
        let answer = self.before_upstream(exchange, &mut request, world)?;
        let is_exit = answer.is_some();
        let mut response = answer.unwrap_or(response);
        if self.phases.response {
            let responded = self.bank.plugin_response(self.script, self.config, exchange, &mut response, world);
            block_on(responded)?;
        }
        if self.phases.response_chunk && !is_exit {
            self.stream(&mut response)?;
        }
        exchange.outcome.status = Some(response.status);
        if self.phases.log {
            self.bank.plugin_log(self.script, self.config, exchange)?;
        }
        Ok(Played { request: (!is_exit).then_some(request), response })
    }

    /// The phases before the upstream is asked, and the answer where there is one by then.
    fn before_upstream(
        &self,
        exchange: &mut Exchange,
        request: &mut Request,
        world: &World,
    ) -> Result<Option<Response>, ScriptError> {
        let (bank, script, config) = (&self.bank, self.script, self.config);
        if self.phases.authorize {
            let (opinion, answer) = block_on(bank.plugin_authorize(script, config, exchange, world))?;
            if answer.is_some() {
                return Ok(answer.map(|answer| *answer));
            }
            if let Some(opinion) = opinion {
                if opinion.decision != Decision::Allow {
                    return Ok(Some(Response::new(StatusCode::FORBIDDEN)));
                }
                let caller = exchange.caller.get_or_insert_default();
                caller.principal = opinion.principal.or(caller.principal.take());
                Arc::make_mut(&mut caller.context).extend(opinion.context);
            }
        }
        if self.phases.map_request {
            let body = exchange.request_body.clone().unwrap_or_default();
            let (mapped, answer) = block_on(bank.plugin_map_request(script, config, exchange, &body, world))?;
            if answer.is_some() {
                return Ok(answer.map(|answer| *answer));
            }
            if let Some(mapped) = mapped {
                request.body = mapped.body.into();
            }
        }
        if self.phases.request {
            let ((), answer) = block_on(bank.plugin_request(script, config, exchange, request, world))?;
            return Ok(answer.map(|answer| *answer));
        }
        Ok(None)
    }

    /// Passes a body through the phase `response_chunk`, in pieces of eight bytes.
    fn stream(&self, response: &mut Response) -> Result<(), ScriptError> {
        let Body::Full(body) = std::mem::take(&mut response.body) else { return Ok(()) };
        let stream = self.bank.begin_stream(self.script)?;
        let mut out = Vec::new();
        let pieces = body.chunks(8).map(|piece| (piece, false)).chain([(&[][..], true)]);
        for (piece, is_last) in pieces {
            match self.bank.plugin_chunk(self.script, self.config, &stream, piece, is_last) {
                Ok(changed) => out.extend_from_slice(changed.as_deref().unwrap_or(piece)),
                Err(error) => {
                    self.bank.end_stream(stream);
                    return Err(error);
                }
            }
        }
        self.bank.end_stream(stream);
        response.body = Bytes::from(out).into();
        Ok(())
    }
}

/// Runs what never waits for anything outside the process.
fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
    }
}

impl Played {
    fn compare(&self, case: &Case, comparison: &mut Comparison) {
        match (&case.expect.request, &self.request) {
            (Some(want), Some(got)) => comparison.request(want, got),
            (Some(_), None) => comparison.note("expected a request to the upstream, but the plugin answered by itself"),
            (None, _) => {}
        }
        if let Some(want) = &case.expect.response {
            comparison.response(want, &self.response, self.request.is_none());
        }
    }
}

impl Report {
    fn fail(&mut self, file: &str, case: Option<&str>, differences: Vec<String>) {
        self.failed.push(Failure { file: file.to_owned(), case: case.map(str::to_owned), differences });
    }
}

/// `12 passed`, or `11 passed, 1 failed` and the failures below.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed", self.passed)?;
        if !self.failed.is_empty() {
            write!(f, ", {} failed", self.failed.len())?;
        }
        self.failed.iter().try_for_each(|failure| write!(f, "\n{failure}"))
    }
}

/// File and case on one line, the differences below.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(case) = &self.case {
            write!(f, ": {case}")?;
        }
        self.differences.iter().try_for_each(|difference| write!(f, "\n    {difference}"))
    }
}
