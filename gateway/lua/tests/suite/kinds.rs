//! The kinds of scripts: what they have to return, and what callers get of it.

use bytes::Bytes;
use http::StatusCode;
use moongate_exchange::{Body, Response, Scalar};
use moongate_lua::{Authorization, Bank, Decision, ErrorKind, Kind, Limits, Phases, ScriptError, ScriptSet};
use serde_json::{Value, json};

use crate::fixture::{self, bank, exchange, generous, map};

fn authorize(body: &str) -> Result<Authorization, ScriptError> {
    let source = format!("return function(request, context)\n{body}\nend");
    let (bank, id) = bank(Kind::Authorizer, &source, generous())?;
    bank.vm().authorize(id, &mut exchange())
}

#[test]
fn templates_return_text_tables_or_nothing() {
    let cases = [
        ("return 'as is \u{e9}'", "as is \u{e9}", false),
        ("return ''", "", false),
        ("return", "", false),
        ("return nil", "", false),
        ("", "", false),
        ("return {}", "{}", true),
        ("return json.array()", "[]", true),
        ("return {1, {a = 'b'}}", r#"[1,{"a":"b"}]"#, true),
        ("return 'first', 'second'", "first", false),
        ("return input.body .. '!'", "body!", false),
    ];
    for (source, body, is_json) in cases {
        let mapped = map(source, "body").expect(source);
        assert_eq!((&mapped.body[..], mapped.is_json), (body.as_bytes(), is_json), "{source}");
    }
    for source in
        ["return 7", "return true", "return print", "return json.null", "return {print}", "return {a = '\\255'}"]
    {
        assert_eq!(map(source, "").expect_err(source).kind, ErrorKind::BadResult, "{source}");
    }
}

#[test]
fn templates_run_afresh_for_every_request() {
    let source = "local seen = {} seen[#seen + 1] = input.body return table.concat(seen, ',')";
    let (bank, id) = bank(Kind::Template, source, generous()).expect("compiles");
    for body in ["a", "b", "c"] {
        let mapped = bank.vm().map_request(id, &mut exchange(), &Bytes::from_static(body.as_bytes())).expect("maps");
        assert_eq!(mapped.body, body);
    }
}

#[test]
fn authorizers_may_answer_in_three_ways() {
    let allowed = authorize("return true").expect("decides");
    assert_eq!(allowed.decision, Decision::Allow);
    assert_eq!((allowed.principal, allowed.context.len(), allowed.usage_identifier_key), (None, 0, None));
    assert_eq!(authorize("return false").expect("decides").decision, Decision::Deny);

    let simple = "
        local token = request.header('x-token')
        return {isAuthorized = token == 'tok-7', principalId = 'user-7',
            context = {plan = 'gold', level = 2.5, beta = true}, usageIdentifierKey = 'key'}";
    let simple = authorize(simple).expect("decides");
    assert_eq!(simple.decision, Decision::Allow);
    assert_eq!(simple.principal.as_deref(), Some("user-7"));
    assert_eq!(simple.usage_identifier_key.as_deref(), Some("key"));
    assert_eq!(simple.context["plan"], Scalar::Text("gold".into()));
    assert_eq!(simple.context["level"], Scalar::Number(2.5));
    assert_eq!(simple.context["beta"], Scalar::Bool(true));

    let policy = "
        return {principalId = 'u', policyDocument = {Version = '2012-10-17', Statement = {
            {Action = 'execute-api:Invoke', Effect = 'Deny', Resource = {'*'}}}}}";
    let Decision::Policy(policy) = authorize(policy).expect("decides").decision else { panic!("not a policy") };
    let want = json!({"Version": "2012-10-17", "Statement": [
        {"Action": "execute-api:Invoke", "Effect": "Deny", "Resource": ["*"]}]});
    assert_eq!(policy, want);
}

#[test]
fn authorizers_that_answer_otherwise_are_refused() {
    let cases = [
        ("return", "not nil"),
        ("return 1", "not number"),
        ("return 'true'", "not string"),
        ("return {}", "neither `isAuthorized` nor `policyDocument`"),
        ("return {isAuthorized = 'yes'}", "`isAuthorized` must be a boolean, not string"),
        ("return {isAuthorized = 1}", "must be a boolean, not number"),
        ("return {isAuthorized = true, policyDocument = {}}", "has both"),
        ("return {policyDocument = 'x'}", "`policyDocument` must be a table, not string"),
        ("return {policyDocument = {print}}", "`policyDocument` holds a function"),
        ("return {isAuthorized = true, principalId = 7}", "`principalId` must be a string, not number"),
        ("return {isAuthorized = true, context = 'x'}", "`context` must be a table, not string"),
        (
            "return {isAuthorized = true, context = {a = {}}}",
            "`context.a` must be a string, a number or a boolean, not table",
        ),
        ("return {isAuthorized = true, context = {a = json.null}}", "not json.null"),
        ("return {isAuthorized = true, context = {a = 0/0}}", "not number"),
        ("return {isAuthorized = true, context = {'a'}}", "a key of `context` must be a string, not number"),
        ("return {isAuthorized = true, context = {a = '\\255'}}", "not UTF-8"),
        ("return {isAuthorized = true, context = {a = string.rep('x', 9000)}}", "larger than 8192 bytes"),
        ("return {isAuthorized = true, usageIdentifierKey = {}}", "must be a string, not table"),
        ("return setmetatable({}, {__index = {isAuthorized = true}})", "neither"),
    ];
    for (body, want) in cases {
        let error = authorize(body).expect_err(body);
        assert_eq!(error.kind, ErrorKind::BadResult, "{body}: {error}");
        assert!(error.message.contains(want), "{body}: {error}");
    }
}

#[test]
fn the_error_unauthorized_comes_out_as_it_is() {
    let error = authorize("error('Unauthorized')").expect_err("raised");
    assert_eq!((error.kind, error.message.as_str(), error.line), (ErrorKind::Raised, "Unauthorized", Some(2)));
    let bare = authorize("error('Unauthorized', 0)").expect_err("raised");
    assert_eq!((bare.message.as_str(), bare.line), ("Unauthorized", Some(2)));
}

#[test]
fn functions_get_an_event_and_return_any_value() {
    let cases = [
        ("function(event) return event end", r#"{"a":[1,{}],"b":null}"#, r#"{"a":[1,{}],"b":null}"#),
        ("function(event) return event.a[1] + 1 end", r#"{"a":[1]}"#, "2"),
        ("function() end", "{}", "null"),
        ("function() return 'text' end", "{}", "\"text\""),
        ("function(_, context) return context.stage end", "{}", "\"prod\""),
        ("function(event) return event == json.null end", "null", "true"),
        ("function(...) return select('#', ...) end", "1", "2"),
    ];
    for (function, event, want) in cases {
        let (bank, id) = bank(Kind::Function, &format!("return {function}"), generous()).expect(function);
        let result = bank.vm().call_function(id, event.as_bytes(), &mut exchange()).expect(function);
        let value: Value = serde_json::from_slice(&result).expect("JSON");
        assert_eq!(value, serde_json::from_str::<Value>(want).expect("JSON"), "{function}");
    }
    let (bank, id) = bank(Kind::Function, "return function(e) return e end", generous()).expect("compiles");
    for event in ["", "{", "nope", "{} {}"] {
        let error = bank.vm().call_function(id, event.as_bytes(), &mut exchange()).expect_err(event);
        assert_eq!(error.kind, ErrorKind::BodyNotJson, "{event}: {error}");
    }
    assert!(bank.vm().call_function(id, b"1", &mut exchange()).is_ok(), "the machine is fine afterwards");
}

#[test]
fn what_a_script_returns_when_it_is_loaded_is_checked() {
    let cases = [
        (Kind::Authorizer, "return 1", "an authorizer has to return a function"),
        (Kind::Authorizer, "", "an authorizer has to return a function"),
        (Kind::Function, "return {}", "a function has to return a function"),
        (Kind::Plugin, "return function() end", "a plugin has to return a table of functions"),
        (Kind::Plugin, "return {}", "with a function for a phase: `authorize`,"),
        (Kind::Plugin, "return {request = 1}", "a plugin's `request` has to be a function"),
        (Kind::Plugin, "return {logs = print}", "with a function for a phase: `authorize`,"),
    ];
    for (kind, source, want) in cases {
        let error = bank(kind, source, generous()).expect_err(source);
        assert_eq!(error.kind, ErrorKind::BadResult, "{source}: {error}");
        assert!(error.message.contains(want), "{source}: {error}");
    }
}

#[test]
fn scripts_that_fail_while_they_are_loaded_name_the_line() {
    let cases = [
        ("local x = 1\nerror('no')", ErrorKind::Raised, Some(2), "no"),
        ("\n\nreturn nil + 1", ErrorKind::Raised, Some(3), "attempt to perform arithmetic"),
        ("return request.header('x')", ErrorKind::Raised, Some(1), "no request while a script is loaded"),
        ("return context.stage", ErrorKind::Raised, Some(1), "no request while a script is loaded"),
        ("local s = stageVariables.x", ErrorKind::Raised, Some(1), "no request while a script is loaded"),
        ("return input.body", ErrorKind::Raised, Some(1), "no request while a script is loaded"),
        ("context.requestOverride.path.x = 'y'", ErrorKind::Raised, Some(1), "only allowed in phase `map_request`"),
        ("coroutine.yield()", ErrorKind::Raised, Some(1), "attempt to yield"),
    ];
    for (source, kind, line, message) in cases {
        let error = bank(Kind::Authorizer, source, generous()).expect_err(source);
        assert_eq!((error.kind, error.line), (kind, line), "{source}: {error}");
        assert!(error.message.contains(message), "{source}: {error}");
    }
    let limits = Limits { cpu: std::time::Duration::from_millis(20), ..Limits::default() };
    let error = bank(Kind::Authorizer, "\nwhile true do end", limits).expect_err("stopped");
    assert_eq!((error.kind, error.line), (ErrorKind::CpuBudget, Some(2)), "{error}");
}

const PLUGIN: &str = "
    return {
        request = function(config)
            request.set_header('X-Tenant', config.tenant)
            request.add_header('x-added', 1)
            request.add_header('x-added', true)
            request.remove_header('accept')
            if request.header('x-token') == config.blocked then
                return response.exit(403, {error = 'blocked', by = config.tenant}, {['X-Why'] = 'list'})
            end
            log.info(request.header('x-tenant'), request.method(), request.path(), request.raw_query(), request.body())
        end,
        response = function(config)
            response.set_status(response.status() + 1)
            response.set_header('x-tenant', config.tenant)
            response.add_header('x-many', 'a')
            response.add_header('x-many', 'b')
            log.info(response.remove_header('x-backend'), response.remove_header('x-backend'), request.method())
        end,
    }";

fn plugin(source: &str, config: &Value) -> (Bank, moongate_lua::ScriptId, moongate_lua::ConfigId) {
    let mut set = ScriptSet::new();
    let id = set.add(Kind::Plugin, "plugin.lua", source).expect("compiles");
    let config = set.add_config(id, config, moongate_lua::Tenant::default(), None).expect("fits");
    (Bank::build(&set, 1, generous()).expect("builds"), id, config)
}

#[test]
fn plugins_change_the_integration_request_and_see_their_changes() {
    let (bank, id, config) = plugin(PLUGIN, &json!({"tenant": "acme", "blocked": "nobody"}));
    let (mut exchange, mut request) = (exchange(), fixture::integration_request());
    let answer = bank.vm().plugin_request(id, config, &mut exchange, &mut request).expect("runs");
    assert!(answer.is_none());
    assert_eq!(request.headers.text("x-tenant"), Some("acme"));
    let added: Vec<_> = request.headers.get_all("x-added").iter().map(|value| value.as_bytes()).collect();
    assert_eq!(added, [b"1".as_slice(), b"true"]);
    assert!(!request.headers.contains("accept"));
    assert!(!exchange.request.headers.contains("x-tenant"), "the method request stays as it is");
    assert_eq!(exchange.script_log, ["info: acme\tPUT\t/v2/pets\tx=1\tpayload"]);
}

#[test]
fn plugins_can_tell_the_client_s_headers_from_the_integration_s() {
    let source = "return {request = function()
        request.set_header('x-token', 'new')
        request.remove_header('accept')
        log.info(request.header('x-token'), request.client_header('x-token'), request.client_header('user-agent'))
        log.info(tostring(request.header('user-agent')), pcall(request.client_header))
    end}";
    let (bank, id, config) = plugin(source, &json!({}));
    let mut exchange = exchange();
    bank.vm().plugin_request(id, config, &mut exchange, &mut fixture::integration_request()).expect("runs");
    assert_eq!(exchange.script_log[0], "info: new\ttok-7\tcurl/8.0");
    assert!(exchange.script_log[1].starts_with("info: nil\tfalse\t"), "{}", exchange.script_log[1]);
}

#[test]
fn plugins_may_answer_at_once() {
    let (bank, id, config) = plugin(PLUGIN, &json!({"tenant": "acme", "blocked": "tok-7"}));
    let answer =
        bank.vm().plugin_request(id, config, &mut exchange(), &mut fixture::integration_request()).expect("runs");
    let answer = answer.expect("an answer");
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert_eq!(answer.headers.text("x-why"), Some("list"));
    assert_eq!(answer.headers.text("content-type"), Some("application/json"));
    let Body::Full(body) = answer.body else { panic!("no body") };
    let body: Value = serde_json::from_slice(&body).expect("JSON");
    assert_eq!(body, json!({"error": "blocked", "by": "acme"}));
}

#[test]
fn exit_checks_what_it_is_given_and_stands_once_it_was_given() {
    let cases = [
        ("response.exit(204)", Ok((204, ""))),
        ("response.exit(200, 'plain')", Ok((200, "plain"))),
        ("response.exit(500, 'a') response.exit(201, 'b')", Ok((201, "b"))),
        ("pcall(response.exit, 404, 'x')", Ok((404, "x"))),
        ("response.exit()", Err("argument 1 must be a status, not nothing")),
        ("response.exit('200')", Err("must be a status, not string")),
        ("response.exit(99)", Err("whole number from 200 to 599")),
        ("response.exit(101)", Err("whole number from 200 to 599")),
        ("response.exit(600)", Err("whole number from 200 to 599")),
        ("response.exit(200.5)", Err("whole number from 200 to 599")),
        ("response.exit(0/0)", Err("whole number from 200 to 599")),
        ("response.exit(200, 7)", Err("argument 2 must be a string or a table, not number")),
        ("response.exit(200, {print})", Err("the body holds a function")),
        ("response.exit(200, '', 'x')", Err("argument 3 must be a table of headers, not string")),
        ("response.exit(200, '', {a = {}})", Err("the value must be a string, not table")),
        ("response.exit(200, '', {['a b'] = 'x'})", Err("not a header name")),
        ("response.exit(200, '', {a = 'x\\r\\ny: z'})", Err("line break")),
        ("response.exit(200, '', {'x'})", Err("a header has a number for a name")),
        ("response.exit(200, '', {['content-length'] = 3})", Err("written by the gateway itself")),
        ("response.exit(200, 'x') error('after all')", Err("after all")),
    ];
    for (statement, want) in cases {
        let (bank, id, config) = plugin(&format!("return {{request = function() {statement} end}}"), &json!({}));
        let result = bank.vm().plugin_request(id, config, &mut exchange(), &mut fixture::integration_request());
        match (result, want) {
            (Ok(Some(Response { status, body, .. })), Ok((want, text))) => {
                let body = if let Body::Full(bytes) = body { bytes } else { Bytes::new() };
                assert_eq!((status.as_u16(), &body[..]), (want, text.as_bytes()), "{statement}");
            }
            (Err(error), Err(want)) => assert!(error.message.contains(want), "{statement}: {error}"),
            (got, _) => panic!("{statement} gave {got:?}"),
        }
    }
}

#[test]
fn plugins_change_the_response() {
    let (bank, id, config) = plugin(PLUGIN, &json!({"tenant": "acme"}));
    let (mut exchange, mut response) = (exchange(), fixture::response());
    bank.vm().plugin_response(id, config, &mut exchange, &mut response).expect("runs");
    assert_eq!(response.status.as_u16(), 202);
    assert_eq!(response.headers.text("x-tenant"), Some("acme"));
    assert_eq!(response.headers.get_all("x-many").iter().count(), 2);
    assert!(!response.headers.contains("x-backend"));
    assert_eq!(exchange.script_log, ["info: true\tfalse\tPOST"]);
}

#[test]
fn header_writes_are_checked() {
    let cases = [
        ("request.set_header('a b', 'x')", "request.set_header: the name is not a header name"),
        ("request.set_header('', 'x')", "the name is not a header name"),
        ("request.set_header('a', 'x\\r\\nb: c')", "request.set_header: the value of `a` holds a line break"),
        ("request.set_header('a', 'x\\0')", "the value of `a` holds a line break or another control character"),
        ("request.set_header('a')", "request.set_header: the value must be a string, not nothing"),
        ("request.set_header('a', {})", "the value must be a string, not table"),
        ("request.set_header(1, 'x')", "argument 1 must be a string, not number"),
        ("request.set_header('Transfer-Encoding', 'chunked')", "`transfer-encoding` is written by the gateway itself"),
        ("request.add_header('Connection', 'close')", "`connection` is written by the gateway itself"),
        ("request.remove_header('Content-Length')", "`content-length` is written by the gateway itself"),
        ("request.remove_header('a b')", "the name is not a header name"),
        ("request.set_header('a', string.rep('x', 10000))", "longer than 8192 bytes"),
        ("for i = 1, 1000 do request.set_header('h' .. i, 'x') end", "200 fields already"),
        ("for i = 1, 1000 do request.add_header('h', 'x') end", "200 fields already"),
        ("response.set_header('a', 'b')", "only allowed in phase `response`"),
        ("context.responseOverride.header.a = 'b'", "only allowed in phases `map_request` and `map_response`"),
    ];
    for (statement, want) in cases {
        let (bank, id, config) = plugin(&format!("return {{request = function() {statement} end}}"), &json!({}));
        let result = bank.vm().plugin_request(id, config, &mut exchange(), &mut fixture::integration_request());
        let error = result.expect_err(statement);
        assert!(error.message.contains(want), "{statement}: {error}");
    }
}

#[test]
fn plugins_need_not_have_every_phase() {
    let (bank, id, config) = plugin("return {response = function() end}", &json!({}));
    assert_eq!(bank.phases(id), Phases { response: true, ..Phases::default() });
    let answer = bank.vm().plugin_request(id, config, &mut exchange(), &mut fixture::integration_request());
    assert!(answer.expect("nothing to do").is_none());
}

#[test]
fn configurations_are_tables_that_cannot_be_changed() {
    let config = json!({"list": [], "deep": {"a": [1, {"b": null}]}, "text": "x\ny"});
    let source = "return {request = function(config)
        local function fails(f) assert(not pcall(f), 'was changed') end
        fails(function() config.x = 1 end)
        fails(function() config.deep.a[1] = 2 end)
        fails(function() config.deep.a[2].b = 2 end)
        fails(function() table.insert(config.list, 1) end)
        log.info(json.encode(config.list), json.encode(config.deep), config.text)
    end}";
    let (bank, id, config) = plugin(source, &config);
    let mut exchange = exchange();
    bank.vm().plugin_request(id, config, &mut exchange, &mut fixture::integration_request()).expect("runs");
    assert_eq!(exchange.script_log, ["info: []\t{\"a\":[1,{\"b\":null}]}\tx\\ny"]);
}

#[test]
fn globals_belong_to_loading_and_to_one_script() {
    let source = "
        counter = 0
        function bump() counter = counter + 1 end
        return function() return {read = counter, other = theirs, ok = pcall(bump)} end";
    let mut set = ScriptSet::new();
    let first = set.add(Kind::Function, "first.lua", source).expect("compiles");
    let second = "theirs = 'mine' return function() return {theirs, counter} end";
    let second = set.add(Kind::Function, "second.lua", second).expect("compiles");
    let bank = Bank::build(&set, 1, generous()).expect("builds");
    let call = |id| bank.vm().call_function(id, b"{}", &mut exchange()).expect("runs");
    let result: Value = serde_json::from_slice(&call(first)).expect("JSON");
    assert_eq!(result, json!({"read": 0, "ok": false}));
    assert_eq!(call(second), "[\"mine\"]");
}

#[test]
fn globals_set_at_run_time_are_errors_that_help() {
    for (kind, source) in [
        (Kind::Template, "total = 1"),
        (Kind::Template, "function total() end"),
        (Kind::Function, "total = 0 return function() total = total + 1 end"),
        (Kind::Function, "return function() total = 1 end"),
    ] {
        let (bank, id) = bank(kind, source, generous()).expect(source);
        let error = match kind {
            Kind::Template => bank.vm().map_request(id, &mut exchange(), &Bytes::new()).expect_err(source),
            _ => bank.vm().call_function(id, b"{}", &mut exchange()).expect_err(source),
        };
        let want = "global variable `total` cannot be set while a request is handled; write `local total`";
        assert_eq!((error.message.as_str(), error.line), (want, Some(1)), "{source}");
    }
}

#[test]
fn scripts_are_called_as_what_they_are() {
    let (bank, id) = bank(Kind::Template, "return 'x'", generous()).expect("compiles");
    let error = bank.vm().authorize(id, &mut exchange()).expect_err("no authorizer");
    assert_eq!(error.kind, ErrorKind::Internal);
    assert_eq!(error.to_string(), "script.lua: the script is a mapping template and cannot be used as an authorizer");
    assert_eq!(bank.phases(id), Phases::default());
}

#[test]
fn errors_of_every_shape_become_one_line() {
    let cases = [
        ("error('plain')", "plain"),
        ("error('no position', 0)", "no position"),
        ("error('two\\nlines\\0')", "two\\nlines\\u{0}"),
        ("error(42)", "42"),
        ("error()", "an error that is not a string but nil"),
        ("error({message = 'x'})", "an error that is not a string but table"),
        ("error(setmetatable({}, {__tostring = function() return 'never asked' end}))", "not a string but table"),
        ("error(json.null)", "not a string but json.null"),
        ("error(string.rep('x', 1000000))", "xxx"),
        ("local t = nil return t.x", "attempt to index nil with 'x'"),
        ("return #nil", "attempt to get length of a nil value"),
        ("table.sort({3, 'a', 2})", "attempt to compare"),
        ("string.rep()", "missing argument #1 to 'rep'"),
        ("('x'):find()", "missing argument #2"),
    ];
    for (source, want) in cases {
        let error = map(source, "").expect_err(source);
        assert_eq!((error.kind, error.line), (ErrorKind::Raised, Some(1)), "{source}: {error}");
        assert!(error.message.contains(want), "{source}: {error}");
        assert!(error.message.len() < 1100);
    }
}
