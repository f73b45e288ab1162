//! Scripts on the request path: authorizers, templates, functions, and what happens to those that do not end.

use std::time::{Duration, Instant};

use moongate_tests::load::Load;
use moongate_tests::{Answer, Gateway, Upstream};
use serde_json::json;

/// Processor time that a run may use unless `moongate.yaml` says otherwise.
const CPU_BUDGET: Duration = Duration::from_millis(50);

const JSON: (&str, &str) = ("Content-Type", "application/json");

/// Allows `good`, denies `bad`, does not know `stranger`, and fails on anything else.
const AUTHORIZER: &str = r#"
return function(request, context)
    local token = request.header("x-token")
    if token == "good" then
        return { isAuthorized = true, principalId = "ada", context = { plan = "gold", seats = 3, admin = true } }
    elseif token == "bad" then
        return { isAuthorized = false }
    elseif token == "stranger" then
        error("Unauthorized", 0)
    end
    error("no such token: " .. token)
end
"#;

fn authorized(upstream: &Upstream) -> Gateway {
    let api = format!(
        "api: shop
authorizers:
  tokens:
    type: lua
    script: {{ file: lua/tokens.lua }}
    identity_source: [$request.header.x-token]
default_authorizer: tokens
routes:
  - match: POST /orders
    integration:
      type: http
      uri: {url}/orders
      request_parameters:
        integration.request.header.x-plan: context.authorizer.plan
        integration.request.header.x-who: context.authorizer.principalId
      request_templates:
        application/json: {{ file: lua/order.lua }}
      responses:
        - status_code: 200
          response_templates: {{ application/json: {{ file: lua/receipt.lua }} }}
  - match: GET /open
    authorizer: none
    upstream: {url}
",
        url = upstream.url()
    );
    let order = r#"
local quantity = 0
for _, line in input.path("$.lines") do
    quantity += line.quantity
end
return {
    who = context.authorizer.principalId,
    plan = context.authorizer.plan,
    customer = input.path("$.customer.name"),
    quantity = quantity,
    stage = context.stage,
}
"#;
    let receipt = "return { id = input.path(\"$.order.id\"), total = input.path(\"$.order.total\") }\n";
    Gateway::builder()
        .file("apis/shop.yaml", &api)
        .file("lua/tokens.lua", AUTHORIZER)
        .file("lua/order.lua", order)
        .file("lua/receipt.lua", receipt)
        .start()
}

#[test]
fn an_authorizer_that_does_not_allow_keeps_the_upstream_untouched() {
    let upstream = Upstream::text("never");
    let gateway = authorized(&upstream);
    let cases =
        [("bad", 403, "access_denied"), ("stranger", 401, "unauthorized"), ("unheard of", 500, "authorizer_failure")];
    for (token, status, error) in cases {
        let response = gateway.request("POST", "/shop/orders", &[("x-token", token)], b"{}").expect_status(status);
        assert_eq!(response.json()["error"], error, "{token}");
    }
    let missing = gateway.request("POST", "/shop/orders", &[], b"{}").expect_status(401);
    assert_eq!(missing.json()["error"], "unauthorized");
    assert!(upstream.requests().is_empty());
    assert_eq!(gateway.get("/shop/open").expect_status(200).text(), "never");
}

#[test]
fn a_failing_authorizer_is_named_in_the_log() {
    let upstream = Upstream::text("never");
    let gateway = authorized(&upstream);
    gateway.request("POST", "/shop/orders", &[("x-token", "unheard of")], b"{}").expect_status(500);
    let event = gateway.wait_for_event("the failed request", |event| event["error"] == "authorizer_failure");
    let detail = event["detail"].as_str().expect("a detail");
    assert!(detail.contains("lua/tokens.lua:11") && detail.contains("no such token: unheard of"), "{detail}");
}

#[test]
fn what_the_authorizer_says_reaches_templates_and_the_upstream_and_json_is_reshaped_both_ways() {
    let upstream = Upstream::recording(|_| {
        Answer::json(&json!({ "order": { "id": "o-1", "total": 12.5, "internal": true }, "debug": [1, 2, 3] }))
    });
    let gateway = authorized(&upstream);
    let body = json!({ "customer": { "name": "Ada \"L\" é" }, "lines": [{ "quantity": 2 }, { "quantity": 5 }] });
    let response = gateway
        .request("POST", "/shop/orders", &[("x-token", "good"), JSON], body.to_string().as_bytes())
        .expect_status(200);
    assert_eq!(response.json(), json!({ "id": "o-1", "total": 12.5 }));
    assert_eq!(response.header("content-type"), Some("application/json"));
    assert_eq!(response.header("content-length").map(str::to_owned), Some(response.body.len().to_string()));

    let request = upstream.only_request();
    let want = json!({ "who": "ada", "plan": "gold", "customer": "Ada \"L\" é", "quantity": 7, "stage": "$default" });
    assert_eq!(request.json(), want);
    assert_eq!((request.header("x-plan"), request.header("x-who")), (Some("gold"), Some("ada")));
}

#[test]
fn a_body_that_is_no_json_is_the_client_s_fault() {
    let upstream = Upstream::text("never");
    let gateway = authorized(&upstream);
    for body in ["{\"customer\": ", "[1, 2", "\u{1}"] {
        let headers = [("x-token", "good"), JSON];
        gateway.request("POST", "/shop/orders", &headers, body.as_bytes()).expect_status(400);
    }
    assert!(upstream.requests().is_empty());
}

/// A gateway with a mock per script: `/s/{name}` answers what the script returns.
fn scripts(scripts: &[(&str, &str)]) -> Gateway {
    let mut api = String::from("api: s\nroutes:\n");
    let mut builder = Gateway::builder();
    for (name, script) in scripts {
        api.push_str(&format!(
            "  - match: GET /{name}
    integration:
      type: mock
      request_templates: {{ application/json: {{ text: '{{\"statusCode\": 200}}' }} }}
      responses: [{{ status_code: 200, response_templates: {{ application/json: {{ file: lua/{name}.lua }} }} }}]
"
        ));
        builder = builder.file(&format!("lua/{name}.lua"), script);
    }
    builder.file("apis/s.yaml", &api).start()
}

#[test]
fn a_script_without_end_is_killed_while_a_hundred_other_requests_succeed() {
    let gateway =
        scripts(&[("endless", "local n = 0\nwhile true do\n    n += 1\nend\n"), ("quick", "return { ok = true }\n")]);
    let load = Load::start(gateway.client(), "/s/quick", 100, |response| {
        (response.status != 200).then(|| format!("{response:?}"))
    });
    load.wait_for_more(20);
    let response = gateway.get("/s/endless").expect_status(500);
    assert_eq!(response.json()["error"], "configuration_error");
    let detail = response.json()["detail"].as_str().unwrap_or_default().to_owned();
    assert!(
        detail.contains("lua/endless.lua") && detail.contains("50 ms"),
        "script and budget are not named: {detail}"
    );
    load.wait_for_more(100);
    let report = load.stop();
    assert!(
        report.failures.is_empty(),
        "{} of {} failed: {:?}",
        report.failures.len(),
        report.completed,
        report.failures.first()
    );

    // Processor time, as the budget is: the machine may be busy with other tests. The best of a few attempts shows what a kill
    // costs beside whatever else the gateway does.
    let least = (0..5).map(|_| {
        let before = gateway.process().cpu_time();
        gateway.get("/s/endless").expect_status(500);
        gateway.process().cpu_time() - before
    });
    let least = least.min().expect("five attempts");
    assert!(least < CPU_BUDGET * 2, "the script was killed after {least:?} of processor time");
}

#[test]
fn scripts_that_try_to_escape_their_budgets_are_killed() {
    let hostile = [
        ("pcall", "while true do pcall(function() while true do end end) end"),
        ("recursion", "local function f(n) return f(n + 1) + 1 end\nreturn f(1)"),
        ("tail", "local function f() return f() end\nreturn f()"),
        ("pattern", "local s = string.rep('a', 30000)\nreturn { s:find('.-.-.-.-.-.-b') }"),
        ("rep", "return string.rep('x', 1e9)"),
        ("concat", "local s = 'x'\nwhile true do s = s .. s end"),
        ("table", "local t = {}\nwhile true do t[#t + 1] = {} end"),
        ("move", "table.move({}, 1, 1e9, 2)\nreturn {}"),
        (
            "sort",
            "local t = {}\nfor i = 1, 100000 do t[i] = i end\ntable.sort(t, function() return true end)\nwhile true do end",
        ),
        ("coroutine", "while true do coroutine.wrap(function() while true do end end)() end"),
        ("gsub", "local s = string.rep('ab', 1e6)\nwhile true do s:gsub('a', 'b') end"),
        ("metamethod", "local t = setmetatable({}, { __index = function(t, k) return t[k] end })\nreturn { t.x }"),
    ];
    let mut files = vec![("quick", "return { ok = true }\n")];
    files.extend(hostile);
    let gateway = scripts(&files);
    for (name, _) in hostile {
        let start = Instant::now();
        let response = gateway.get(&format!("/s/{name}"));
        assert_eq!(response.status, 500, "{name}: {}", response.text());
        assert!(start.elapsed() < Duration::from_secs(2), "{name} took {:?}", start.elapsed());
        assert_eq!(gateway.get("/s/quick").expect_status(200).json(), json!({ "ok": true }), "after {name}");
    }
    assert!(gateway.rss_kib() < 512 * 1024, "resident memory is {} KiB", gateway.rss_kib());
}

#[test]
fn scripts_reach_nothing_outside() {
    let names = [
        "_G",
        "collectgarbage",
        "debug",
        "dofile",
        "ffi",
        "getfenv",
        "io",
        "load",
        "loadfile",
        "loadstring",
        "newproxy",
        "os",
        "package",
        "require",
        "setfenv",
    ];
    let probes: Vec<String> = names.iter().map(|name| format!("{name} = type({name})")).collect();
    let probe = &format!("return {{ {}, dump = type(string.dump) }}\n", probes.join(", "));
    let gateway = scripts(&[("probe", probe)]);
    let found = gateway.get("/s/probe").expect_status(200).json();
    for (name, kind) in found.as_object().expect("an object") {
        assert_eq!(kind, "nil", "`{name}` can be reached");
    }
}

#[test]
fn requests_do_not_see_each_other_s_data() {
    let gateway =
        scripts(&[("leak", "local before = leaked\nleaked = 'secret'\nreturn { before = before or 'nothing' }\n")]);
    for _ in 0..20 {
        let response = gateway.get("/s/leak");
        // Either a script may not write globals at all, or nothing of them is left for the next request.
        assert!(response.status == 500 || response.json() == json!({ "before": "nothing" }), "{}", response.text());
    }
}

#[test]
fn a_function_answers_without_an_upstream() {
    let function = r#"
return function(event, context)
    return {
        statusCode = 201,
        headers = { ["x-made-by"] = "lua" },
        body = "hello " .. event.pathParameters.name .. event.queryStringParameters.mark,
    }
end
"#;
    let api = "api: f\nroutes:\n  - match: GET /hello/{name}\n    integration: { type: lua, function: { file: lua/hello.lua } }\n";
    let gateway = Gateway::builder().file("apis/f.yaml", api).file("lua/hello.lua", function).start();
    let response = gateway.get("/f/hello/ada?mark=!").expect_status(201);
    assert_eq!((response.text().as_str(), response.header("x-made-by")), ("hello ada!", Some("lua")));
}

#[test]
fn a_script_s_budget_can_be_set() {
    let upstream = Upstream::text("unused");
    let api = format!(
        "api: s
routes:
  - match: POST /endless
    integration:
      type: http
      uri: {}/
      request_templates: {{ $default: {{ lua: \"while true do end\" }} }}
",
        upstream.url()
    );
    let gateway =
        Gateway::builder().file("apis/s.yaml", &api).file("moongate.yaml", "scripts: { cpu_ms: 10 }\n").start();
    let response = gateway.request("POST", "/s/endless", &[], b"{}").expect_status(500);
    assert!(response.json()["detail"].as_str().is_some_and(|detail| detail.contains("10 ms")), "{}", response.text());
}
