//! Plugins in a running gateway: phases, levels, failures, waiting for services, libraries, secrets, versions.

use std::time::{Duration, Instant};

use moongate_tests::load::Load;
use moongate_tests::{Answer, Gateway, Upstream};
use serde_json::json;

/// A project's plugin of that name, without settings.
fn plugin(name: &str, handler: &str) -> [(String, String); 3] {
    let path = |file: &str| format!("plugins/{name}/{file}");
    [
        (path("plugin.toml"), format!("name = \"{name}\"\nversion = \"1.0.0\"\nsummary = \"For a test.\"\n")),
        (path("schema.json"), r#"{"type": "object"}"#.to_owned()),
        (path("handler.lua"), handler.to_owned()),
    ]
}

/// A gateway with an API, plugins by name and handler, and other files.
fn gateway(api: &str, plugins: &[(&str, &str)], files: &[(&str, &str)]) -> Gateway {
    let mut builder = Gateway::builder().file("apis/a.yaml", api);
    for (name, handler) in plugins {
        for (path, text) in plugin(name, handler) {
            builder = builder.file(&path, &text);
        }
    }
    for (path, text) in files {
        builder = builder.file(path, text);
    }
    builder.start()
}

/// What lets scripts ask services on this machine.
const ALLOW: (&str, &str) = ("moongate.yaml", "scripts: { outbound: { allow: [127.0.0.1] } }\n");

#[test]
fn phases_run_in_their_order_and_levels_in_theirs() {
    let upstream = Upstream::recording(|request| Answer::json(&json!({ "got": request.text() })));
    let mark = |name: &str| {
        format!(
            "return {{
                authorize = function() return {{ isAuthorized = true, context = {{ ['{name}'] = 'yes' }} }} end,
                map_request = function() return request.body() .. ' {name}' end,
                request = function() request.add_header('x-order', '{name}') end,
                response = function() response.add_header('x-order', '{name}') end,
            }}"
        )
    };
    let marks: Vec<(&str, String)> = ["global", "api", "stage", "route"].map(|name| (name, mark(name))).into();
    let plugins: Vec<(&str, &str)> = marks.iter().map(|(name, handler)| (*name, handler.as_str())).collect();
    let api = format!(
        "api: a
plugins: [{{ plugin: api }}]
stages: [{{ name: live, plugins: [{{ plugin: stage }}] }}, {{ name: bare }}]
routes:
  - match: POST /x
    plugins: [{{ plugin: route }}]
    integration:
      type: http_proxy
      uri: {}/x
      request_parameters: {{ integration.request.header.x-route: context.authorizer.route }}
",
        upstream.url()
    );
    let settings = ("moongate.yaml", "plugins: [{ plugin: global }]\n");
    let gateway = gateway(&api, &plugins, &[settings]);
    let response = gateway.request("POST", "/a/x", &[("content-type", "text/plain")], b"body").expect_status(200);
    assert_eq!(response.json(), json!({ "got": "body global api stage route" }));
    let received = upstream.last_request();
    let order: Vec<&str> =
        received.headers.iter().filter(|(name, _)| *name == "x-order").map(|(_, value)| value).collect();
    assert_eq!(order, ["global", "api", "stage", "route"]);
    assert_eq!(received.header("x-route"), Some("yes"));
    let listed = gateway.moongate(&["plugin", "list", "--route", "POST /x"]);
    let lines: Vec<&str> = listed.lines().filter(|line| line.contains("1.0.0")).collect();
    assert!(lines.len() == 4 && lines[0].contains("global") && lines[3].contains("route"), "{listed}");
}

#[test]
fn a_plugin_that_says_no_or_answers_keeps_the_upstream_untouched() {
    let upstream = Upstream::text("never");
    let door = "return {
        authorize = function()
            local key = request.header('x-key')
            if key == 'teapot' then return response.exit(418, { error = 'teapot' }) end
            return key == 'good'
        end,
        response = function() response.set_header('x-seen', tostring(response.status())) end,
    }";
    let api = format!(
        "api: a\nplugins: [{{ plugin: door }}]\nroutes:\n  - match: GET /x\n    upstream: {}\n",
        upstream.url()
    );
    let gateway = gateway(&api, &[("door", door)], &[]);
    let ask = |key: &str| gateway.request("GET", "/a/x", &[("x-key", key)], b"");
    let refused = ask("bad").expect_status(403);
    assert_eq!(refused.json()["error"], "access_denied");
    assert_eq!(refused.header("x-seen"), Some("403"), "the response phase sees the gateway's own answers");
    let answered = ask("teapot").expect_status(418);
    assert_eq!((answered.json()["error"].as_str(), answered.header("x-seen")), (Some("teapot"), Some("418")));
    assert!(upstream.requests().is_empty());
    let passed = ask("good").expect_status(200);
    assert_eq!(passed.header("x-seen"), Some("200"));
}

#[test]
fn a_failing_plugin_closes_unless_its_attachment_says_open() {
    let upstream = Upstream::text("hello");
    let broken = "return { request = function() error('on purpose') end }";
    let api = format!(
        "api: a\nroutes:
  - {{ match: GET /closed, upstream: '{url}', plugins: [{{ plugin: broken }}] }}
  - {{ match: GET /open, upstream: '{url}', plugins: [{{ plugin: broken, on_error: open }}] }}\n",
        url = upstream.url()
    );
    let gateway = gateway(&api, &[("broken", broken)], &[]);
    let closed = gateway.get("/a/closed").expect_status(500);
    assert!(
        closed.json()["detail"].as_str().is_some_and(|text| text.contains("plugins/broken/handler.lua:1")),
        "{}",
        closed.text()
    );
    assert_eq!(gateway.get("/a/open").expect_status(200).text(), "hello");
}

#[test]
fn a_body_streams_through_a_plugin_piece_by_piece() {
    let upstream = Upstream::recording(|_| Answer::chunked(["ab", "cd", "ef"]));
    let upper = "return {
        response_chunk = function(config, chunk, stream, is_last)
            stream.bytes = (stream.bytes or 0) + #chunk
            if is_last then return '!' .. stream.bytes end
            return string.upper(chunk)
        end,
    }";
    let api = format!(
        "api: a\nplugins: [{{ plugin: upper }}]\nroutes:\n  - {{ match: GET /x, upstream: '{}' }}\n",
        upstream.url()
    );
    let gateway = gateway(&api, &[("upper", upper)], &[]);
    for _ in 0..3 {
        assert_eq!(gateway.get("/a/x").expect_status(200).text(), "ABCDEF!6");
    }
}

#[test]
fn a_plugin_asks_a_service_and_keeps_what_it_heard() {
    let users = Upstream::recording(|request| Answer::json(&json!({ "user": request.header("authorization") })));
    let upstream = Upstream::recording(|request| Answer::json(&json!({ "user": request.header("x-user") })));
    let ask = format!(
        "return {{
            request = function()
                local token = request.header('authorization') or 'nobody'
                local user = gate.store.get(token)
                if not user then
                    local answer, why = gate.http.get('{}/me', {{ headers = {{ authorization = token }}, timeout_ms = 2000 }})
                    if not answer then return response.exit(503, why) end
                    user = json.decode(answer.body).user
                    gate.store.set(token, user, 60)
                end
                request.set_header('x-user', user)
            end,
        }}",
        users.url()
    );
    let api = format!(
        "api: a\nplugins: [{{ plugin: ask }}]\nroutes:\n  - {{ match: GET /x, upstream: '{}' }}\n",
        upstream.url()
    );
    let gateway = gateway(&api, &[("ask", &ask)], &[ALLOW]);
    for _ in 0..3 {
        let response = gateway.request("GET", "/a/x", &[("authorization", "ann")], b"").expect_status(200);
        assert_eq!(response.json(), json!({ "user": "ann" }));
    }
    assert_eq!(users.requests().len(), 1, "the store knows the answer");
}

#[test]
fn services_on_this_machine_are_refused_unless_the_operator_names_them() {
    let inside = Upstream::text("secret");
    let ask = format!(
        "return {{ request = function()
            local url = request.query('url') or '{}'
            local answer, why = gate.http.get(url, {{ timeout_ms = 1000 }})
            response.exit(200, answer and answer.body or why)
        end }}",
        inside.url()
    );
    let api = "api: a\nplugins: [{ plugin: ask }]\nroutes:\n  - { match: GET /x, upstream: 'http://127.0.0.1:1' }\n";
    let gateway = gateway(api, &[("ask", &ask)], &[]);
    let port = inside.address().port();
    let urls = [
        format!("http://127.0.0.1:{port}/"),
        format!("http://localhost:{port}/"),
        format!("http://[::1]:{port}/"),
        format!("http://[::ffff:127.0.0.1]:{port}/"),
        format!("http://0.0.0.0:{port}/"),
        "http://169.254.169.254/latest/meta-data/".to_owned(),
    ];
    for url in urls {
        let encoded = url.replace(':', "%3A").replace('/', "%2F").replace('[', "%5B").replace(']', "%5D");
        let said = gateway.get(&format!("/a/x?url={encoded}")).expect_status(200).text();
        assert!(said.contains("may not"), "{url}: {said}");
    }
    assert!(inside.requests().is_empty());
}

/// A service that takes long holds up those who wait for it, and nobody else.
#[test]
fn five_hundred_requests_that_wait_for_a_slow_service_leave_other_routes_alone() {
    let slow = Upstream::recording(|_| {
        std::thread::sleep(Duration::from_secs(5));
        Answer::text("late")
    });
    let quick = Upstream::text("quick");
    let ask = format!(
        "return {{ request = function() response.exit(200, gate.http.get('{}/', {{ timeout_ms = 30000 }}).body) end }}",
        slow.url()
    );
    let api = format!(
        "api: a\nroutes:
  - {{ match: GET /slow, upstream: '{url}', plugins: [{{ plugin: ask, limits: {{ wait_ms: 40000 }} }}] }}
  - {{ match: GET /quick, upstream: '{url}' }}\n",
        url = quick.url()
    );
    let gateway = gateway(&api, &[("ask", &ask)], &[ALLOW]);
    let percentile = |count: usize| {
        let mut times: Vec<Duration> = (0..count)
            .map(|_| {
                let start = Instant::now();
                gateway.get("/a/quick").expect_status(200);
                start.elapsed()
            })
            .collect();
        times.sort();
        times[count * 99 / 100]
    };
    let before = percentile(200);
    let waiting = Load::start(gateway.client().timeout(Duration::from_secs(60)), "/a/slow", 500, |response| {
        (response.status != 200 || response.text() != "late").then(|| format!("{response:?}"))
    });
    slow.wait_for_requests(400);
    let during = percentile(200);
    assert!(waiting.completed() < 500, "the service answered too soon for the test to mean anything");
    // Five hundred clients and as many threads of the service share the machine with the gateway: a wait of the service's
    // length is what must not be seen.
    assert!(
        during < before + Duration::from_millis(500),
        "99 of 100 took {before:?} before and {during:?} beside the waiting"
    );
    waiting.wait_for_more(500);
    let report = waiting.stop();
    assert!(report.failures.is_empty(), "{:?}", report.failures.first());
}

#[test]
fn libraries_secrets_and_digests_are_checked_when_the_project_is_loaded() {
    let upstream = Upstream::recording(|request| Answer::json(&json!({ "mark": request.header("x-mark") })));
    let handler = "local marks = require 'lib.marks'\nlocal shared = require 'lib.shared'\n\
                   return { request = function(config) request.set_header('x-mark', marks.make(gate.secret(config.key)) .. shared) end }";
    let schema =
        r#"{"type": "object", "required": ["key"], "properties": {"key": {"type": "string", "format": "secret"}}}"#;
    let api = format!(
        "api: a\nplugins: [{{ plugin: marker, config: {{ key: 'file:keys/mark.txt' }} }}]\nroutes:\n  - {{ match: GET /x, upstream: '{}' }}\n",
        upstream.url()
    );
    let files = [
        ("plugins/marker/lib/marks.lua", "return { make = function(text) return '<' .. text .. '>' end }"),
        ("lua/lib/shared.lua", "return '!'"),
        ("plugins/marker/schema.json", schema),
        ("keys/mark.txt", "hidden\n"),
    ];
    let gateway = gateway(&api, &[("marker", handler)], &files);
    assert_eq!(gateway.get("/a/x").expect_status(200).json(), json!({ "mark": "<hidden>!" }));
    let digest = gateway.moongate(&["plugin", "digest", "marker"]);
    let digest = digest.trim();
    assert!(digest.starts_with("sha256:"), "{digest}");
    let pinned = api.replace("plugin: marker,", &format!("plugin: marker, digest: '{digest}',"));
    gateway.edit_and_wait("apis/a.yaml", &pinned);
    gateway.get("/a/x").expect_status(200);
    let cases = [
        ("plugins/marker/lib/marks.lua", "return { make = function() return 'other' end }", "E118"),
        ("apis/a.yaml", &*api.replace("keys/mark.txt", "keys/none.txt"), "E110"),
        ("plugins/marker/handler.lua", "require 'lib.none'\nreturn { request = function() end }", "E121"),
    ];
    for (path, text, code) in cases {
        let event = gateway.edit_and_wait(path, text);
        assert_eq!(event["event"], "reload_failed", "{path}: {event}");
        assert!(event.to_string().contains(code), "{path}: {event}");
        gateway.get("/a/x").expect_status(200);
    }
}

#[test]
fn a_plugin_s_own_budget_is_capped_by_the_operator() {
    let endless = "return { request = function() while true do end end }";
    let api = |cpu: u32| {
        format!(
            "api: a\nplugins: [{{ plugin: endless, limits: {{ cpu_ms: {cpu} }} }}]\nroutes:\n  - {{ match: GET /x, upstream: 'http://127.0.0.1:1' }}\n"
        )
    };
    let gateway =
        gateway(&api(20), &[("endless", endless)], &[("moongate.yaml", "scripts: { max: { cpu_ms: 80 } }\n")]);
    let detail = gateway.get("/a/x").expect_status(500).text();
    assert!(detail.contains("CPU budget of 20 ms") && detail.contains("plugins/endless/handler.lua:1"), "{detail}");
    let event = gateway.edit_and_wait("apis/a.yaml", &api(81));
    assert!(event["event"] == "reload_failed" && event.to_string().contains("E117"), "{event}");
}
