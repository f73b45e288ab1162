//! Tests of the checks that golden files do not show: what is accepted, and how much is reported.

use std::collections::BTreeMap;

use crate::issue::{Issue, codes};
use crate::project::{Project, Sources};
use crate::source::ISSUES_MAX;

fn load(files: &[(&str, &str)]) -> Vec<Issue> {
    let files: BTreeMap<_, _> = files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect();
    Project::load(Sources { files }).1
}

fn found(files: &[(&str, &str)]) -> Vec<(&'static str, String)> {
    load(files).into_iter().map(|issue| (issue.code, issue.pointer)).collect()
}

#[test]
fn a_whole_project_without_problems_is_accepted() {
    let api = r#"
api: orders
protocol: rest
cors: { allow_origins: ["https://app.example.com"], allow_headers: [authorization], allow_credentials: true, max_age_seconds: -1 }
authorizers:
  main: { type: lua, script: { file: lua/auth.lua }, identity_source: [$request.header.authorization] }
default_authorizer: main
api_keys:
  - { id: a, value: "env:KEY" }
  - { id: b, sha256: 9F86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 }
models:
  Order: { schema: { type: object } }
request_validators:
  all: { validate_request_body: true, validate_request_parameters: true }
gateway_responses:
  DEFAULT_5XX: { status_code: 599 }
stages:
  - { name: dev, variables: { host: "orders:9000" } }
  - { name: prod }
default_stage: prod
routes:
  - match: GET /orders/{id}
    name: get-order
    upstream: http://orders:9000
  - match: POST /orders
    authorizer: none
    request_validator: all
    request_models: { application/json: Order }
    integration:
      type: http
      uri: http://${stageVariables.host}/orders
      method: POST
      timeout_ms: 50
      request_templates: { application/json: { lua: "return {}" } }
      responses: [{ status_code: 201, response_templates: { application/json: { text: "{}" } } }]
  - match: ANY /orders/{id}
    integration: { type: mock }
  - match: $default
    integration: { type: lua, function: { file: lua/auth.lua } }
"#;
    let domain = "domain: '*.example.com'\nmappings: [{api: orders}, {base_path: /v2, api: orders, stage: dev}]\n";
    let files =
        [("apis/orders.yaml", api), ("apis/x/domain.json", "{\"domain\": \"api.localhost\", \"mappings\": []}")];
    assert_eq!(found(&[files[0], files[1], ("apis/d.yml", domain), ("lua/auth.lua", "return true")]), []);
}

#[test]
fn apis_without_stages_have_the_implied_one() {
    let domain = |stage: &str| format!("domain: a.example\nmappings: [{{api: a, stage: {stage}}}]\n");
    let cases =
        [("http", "$default", true), ("http", "dev", false), ("rest", "dev", true), ("rest", "$default", false)];
    for (protocol, stage, is_known) in cases {
        let api = format!("api: a\nprotocol: {protocol}\n");
        let issues = found(&[("apis/a.yaml", &api), ("apis/d.yaml", &domain(stage))]);
        assert_eq!(issues.is_empty(), is_known, "{protocol} {stage}: {issues:?}");
    }
}

#[test]
fn nothing_is_said_about_names_in_documents_that_could_not_be_read() {
    let domain = ("apis/d.yaml", "domain: a.example\nmappings: [{api: a}, {base_path: /b, api: b}]\n");
    let b = ("E020", "/mappings/1/api".to_owned());
    assert_eq!(found(&[("apis/a.yaml", "api: a\nroutes: 1\n"), domain]), [("E010", "/routes".to_owned()), b.clone()]);
    assert_eq!(found(&[("apis/a.yaml", "api: [\n"), domain]), [("E001", String::new())]);
    assert_eq!(found(&[("apis/a.yaml", "api: a\n"), domain]), [b]);
}

#[test]
fn only_documents_are_loaded() {
    let not_loaded =
        ["apis/README.md", "moongate.yaml", "other/a.yaml", "apis.yaml", "x/petstore.openapi.yaml", "lua/a.json"];
    for path in not_loaded {
        assert_eq!(found(&[(path, "junk: 1")]), [(codes::EMPTY_PROJECT, String::new())], "{path}");
    }
    for path in
        ["apis/a.yaml", "apis/deep/er/a.yml", "apis/a.json", "a.openapi.json", "a.openapi.yaml", "a.openapi.yml"]
    {
        assert_eq!(found(&[(path, "junk: 1")]), [(codes::UNKNOWN_DOCUMENT, String::new())], "{path}");
    }
}

#[test]
fn a_route_without_an_authorizer_is_a_warning_only_where_it_may_be_an_oversight() {
    let authorizers = "authorizers: { main: { type: jwt } }\n";
    let routes = "routes: [{ match: GET /, upstream: 'http://h' }]\n";
    let open = ("W007", "/routes/0/match".to_owned());
    let cases = [
        (format!("api: a\n{routes}"), vec![]),
        (format!("api: a\n{authorizers}{routes}"), vec![open]),
        (format!("api: a\n{authorizers}default_authorizer: main\n{routes}"), vec![]),
        (format!("api: a\n{authorizers}default_authorizer: none\n{routes}"), vec![]),
    ];
    for (text, want) in cases {
        assert_eq!(found(&[("apis/a.yaml", &text)]), want, "{text}");
    }
}

#[test]
fn many_warnings_do_not_hide_an_error() {
    let routes: String = (0..2_000).map(|at| format!("  - {{ match: GET /r{at}, upstream: 'http://h' }}\n")).collect();
    let text =
        format!("api: a\nauthorizers: {{ main: {{ type: jwt }} }}\nroutes:\n{routes}  - {{ match: GET /last }}\n");
    let issues = load(&[("apis/a.yaml", &text)]);
    let errors: Vec<_> = issues.iter().filter(|issue| issue.is_error()).map(|issue| issue.code).collect();
    assert_eq!(errors, [codes::EXACTLY_ONE]);
    assert_eq!(issues.len(), ISSUES_MAX + 1 + errors.len());
}

#[test]
fn many_errors_are_counted_not_listed() {
    let models: String = (0..3_000).map(|at| format!("  model{at}: {{ schema: {{}} }}\n")).collect();
    let route = "  - { match: GET /same, request_models: { a/b: modle, c/d: modl }, upstream: nowhere }\n";
    let text = format!("api: a\nmodels:\n{models}routes:\n{}", route.repeat(3_000));
    let issues = load(&[("apis/a.yaml", &text)]);
    assert_eq!(issues.len(), ISSUES_MAX + 1);
    assert!(issues.iter().any(|issue| issue.code == codes::TOO_MANY));
}

#[test]
fn every_issue_has_a_place_in_its_text() {
    let text =
        "api: a\nauthorizers:\n  é: { type: lua }\nroutes:\n  - match: GET /{b}\n    authorizer: x\n    integration:\n";
    for issue in load(&[("apis/a.yaml", text)]) {
        let span = issue.span.expect("a place");
        assert!(text.get(span.start as usize..span.end as usize).is_some_and(|marked| !marked.is_empty()), "{issue}");
    }
}
