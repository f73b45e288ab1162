//! Runs that wait: for services, for stores, for several things at once, and for nothing any more.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::StatusCode;
use moongate_exchange::Headers;
use moongate_lua::{
    Bank, ErrorKind, HttpCall, HttpReply, Kind, Limits, Outside, ScriptError, ScriptId, ScriptSet, Tenant,
};
use serde_json::{Value, json};

use crate::fixture::{exchange, generous};

/// Answers everything at once: 200 and the path.
pub(crate) struct Fake;

impl Outside for Fake {
    async fn fetch(&self, call: HttpCall, _deadline: Instant) -> Result<HttpReply, String> {
        answer(&call)
    }
}

fn answer(call: &HttpCall) -> Result<HttpReply, String> {
    if call.url.path() == "/broken" {
        return Err("no connection to nowhere".to_owned());
    }
    let mut headers = Headers::new();
    headers.append("x-many", "a".parse().expect("a value"));
    headers.append("x-many", "b".parse().expect("a value"));
    headers.set("content-type", "text/plain".parse().expect("a value"));
    let body = format!("{} {} {}", call.method, call.url.path(), String::from_utf8_lossy(&call.body));
    Ok(HttpReply { status: StatusCode::OK, headers, body: body.into() })
}

/// Answers when it is opened, and counts who waits.
#[derive(Default)]
struct Gate {
    is_open: AtomicBool,
    waiting: AtomicUsize,
}

impl Outside for Gate {
    async fn fetch(&self, call: HttpCall, _deadline: Instant) -> Result<HttpReply, String> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        std::future::poll_fn(|_| if self.is_open.load(Ordering::Relaxed) { Poll::Ready(()) } else { Poll::Pending })
            .await;
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        answer(&call)
    }
}

/// Polls a future until it is done; nothing here needs to be woken.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
    }
}

fn function(source: &str, limits: Limits) -> (Bank, ScriptId) {
    let mut set = ScriptSet::of(Tenant::new("waiting"));
    let id =
        set.add(Kind::Function, "script.lua", &format!("return function(event)\n{source}\nend")).expect("compiles");
    (Bank::build(&set, 1, limits).expect("builds"), id)
}

fn run_with(source: &str, limits: Limits, outside: &impl Outside) -> Result<Value, ScriptError> {
    let (bank, id) = function(source, limits);
    let result = block_on(bank.call_function(id, b"{\"n\": 7}", &mut exchange(), outside))?;
    Ok(serde_json::from_slice(&result).expect("functions return JSON"))
}

fn run(source: &str) -> Result<Value, ScriptError> {
    run_with(source, generous(), &Fake)
}

#[test]
fn an_answer_is_what_the_service_said() {
    let cases = [
        ("return gate.http.get('http://a.example/x?y=1').status", json!(200)),
        ("return gate.http.get('http://a.example/x').body", json!("GET /x ")),
        ("return gate.http.get('http://a.example/x').headers['x-many']", json!(["a", "b"])),
        ("return gate.http.get('http://a.example/x').headers['content-type']", json!("text/plain")),
        ("return gate.http.post('https://a.example/x', { n = event.n }).body", json!("POST /x {\"n\":7}")),
        ("return gate.http.request('PUT', 'http://a.example/', { body = 'b' }).body", json!("PUT / b")),
        ("return { gate.http.get('http://a.example/broken') == nil }", json!([true])),
        ("local _, why = gate.http.get('http://a.example/broken') return why", json!("no connection to nowhere")),
        ("return select(2, pcall(function() return gate.http.get('http://a.example/x').status end))", json!(200)),
    ];
    for (source, want) in cases {
        assert_eq!(run(source), Ok(want), "{source}");
    }
}

#[test]
fn requests_that_cannot_be_sent_are_refused() {
    let cases = [
        ("gate.http.get('ftp://a.example/')", "the URL cannot be used"),
        ("gate.http.get('/x')", "the URL cannot be used"),
        ("gate.http.get('http://user:password@a.example/')", "the URL cannot be used"),
        ("gate.http.get('http://a.example/', { timeout = 5 })", "there is no option `timeout`"),
        ("gate.http.get('http://a.example/', { timeout_ms = 0 })", "must be a number from 1 to 60000"),
        ("gate.http.get('http://a.example/', { headers = { ['a b'] = 'c' } })", "not a header name"),
        ("gate.http.get('http://a.example/', { headers = { host = 'b' } })", "`host` is the URL's"),
        ("gate.http.get('http://a.example/', { headers = { a = 'b\\n' } })", "line break"),
        ("gate.http.post('http://a.example/', print)", "the body must be a string or a table, not function"),
        ("gate.http.request('G T', 'http://a.example/')", "the method cannot be sent"),
        ("for i = 1, 17 do gate.http.get('http://a.example/') end", "the run has sent its 16 requests"),
        ("gate.http.post('http://a.example/', string.rep('x', 9 * 1024 * 1024))", "budget of 8388608 bytes"),
        ("coroutine.wrap(function() gate.http.get('http://a.example/') end)()", "cannot wait inside of a coroutine"),
        (
            "table.sort({ 1, 2 }, function() gate.http.get('http://a.example/') end)",
            "cannot wait inside of a coroutine",
        ),
        ("gate.parallel({ 1 })", "a member must be a function, not number"),
        ("gate.parallel({})", "there is no function to call"),
        ("gate.parallel({ function() gate.parallel({ print }) end })", "cannot be called inside of itself"),
        ("gate.parallel({ function() error('one', 0) end, function() return 1 end })", "one"),
        ("local f = {} for i = 1, 17 do f[i] = print end gate.parallel(f)", "more than 16 functions"),
    ];
    for (source, want) in cases {
        let error = run(source).expect_err(source);
        assert_eq!(error.kind, ErrorKind::Raised, "{source}: {error}");
        assert!(error.message.contains(want), "{source}: {error}");
    }
    let error = run("coroutine.yield() -- gate.http").expect_err("yields");
    assert_eq!(error.kind, ErrorKind::BadResult, "{error}");
}

#[test]
fn an_error_behind_a_wait_names_its_line() {
    let error = run("gate.http.get('http://a.example/')\nlocal x = nil\nreturn x.y").expect_err("fails");
    assert_eq!((error.kind, error.line), (ErrorKind::Raised, Some(4)), "{error}");
    let error = run("gate.http.get('http://a.example/')\nerror({})").expect_err("fails");
    assert_eq!((error.kind, error.line), (ErrorKind::Raised, Some(3)), "{error}");
}

#[test]
fn several_things_are_done_at_once_and_come_back_under_their_keys() {
    let source = "
        local both = gate.parallel({
            user = function() return gate.http.get('http://a.example/user').body end,
            plan = function() gate.http.get('http://a.example/x') return gate.http.get('http://a.example/plan').body end,
            none = function() end,
        })
        local more = gate.parallel({ function() return 1 end, function() return gate.store.incr('n', 2, 60) end })
        return { both.user, both.plan, tostring(both.none), more[1], more[2] }";
    let want = json!(["GET /user ", "GET /plan ", "nil", 1, 2]);
    assert_eq!(run(source), Ok(want));
    let gate = Gate::default();
    let (bank, id) = function(source, generous());
    let mut exchange = exchange();
    let mut call = Box::pin(bank.call_function(id, b"{}", &mut exchange, &gate));
    let mut context = Context::from_waker(Waker::noop());
    assert!(call.as_mut().poll(&mut context).is_pending());
    assert_eq!(gate.waiting.load(Ordering::Relaxed), 2, "both are asked before one has answered");
    gate.is_open.store(true, Ordering::Relaxed);
    assert!(block_on(call).is_ok());
}

/// Many runs wait in one machine while others run in it; each keeps its own, and memory comes back.
#[test]
fn runs_that_wait_hold_up_nobody_and_keep_what_is_theirs() {
    let source = "
        local mine = event.n
        local text = string.rep(tostring(mine), 1000)
        local body = gate.http.get('http://a.example/' .. mine).body
        return { mine, body, text == string.rep(tostring(mine), 1000) }";
    let (bank, id) = function(source, generous());
    let before = bank.vm().used_bytes();
    for is_dropped in [false, true] {
        let gate = Gate::default();
        let mut exchanges: Vec<_> = (0..500).map(|_| exchange()).collect();
        let events: Vec<String> = (0..500).map(|n| format!("{{\"n\":{n}}}")).collect();
        type Running<'a> = Pin<Box<dyn Future<Output = Result<Bytes, ScriptError>> + 'a>>;
        let mut calls: Vec<Running<'_>> = Vec::new();
        for (exchange, event) in exchanges.iter_mut().zip(&events) {
            calls.push(Box::pin(bank.call_function(id, event.as_bytes(), exchange, &gate)));
        }
        let mut context = Context::from_waker(Waker::noop());
        for call in &mut calls {
            assert!(call.as_mut().poll(&mut context).is_pending());
        }
        assert_eq!(gate.waiting.load(Ordering::Relaxed), 500);
        // Another request of the same worker goes on, with a reply at once.
        assert!(block_on(bank.call_function(id, b"{\"n\":1000}", &mut exchange(), &Fake)).is_ok());
        if is_dropped {
            drop(calls);
            continue;
        }
        gate.is_open.store(true, Ordering::Relaxed);
        for (n, call) in calls.into_iter().enumerate() {
            let want = json!([n, format!("GET /{n} "), true]).to_string();
            assert_eq!(block_on(call).map(|bytes| bytes.to_vec()), Ok(want.into_bytes()));
        }
    }
    // Collecting is the machine's own business; an allocation of a few megabytes makes it do so.
    for _ in 0..3 {
        let error = bank.vm().call_function(id, b"{\"n\":1}", &mut exchange());
        assert!(error.is_err(), "a script that waits is refused where nobody can");
    }
    let vm = bank.vm();
    assert!(vm.used_bytes() < before + 6 * 1024 * 1024, "{} bytes, {before} before", vm.used_bytes());
}

#[test]
fn processor_time_adds_up_over_waits() {
    let source = "
        for i = 1, 16 do
            local x = 0
            for j = 1, 400000 do x = x + j % 7 end
            gate.http.get('http://a.example/')
        end";
    let limits = Limits { cpu: Duration::from_millis(20), wall: Duration::from_secs(60), ..Limits::default() };
    let error = run_with(source, limits, &Fake).expect_err("takes far more than 20 ms");
    assert_eq!(error.kind, ErrorKind::CpuBudget, "{error}");
    let endless = "gate.http.get('http://a.example/') while true do end";
    assert_eq!(run_with(endless, limits, &Fake).expect_err("never ends").kind, ErrorKind::CpuBudget);
    let catching = "while true do pcall(function() gate.parallel({ function() while true do end end }) end) end";
    assert_eq!(run_with(catching, limits, &Fake).expect_err("never ends").kind, ErrorKind::CpuBudget);
    let memory =
        "gate.http.get('http://a.example/') local t = {} while true do t[#t + 1] = string.rep('x', 1000) .. #t end";
    let limits = Limits { memory_bytes: 1 << 20, ..generous() };
    assert_eq!(run_with(memory, limits, &Fake).expect_err("never ends").kind, ErrorKind::MemoryBudget);
}

/// Notes the deadlines it is given.
#[derive(Default)]
struct Deadlines(Mutex<Vec<Instant>>);

impl Outside for Deadlines {
    async fn fetch(&self, call: HttpCall, deadline: Instant) -> Result<HttpReply, String> {
        self.0.lock().expect("not poisoned").push(deadline);
        answer(&call)
    }
}

#[test]
fn no_wait_goes_beyond_the_run_s_own_deadline() {
    let source = "gate.http.get('http://a.example/', { timeout_ms = 50 }) gate.http.get('http://a.example/', { timeout_ms = 60000 })";
    let limits = Limits { wait: Duration::from_secs(2), ..generous() };
    let outside = Deadlines::default();
    run_with(source, limits, &outside).expect("runs");
    let now = Instant::now();
    let deadlines = outside.0.into_inner().expect("not poisoned");
    assert!(deadlines[0] < now + Duration::from_secs(1) && deadlines[1] < now + Duration::from_secs(3));
}

#[test]
fn phases_of_plugins_wait_and_keep_the_answer_they_gave() {
    let source = "return {
        init = function(config) return { greeting = 'hello ' .. config.name } end,
        authorize = function(config, state)
            local answer = gate.http.get('http://a.example/' .. config.name)
            return { isAuthorized = true, principalId = state.greeting, context = { said = answer.body } }
        end,
        request = function(config, state)
            response.exit(418, state.greeting)
            gate.http.get('http://a.example/')
        end,
        map_request = function() return { body = request.body(), also = gate.http.get('http://a.example/').status } end,
        log = function() log.info('logged', response.status()) end,
        response_chunk = function(config, chunk, stream, is_last)
            stream.seen = (stream.seen or 0) + #chunk
            if is_last then return tostring(stream.seen) end
            return string.upper(chunk)
        end,
    }";
    let mut set = ScriptSet::new();
    let id = set.add(Kind::Plugin, "plugin.lua", source).expect("compiles");
    let config = set.add_config(id, &json!({ "name": "ann" }), Tenant::new("t"), None).expect("fits");
    let bank = Bank::build(&set, 1, generous()).expect("builds");
    let all = ["authorize", "map_request", "request", "response_chunk", "log"];
    assert_eq!(bank.phases(id).names().collect::<Vec<_>>(), all);
    let mut exchange = exchange();
    let (authorization, exit) = block_on(bank.plugin_authorize(id, config, &mut exchange, &Fake)).expect("runs");
    let authorization = authorization.expect("an opinion");
    assert_eq!(authorization.principal.as_deref(), Some("hello ann"));
    assert!(exit.is_none());
    let mut request = crate::fixture::integration_request();
    let (_, exit) = block_on(bank.plugin_request(id, config, &mut exchange, &mut request, &Fake)).expect("runs");
    assert_eq!(exit.expect("an answer").status, StatusCode::IM_A_TEAPOT);
    let body = Bytes::from_static(b"abc");
    let (mapped, _) = block_on(bank.plugin_map_request(id, config, &mut exchange, &body, &Fake)).expect("runs");
    let mapped: Value = serde_json::from_slice(&mapped.expect("a body").body).expect("JSON");
    assert_eq!(mapped, json!({ "body": "abc", "also": 200 }));
    let stream = bank.begin_stream(id).expect("begins");
    let chunk =
        |text: &[u8], is_last| bank.plugin_chunk(id, config, &stream, text, is_last).expect("runs").expect("changed");
    assert_eq!((chunk(b"ab", false), chunk(b"cde", false), chunk(b"", true)), ("AB".into(), "CDE".into(), "5".into()));
    bank.end_stream(stream);
    exchange.outcome.status = Some(StatusCode::ACCEPTED);
    bank.plugin_log(id, config, &mut exchange).expect("runs");
    assert_eq!(exchange.script_log, ["info: logged\t202"]);
}

#[test]
fn libraries_are_required_once_and_frozen() {
    use moongate_lua::Module;
    let module = |name: &str, source: &str| Module {
        name: name.to_owned(),
        file: format!("{}.lua", name.replace('.', "/")),
        source: source.to_owned(),
    };
    let load = |source: &str, modules: &[Module]| {
        let mut set = ScriptSet::new();
        let id = set.add_with(Kind::Function, "script.lua", source, modules)?;
        let bank = Bank::build(&set, 1, generous())?;
        let result = bank.vm().call_function(id, b"null", &mut exchange())?;
        Ok::<Value, ScriptError>(serde_json::from_slice(&result).expect("JSON"))
    };
    let two = [
        module("lib.a", "local b = require 'lib.b'\nreturn { name = 'a' .. b.name, list = { 1 } }"),
        module("lib.b", "return { name = 'b' }"),
    ];
    let source = "local a = require 'lib.a'\nreturn function() return { a.name, a == require 'lib.a' } end";
    assert_eq!(load(source, &two), Ok(json!(["ab", true])));
    let cases = [
        ("local a = require 'lib.a'\nreturn function() a.list[1] = 2 end", "attempt to modify a readonly table"),
        ("return function() return require 'lib.a' end", "was not loaded"),
        ("local a = require 'lib.none'\nreturn function() end", "was not loaded"),
    ];
    for (source, want) in cases {
        let error = load(source, &two).expect_err(source);
        assert!(error.message.contains(want), "{source}: {error}");
    }
    let circle = [module("lib.a", "return require 'lib.b'"), module("lib.b", "return require 'lib.a'")];
    let error = load("local a = require 'lib.a'\nreturn function() end", &circle).expect_err("a circle");
    assert!(error.message.contains("requires itself"), "{error}");
    let error = load("require 'lib.a'", &[module("lib.a", "return (")]).expect_err("does not compile");
    assert_eq!((error.kind, error.script.as_str(), error.line), (ErrorKind::Compile, "lib/a.lua", Some(1)));
}
