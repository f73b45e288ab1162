//! The nouns of the host API, function by function: good arguments and bad ones.

use moongate_lua::{ErrorKind, Kind};
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any};
use proptest::test_runner::{Config, TestRunner};
use proptest::{prop_assert_eq, prop_oneof};
use serde_json::{Value, json};

use crate::fixture::{self, evaluate, exchange, generous, map, text};

/// Expressions and what they are.
fn expect_values(cases: &[(&str, Value)]) {
    for (expression, want) in cases {
        let got = evaluate(expression);
        assert_eq!(got.as_ref().ok(), Some(want), "{expression} gave {got:?}");
    }
}

/// Expressions and the error they raise.
fn expect_refusals(cases: &[(&str, &str)]) {
    for (expression, want) in cases {
        let error = evaluate(expression).expect_err(expression);
        assert_eq!(error.kind, ErrorKind::Raised, "{expression}: {error}");
        assert!(error.message.contains(want), "{expression}: {error}");
        assert_eq!(error.line, Some(1), "{expression}: {error}");
    }
}

#[test]
fn request_reads_the_method_request() {
    expect_values(&[
        ("request.method()", json!("POST")),
        ("request.path()", json!("/prod/pets/caf%C3%A9")),
        ("request.header('X-Token')", json!("tok-7")),
        ("request.header('x-many')", json!("first")),
        ("request.header('x-none')", json!(null)),
        ("request.header('not a name')", json!(null)),
        ("request.header('')", json!(null)),
        ("request.header(string.rep('x', 100000))", json!(null)),
        ("request.raw_query()", json!("q=1&q=two+words&flag&x%20y=z&x-token=query")),
        ("request.query('q')", json!("1")),
        ("request.query('x y')", json!("z")),
        ("request.query('flag')", json!("")),
        ("request.query('none')", json!(null)),
        ("request.path_parameter('id')", json!("caf%C3%A9")),
        ("request.path_parameter('none')", json!(null)),
        ("request.client_ip()", json!("192.0.2.7")),
        ("request.body()", json!("")),
    ]);
}

#[test]
fn request_refuses_wrong_arguments_and_phases() {
    expect_refusals(&[
        ("request.header()", "request.header: argument 1 must be a string, not nothing"),
        ("request.header(7)", "must be a string, not number"),
        ("request.header({})", "must be a string, not table"),
        ("request.query(nil)", "must be a string, not nil"),
        ("request.path_parameter(true)", "must be a string, not boolean"),
        ("request.set_header('a', 'b')", "request.set_header is only allowed in phase `request`"),
        ("request.add_header('a', 'b')", "request.add_header is only allowed in phase `request`"),
        ("request.remove_header('a')", "request.remove_header is only allowed in phase `request`"),
        ("response.status()", "response.status is only allowed in phases `map_response` and `response`"),
        ("response.set_status(200)", "response.set_status is only allowed in phase `response`"),
        ("response.exit(200)", "response.exit is only allowed in phases `authorize`, `map_request` and `request`"),
    ]);
}

#[test]
fn the_body_is_there_when_it_is_in_memory() {
    let mut exchange = exchange();
    exchange.request_body = Some("raw \u{e9}".into());
    assert_eq!(fixture::evaluate_on(&mut exchange, "request.body()"), Ok(json!("raw \u{e9}")));
    assert_eq!(text("return request.body()", "the body").as_deref(), Ok("the body"));
}

#[test]
fn context_knows_what_api_gateway_knows() {
    let exchange_id = exchange();
    let id = exchange_id.id.to_string();
    let mut exchange = exchange_id;
    assert_eq!(fixture::evaluate_on(&mut exchange, "context.requestId"), Ok(json!(id)));
    expect_values(&[
        ("#context.extendedRequestId", json!(36)),
        ("context.apiId", json!("a1b2c3")),
        ("context.stage", json!("prod")),
        ("context.httpMethod", json!("POST")),
        ("context.path", json!("/prod/pets/caf%C3%A9")),
        ("context.resourcePath", json!("/pets/{id}")),
        ("context.routeKey", json!("POST /pets/{id}")),
        ("context.protocol", json!("HTTP/1.1")),
        ("context.deploymentId", json!("d1")),
        ("context.domainName", json!("shop.example.com")),
        ("context.domainPrefix", json!("shop")),
        ("context.requestTimeEpoch", json!(1_795_374_131_250_u64)),
        ("context.requestTime", json!("22/Nov/2026:19:02:11 +0000")),
        ("context.identity.sourceIp", json!("192.0.2.7")),
        ("context.identity.userAgent", json!("curl/8.0")),
        ("context.identity.apiKeyId", json!("key-9")),
        ("context.authorizer.principalId", json!("user-1")),
        ("context.authorizer.plan", json!("gold")),
        ("context.authorizer.level", json!(3)),
        ("context.authorizer.beta", json!(true)),
        ("context.authorizer.none", json!(null)),
        ("context.none", json!(null)),
        ("context[7]", json!(null)),
        ("context.identity.none", json!(null)),
        ("ctx == context", json!(true)),
        ("stageVariables.backend", json!("b.internal")),
        ("stageVariables['empty']", json!("")),
        ("stageVariables.none", json!(null)),
        ("stageVariables[{}]", json!(null)),
    ]);
}

#[test]
fn context_is_empty_where_nothing_is_known_yet() {
    let mut exchange = exchange();
    exchange.matched = None;
    exchange.caller = None;
    for name in ["apiId", "stage", "resourcePath", "identity.apiKeyId", "authorizer.principalId", "authorizer.plan"] {
        let got = fixture::evaluate_on(&mut exchange, &format!("context.{name}"));
        assert_eq!(got, Ok(Value::Null), "{name}");
    }
    assert_eq!(fixture::evaluate_on(&mut exchange, "stageVariables.backend"), Ok(Value::Null));
    assert_eq!(fixture::evaluate_on(&mut exchange, "request.path_parameter('id')"), Ok(Value::Null));
}

#[test]
fn host_tables_cannot_be_changed() {
    let targets =
        ["request", "response", "context", "context.identity", "stageVariables", "input", "util", "json", "log"];
    for target in targets {
        for statement in [
            format!("{target}.header = 1"),
            format!("rawset({target}, 'x', 1)"),
            format!("setmetatable({target}, {{}})"),
            format!("table.insert({target}, 1)"),
            format!("table.clear({target})"),
        ] {
            let error = text(&statement, "").expect_err(&statement);
            assert_eq!(error.kind, ErrorKind::Raised, "{statement}: {error}");
        }
        let locked = text(&format!("return tostring(getmetatable({target}))"), "").expect("runs");
        assert!(locked == "locked" || locked == "nil", "{target}: {locked}");
    }
}

#[test]
fn overrides_are_written_to_the_exchange() {
    let source = "
        context.requestOverride.header['X-Tenant'] = 'acme'
        context.requestOverride.header.Gone = 'x'
        context.requestOverride.header.Gone = nil
        context.requestOverride.path.id = 7
        context.requestOverride.querystring.q = true
        context.responseOverride.header['Cache-Control'] = 'no-store'
        context.responseOverride.status = 418
        context.responseOverride.status = 9000
        context.responseOverride.status = 'teapot'
        local o = context.requestOverride
        return o.header['X-Tenant'] .. o.path.id .. o.querystring.q .. context.responseOverride.status ..
            tostring(o.header.none) .. context.responseOverride.header['Cache-Control']";
    let mut exchange = exchange();
    let mapped = fixture::map_on(&mut exchange, source, "").expect("maps");
    assert_eq!(mapped.body, "acme7true418nilno-store");
    let overrides = exchange.overrides.expect("written");
    let pairs = |map: &indexmap::IndexMap<Box<str>, Box<str>>| {
        map.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>()
    };
    assert_eq!(pairs(&overrides.request_headers), ["X-Tenant=acme"]);
    assert_eq!(pairs(&overrides.request_path), ["id=7"]);
    assert_eq!(pairs(&overrides.request_query), ["q=true"]);
    assert_eq!(pairs(&overrides.response_headers), ["Cache-Control=no-store"]);
    assert_eq!(overrides.response_status.map(|status| status.as_u16()), Some(418));
}

#[test]
fn overrides_are_checked() {
    let cases = [
        ("context.requestOverride.header['a b'] = 'x'", "not a header name"),
        ("context.requestOverride.header['Content-Length'] = 5", "written by the gateway itself"),
        ("context.requestOverride.header.X = 'a\\r\\nB: c'", "line break"),
        ("context.requestOverride.path.id = 'a\\nb'", "line break"),
        ("context.requestOverride.querystring.q = {}", "the value must be a string, not table"),
        ("context.requestOverride.querystring.q = '\\255'", "not UTF-8"),
        ("context.requestOverride.querystring[1] = 'a'", "a name must be a string, not number"),
        ("context.requestOverride.querystring[''] = 'a'", "the name is empty"),
        ("context.requestOverride.path.id = string.rep('x', 10000)", "too long"),
        ("for i = 1, 200 do context.requestOverride.path['p' .. i] = 'x' end", "100 entries already"),
        ("context.responseOverride.body = 'x'", "has the fields `header` and `status` only"),
        ("context.requestOverride = {}", "readonly"),
        ("context.requestOverride.body = 'x'", "readonly"),
    ];
    for (statement, want) in cases {
        let error = text(statement, "").expect_err(statement);
        assert!(error.message.contains(want), "{statement}: {error}");
    }
    let error =
        evaluate("pcall(function() context.requestOverride.path.x = 'y' end)").map(|value| value == json!(false));
    assert_eq!(error, Ok(true), "functions may not write overrides");
}

const BODY: &str =
    r#"{"id": 7, "name": "A\u0042", "tags": ["x", "y"], "none": null, "deep": {"a": [{"b": 1.5}]}, "e": []}"#;

#[test]
fn input_reads_the_body() {
    let cases = [
        ("input.body", BODY),
        ("input.json('$.id')", "7"),
        ("input.json('$.name')", r#""A\u0042""#),
        ("input.json('$.deep')", r#"{"a":[{"b":1.5}]}"#),
        ("input.json('$.tags[*]')", r#"["x","y"]"#),
        ("input.json('$..b')", "[1.5]"),
        ("input.json('$.missing')", r#""""#),
        ("input.json('$.none')", "null"),
        ("input.path('$.name')", "AB"),
        ("input.path('$.deep.a[0].b') + 1", "2.5"),
        ("#input.path('$.tags')", "2"),
        ("#input.path('$..b')", "1"),
        ("tostring(input.path('$.none'))", "nil"),
        ("tostring(input.path('$.missing'))", "nil"),
        ("json.encode(input.path('$.e'))", "[]"),
        ("input.path('$').tags[2]", "y"),
        ("input.path().id", "7"),
        ("tostring(input.none)", "nil"),
    ];
    for (expression, want) in cases {
        let got = text(&format!("return util.text({expression})"), BODY);
        assert_eq!(got.as_deref(), Ok(want), "{expression}");
    }
}

#[test]
fn an_empty_body_reads_as_an_empty_object() {
    for (expression, want) in [("input.body", "{}"), ("input.json('$')", "{}"), ("input.json('$.a')", "\"\"")] {
        assert_eq!(text(&format!("return {expression}"), "").as_deref(), Ok(want), "{expression}");
    }
}

#[test]
fn a_body_that_is_no_json_is_an_error_of_its_own_kind() {
    for body in ["not json", "{\"a\":", "{\"a\":1} x", "\u{1}"] {
        for expression in ["input.json('$.a')", "input.path('$.a')", "input.path('$')", "input.json('$..a')"] {
            let error = map(&format!("return {expression}"), body).expect_err(expression);
            assert_eq!(error.kind, ErrorKind::BodyNotJson, "{expression} on {body}: {error}");
            assert!(error.message.starts_with("the body is not JSON"), "{error}");
            assert_eq!(error.line, Some(1));
        }
    }
    let source = "if not pcall(input.path, '$.a') then error('my own') end";
    assert_eq!(map(source, "{").expect_err("raised").kind, ErrorKind::Raised);
}

#[test]
fn input_refuses_paths_it_does_not_understand() {
    let cases = [
        ("input.path('$[?(@..a)]')", "input.path: a path in a filter"),
        ("input.json('$[(1)]')", "input.json: scripts"),
        ("input.json('$.a.min()')", "functions but `length()`"),
        ("input.path('')", "the path is empty"),
        ("input.path(7)", "input.path: argument 1 must be a string, not number"),
        ("input.json(nil)", "input.json: argument 1 must be a string, not nil"),
    ];
    for (expression, want) in cases {
        let error = map(&format!("return {expression}"), BODY).expect_err(expression);
        assert_eq!(error.kind, ErrorKind::Raised, "{error}");
        assert!(error.message.contains(want), "{expression}: {error}");
    }
}

#[test]
fn input_finds_parameters_in_path_then_query_then_header_and_takes_the_last_value() {
    expect_values(&[
        ("input.params('id')", json!("caf%C3%A9")),
        ("input.params('q')", json!("two words")),
        ("input.params('x-token')", json!("query")),
        ("input.params('X-MANY')", json!("last")),
        ("input.params('flag')", json!("")),
        ("input.params('none')", json!(null)),
        ("input.params('\\255')", json!(null)),
        ("input.params().path", json!({"id": "caf%C3%A9"})),
        ("input.params().querystring", json!({"q": "two words", "flag": "", "x y": "z", "x-token": "query"})),
        ("input.params().header['x-many']", json!("last")),
        ("input.params().header['user-agent']", json!("curl/8.0")),
    ]);
    expect_refusals(&[("input.params({})", "input.params: argument 1 must be a string, not table")]);
}

#[test]
fn util_does_what_api_gateway_s_util_does() {
    expect_values(&[
        ("util.urlEncode('x=a+b')", json!("x%3Da%2Bb")),
        ("util.urlEncode('{\"some\": \"value\"}')", json!("%7B%22some%22%3A+%22value%22%7D")),
        ("util.urlEncode(nil)", json!("")),
        ("util.urlEncode(1.5)", json!("1.5")),
        ("util.urlDecode('x=a+b%21')", json!("x=a b!")),
        ("util.escapeJavaScript(\"it's\")", json!("it\\'s")),
        ("util.escapeJavaScript('{\"foo\": 123}')", json!("{\\\"foo\\\": 123}")),
        ("util.escapeJavaScript('a/b\\n\\tc\\\\')", json!("a\\/b\\n\\tc\\\\")),
        ("util.escapeJavaScript('caf\u{e9}\u{1f600}\\1')", json!("caf\\u00E9\\uD83D\\uDE00\\u0001")),
        ("util.escapeJavaScript(nil)", json!("null")),
        ("util.escapeJavaScript(1)", json!("1")),
        ("util.escapeJavaScript(true)", json!("true")),
        ("util.base64Encode('Hello \\255')", json!("SGVsbG8g/w==")),
        ("util.base64Encode('')", json!("")),
        ("util.base64Decode('SGVsbG8=')", json!("Hello")),
        ("util.base64Decode('SGVsbG8')", json!("Hello")),
        ("util.parseJson('{\"a\": [1, null]}').a[1]", json!(1)),
        ("util.text(nil) .. util.text(json.null)", json!("")),
        ("util.text('as is')", json!("as is")),
        ("util.text(1) .. util.text(0.5) .. util.text(true)", json!("10.5true")),
        ("util.text({1, 'a', {b = 2}})", json!("[1,\"a\",{\"b\":2}]")),
        ("util.text({a = 'x y'})", json!("{a=x y}")),
        ("util.text({a = {1, {c = 2}}})", json!("{a=[1,{\"c\":2}]}")),
        ("util.text({a = {b = {}}})", json!("{a={b={}}}")),
        ("util.text(json.array())", json!("[]")),
        ("util.text({})", json!("{}")),
        ("util.text({a = json.null})", json!("{a=}")),
    ]);
    expect_refusals(&[
        ("util.urlEncode({})", "util.urlEncode: argument 1 must be a string, not table"),
        ("util.urlDecode('%zz')", "a `%` is not followed by two hexadecimal digits"),
        ("util.base64Decode('a=b')", "the text is not Base64"),
        ("util.base64Decode(print)", "must be a string, not function"),
        ("util.parseJson('{')", "util.parseJson: expected a name in quotes at byte 2"),
        ("util.parseJson(nil)", "must be a string, not nil"),
        ("util.text(print)", "util.text: a function"),
        ("util.text({[{}] = 1})", "a table with a table as key"),
    ]);
}

#[test]
fn json_reads_and_writes() {
    let same = [
        "{}",
        "[]",
        "null",
        "true",
        "false",
        "0",
        "-1",
        "1.5",
        "9007199254740992",
        "1e300",
        "\"\"",
        "\"a\\\"b\\\\c\\n\"",
        "[[],[[]],{}]",
        "{\"a\":{\"b\":[]}}",
        "[null,null]",
        "[1,[2,[3]]]",
        "\"caf\u{e9}\u{1f600}\"",
    ];
    for document in same {
        let mapped = text("return json.encode(json.decode(input.body))", document);
        assert_eq!(mapped.as_deref(), Ok(document), "{document}");
    }
    expect_values(&[
        ("json.decode('{\"a\":1,\"a\":2}')", json!({"a": 2})),
        ("json.decode(' [1, \"\\\\u0041\\\\n\"] ')", json!([1, "A\n"])),
        ("json.decode('\"\\\\ud83d\\\\ude00\"')", json!("\u{1f600}")),
        ("json.decode('null') == json.null", json!(true)),
        ("json.encode({a = json.null})", json!("{\"a\":null}")),
        ("json.encode(1e15)", json!("1000000000000000")),
        ("json.encode(-0.0)", json!("0")),
        ("json.encode(nil)", json!("null")),
        ("json.encode(json.array())", json!("[]")),
        ("json.encode(json.array({}))", json!("[]")),
        ("json.encode(json.array({1, 2}))", json!("[1,2]")),
        ("(function() local t = json.decode('[1]') table.remove(t) return json.encode(t) end)()", json!("[]")),
        ("(function() local t = json.decode('[1]') table.insert(t, 'x') return t end)()", json!([1, "x"])),
        ("(function() local t = {} t[2] = 'b' t[1] = 'a' return t end)()", json!(["a", "b"])),
        ("{1, 2, nil}", json!([1, 2])),
        ("setmetatable({a = 1}, {__index = {b = 2}, __tojson = 3})", json!({"a": 1})),
        ("#json.decode('[' .. string.rep('0,', 999) .. '0]')", json!(1000)),
        ("event.n", json!(1)),
    ]);
    expect_refusals(&[
        ("json.decode('{')", "json.decode: expected a name in quotes at byte 2"),
        ("json.decode('')", "json.decode: the text ends where a value is expected at byte 1"),
        ("json.decode('[1,]')", "at byte 4"),
        ("json.decode('\\255')", "json.decode: no UTF-8 at byte 1"),
        ("json.decode('1e999')", "too large"),
        ("json.decode(string.rep('[', 65) .. string.rep(']', 65))", "nested more than 64 deep"),
        ("json.decode(nil)", "json.decode: argument 1 must be a string, not nil"),
        ("json.decode(json.null)", "must be a string, not json.null"),
        ("json.encode()", "json.encode: argument 1 is missing"),
        ("json.encode(print)", "json.encode: cannot write a function"),
        ("json.encode(coroutine.create(print))", "cannot write a thread"),
        ("json.encode(buffer.create(1))", "cannot write a buffer"),
        ("json.encode('\\255')", "a string that is not UTF-8"),
        ("json.encode({['\\255'] = 1})", "a string that is not UTF-8"),
        ("json.encode(0/0)", "infinite or not a number"),
        ("json.encode({math.huge})", "infinite or not a number"),
        ("json.encode({1, 2, x = 3})", "both numbers and names as keys"),
        ("json.encode({1, nil, 3})", "gaps"),
        ("json.encode({[0] = 1})", "both numbers and names"),
        ("json.encode({[1.5] = 1})", "both numbers and names"),
        ("json.encode({[true] = 1})", "a table with a boolean as key"),
        ("json.encode({1, [2.5] = 1})", "both numbers and names"),
        ("(function() local t = {} t.t = t return json.encode(t) end)()", "a table that holds itself"),
        ("(function() local t = {} t[1] = t return json.encode(t) end)()", "a table that holds itself"),
        ("json.array(1)", "json.array: argument 1 must be a table, not number"),
        ("json.array(json)", "readonly"),
    ]);
}

/// Any value whose numbers doubles hold exactly.
fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i32>().prop_map(Value::from),
        any::<f64>().prop_filter("serde_json reads some numbers a little wrong", reads_back).prop_map(Value::from),
        any::<String>().prop_map(Value::String),
    ];
    leaf.prop_recursive(6, 80, 8, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..8).prop_map(Value::Array),
            vec((any::<String>(), inner), 0..8).prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn reads_back(number: &f64) -> bool {
    serde_json::from_str::<f64>(&json!(number).to_string()).is_ok_and(|read| read == *number)
}

/// Numbers as doubles: 1 and 1.0 are the same to Lua.
fn as_doubles(value: &Value) -> Value {
    match value {
        Value::Number(number) => json!(number.as_f64().expect("fits") + 0.0),
        Value::Array(list) => list.iter().map(as_doubles).collect(),
        Value::Object(map) => map.iter().map(|(name, value)| (name.clone(), as_doubles(value))).collect(),
        other => other.clone(),
    }
}

#[test]
fn any_value_comes_through_lua_as_it_went_in() {
    let source = "return function(event) return {event, json.decode(json.encode(event))} end";
    let (bank, id) = fixture::bank(Kind::Function, source, generous()).expect("compiles");
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::default() });
    let outcome = runner.run(&any_value(), |value| {
        let result = bank.vm().call_function(id, value.to_string().as_bytes(), &mut exchange());
        let result: Value = serde_json::from_slice(&result.expect("runs")).expect("JSON");
        let (want, got) = (as_doubles(&value), as_doubles(&result));
        prop_assert_eq!(&got, &json!([want, want]));
        Ok(())
    });
    outcome.expect("every value");
}

#[test]
fn host_functions_work_in_coroutines() {
    expect_values(&[
        ("coroutine.wrap(function() return request.header('x-token') end)()", json!("tok-7")),
        ("coroutine.wrap(function() return json.decode('{\"a\":[\"\\\\u0041\"]}') end)()", json!({"a": ["A"]})),
        ("coroutine.wrap(function() return input.params() end)().path.id", json!("caf%C3%A9")),
        ("select(2, coroutine.resume(coroutine.create(request.header))):match('argument 1') ~= nil", json!(true)),
    ]);
}

#[test]
fn json_get_takes_one_value_out_of_a_text() {
    let document = r#"'{"a": {"b": [10, {"c d": "x"}], "e": null}, "a\\u0062": 3, "z": 1, "z": 2}'"#;
    let cases = [
        ("'a', 'b', 1", json!(10)),
        ("'a', 'b', 2, 'c d'", json!("x")),
        ("'a', 'b'", json!([10, {"c d": "x"}])),
        ("'a', 'e'", json!(null)),
        ("'ab'", json!(3)),
        ("'z'", json!(2)),
        ("'a', 'b', 3", json!(null)),
        ("'a', 'none', 'deeper'", json!(null)),
        ("'z', 'not a table'", json!(null)),
        ("'a', 1", json!(null)),
    ];
    for (keys, want) in cases {
        assert_eq!(evaluate(&format!("json.get({document}, {keys})")), Ok(want), "{keys}");
    }
    expect_values(&[("json.get('[1]')", json!([1])), ("json.get('{\"e\":null}', 'e') == json.null", json!(true))]);
    expect_refusals(&[
        ("json.get()", "json.get: argument 1 must be a string, not nothing"),
        ("json.get('{}', {})", "json.get: argument 2 must be a name or a place from 1 on, not table"),
        ("json.get('[1]', 0)", "a place from 1 on"),
        ("json.get('[1]', 1.5)", "a place from 1 on"),
        ("json.get('{\"a\":[1}', 'a')", "json.get: "),
        ("json.get('{\"a\" 1}', 'a')", "json.get: expected `:`"),
        ("json.get('{\"a\":[1,]}', 'a')", "json.get: expected a value"),
    ]);
}

#[test]
fn log_writes_lines_to_the_exchange() {
    let source = "
        log.debug('a', 1, true, nil, json.null)
        log.info({1, 2}, {k = 'v'})
        log.warn('line\\nbreak\\27[31m')
        log.error(print, '\\255')
        print('printed', 2)
        log.info()
        log.info(string.rep('x', 5000))";
    let mut exchange = exchange();
    fixture::map_on(&mut exchange, source, "").expect("runs");
    let log = &exchange.script_log;
    assert_eq!(
        log[..6],
        [
            "debug: a\t1\ttrue\t\t",
            "info: [1,2]\t{k=v}",
            "warn: line\\nbreak\\u{1b}[31m",
            "error: function\t\u{fffd}",
            "info: printed\t2",
            "info:",
        ]
    );
    assert!(log[6].len() <= 1024 + '…'.len_utf8() && log[6].ends_with('…'), "{}", log[6].len());
}

#[test]
fn logs_are_bounded() {
    let mut exchange = exchange();
    fixture::map_on(&mut exchange, "for i = 1, 10000 do log.info(i) end", "").expect("runs");
    assert_eq!(exchange.script_log.len(), 65);
    assert_eq!(exchange.script_log[63], "info: 64");
    assert_eq!(exchange.script_log[64], "warn: further lines were dropped");
    fixture::map_on(&mut exchange, "log.info('more')", "").expect("runs");
    assert_eq!(exchange.script_log.len(), 65);
}

#[test]
fn response_can_be_read_by_response_templates() {
    let source = "return response.status() .. (response.header('X-Backend') or '') .. input.body .. tostring(response.header('none'))";
    let (bank, id) = fixture::bank(Kind::Template, source, generous()).expect("compiles");
    let mapped = bank.vm().map_response(id, &mut exchange(), &mut fixture::response(), &"body".into());
    assert_eq!(mapped.map(|mapped| mapped.body), Ok("201b1bodynil".into()));
    for statement in
        ["response.set_status(200)", "response.set_header('a', 'b')", "context.requestOverride.path.a = 'b'"]
    {
        let (bank, id) = fixture::bank(Kind::Template, statement, generous()).expect("compiles");
        let error =
            bank.vm().map_response(id, &mut exchange(), &mut fixture::response(), &"".into()).expect_err(statement);
        assert!(error.message.contains("is only allowed in phase"), "{error}");
    }
}
