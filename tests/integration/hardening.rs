//! Ways around the gateway's decisions, closed.

use moongate_tests::{Answer, Gateway, Upstream};

fn upstream() -> Upstream {
    Upstream::recording(|request| Answer::text(request.line()))
}

#[test]
fn a_plugin_that_refuses_is_asked_on_every_kind_of_route() {
    let upstream = upstream();
    let api = format!(
        "api: s
plugins: [{{ plugin: deny }}]
routes:
  - match: GET /proxied
    upstream: {}
  - match: GET /function
    integration: {{ type: lua, function: {{ lua: 'return function() return \"secret\" end' }} }}
  - match: GET /mock
    integration: {{ type: mock, responses: [{{ status_code: 200 }}] }}
",
        upstream.url()
    );
    let handler = "return { request = function() response.exit(403, 'denied') end }\n";
    let manifest = "name = \"deny\"\nversion = \"1.0.0\"\nsummary = \"Refuses everything\"\n";
    let gateway = Gateway::builder()
        .file("apis/s.yaml", &api)
        .file("plugins/deny/plugin.toml", manifest)
        .file("plugins/deny/schema.json", r#"{"type": "object", "additionalProperties": false}"#)
        .file("plugins/deny/handler.lua", handler)
        .file("plugins/deny/README.md", "# deny\n")
        .start();
    for route in ["proxied", "function", "mock"] {
        assert_eq!(gateway.get(&format!("/s/{route}")).expect_status(403).text(), "denied", "{route}");
    }
    assert!(upstream.requests().is_empty());
}

#[test]
fn mapped_values_stay_where_they_are_filled_in() {
    let upstream = upstream();
    let url = upstream.url();
    let gateway = Gateway::with_api(&format!(
        "api: m
routes:
  - match: GET /by-query
    integration:
      type: http_proxy
      uri: {url}/files/{{file}}/meta
      request_parameters: {{ integration.request.path.file: method.request.querystring.file }}
  - match: GET /by-path/{{id}}
    integration:
      type: http_proxy
      uri: {url}/q?tenant=1&id={{id}}
      request_parameters: {{ integration.request.path.id: method.request.path.id }}
"
    ));
    assert_eq!(gateway.get("/m/by-query?file=a%20b").expect_status(200).text(), "GET /files/a%20b/meta?file=a%20b");
    for climbing in ["..", "..%2F..%2Fadmin", ".", "x%2F.."] {
        gateway.get(&format!("/m/by-query?file={climbing}")).expect_status(400);
    }
    let injected = gateway.get("/m/by-path/5&tenant=2").expect_status(200).text();
    assert_eq!(injected, "GET /q?tenant=1&id=5%26tenant%3D2");
}

#[test]
fn an_identity_header_that_comes_twice_is_refused() {
    let upstream = upstream();
    let gateway = Gateway::with_api(&format!(
        "api: a
authorizers:
  user:
    type: lua
    script: {{ lua: 'return function(request) return true end' }}
    identity_source: [$request.header.x-user]
    identity_validation_expression: \"good-.*\"
default_authorizer: user
routes:
  - match: GET /
    upstream: {}
",
        upstream.url()
    ));
    gateway.request("GET", "/a/", &[("x-user", "good-1")], b"").expect_status(200);
    gateway.request("GET", "/a/", &[("x-user", "admin")], b"").expect_status(401);
    gateway.request("GET", "/a/", &[("x-user", "admin"), ("x-user", "good-1")], b"").expect_status(401);
    assert_eq!(upstream.requests().len(), 1);
}

#[test]
fn two_lengths_are_seen_behind_empty_lines_too() {
    let upstream = upstream();
    let gateway =
        Gateway::with_api(&format!("api: p\nroutes:\n  - match: $default\n    upstream: {}\n", upstream.url()));
    for start in ["", "\r\n", "\r\n\r\n", "\n"] {
        let request = format!(
            "{start}POST /p/ HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        );
        let response = gateway.client().send_raw(&request).expect("an answer");
        assert_eq!(response.status, 400, "{start:?}");
    }
    assert!(upstream.requests().is_empty());
}

#[test]
fn another_protocol_that_nobody_asked_for_is_a_failure_of_the_upstream() {
    let upstream = Upstream::recording(|_| {
        Answer::raw("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")
    });
    let gateway =
        Gateway::with_api(&format!("api: p\nroutes:\n  - match: $default\n    upstream: {}\n", upstream.url()));
    gateway.get("/p/").expect_status(502);
}

#[test]
fn a_caller_who_is_kept_out_learns_no_routes() {
    let upstream = upstream();
    let gateway = Gateway::with_api(&format!(
        "api: g
policies: [{{ policy: ip_access, config: {{ deny: [127.0.0.0/8] }} }}]
cors: {{ allow_origins: [https://app.example.com], allow_methods: [PUT] }}
routes:
  - match: GET /there
    upstream: {}
",
        upstream.url()
    ));
    let preflight = [("Origin", "https://app.example.com"), ("Access-Control-Request-Method", "PUT")];
    gateway.get("/g/there").expect_status(403);
    gateway.get("/g/nowhere").expect_status(403);
    gateway.request("DELETE", "/g/there", &[], b"").expect_status(403);
    gateway.request("OPTIONS", "/g/there", &preflight, b"").expect_status(403);
}

#[test]
fn a_route_that_can_never_match_is_an_error() {
    let gateway = Gateway::builder()
        .file("apis/n.yaml", "api: n\nroutes:\n  - match: GET /a%2fb\n    upstream: http://127.0.0.1:1\n")
        .start_unready();
    let event = gateway.wait_for_event("the refusal", |event| event["event"] == "reload_failed");
    assert_eq!(event["issues"][0]["code"], "E113", "{event}");
}
