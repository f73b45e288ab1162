//! `moongate validate`: every problem with its place, a clear exit code, and no file that makes it suffer.

use std::time::{Duration, Instant};

use moongate_tests::Project;
use moongate_tests::process::{Ended, Process};
use moongate_tests::wait::SOON;

/// What the command ends with when the project has errors (`EX_DATAERR` of sysexits.h).
const INVALID: Option<i32> = Some(65);

fn validate(project: &Project, arguments: &[&str]) -> Ended {
    Process::run(project.working_folder(), [&["validate", "."], arguments].concat(), SOON)
}

/// Everything it said: problems may stand on either stream.
fn said(ended: &Ended) -> String {
    format!("{}\n{}", ended.stdout, ended.stderr)
}

#[test]
fn a_good_project_is_valid() {
    let project = Project::of([
        ("apis/shop.yaml", "api: shop\nroutes:\n  - match: GET /orders/{id}\n    upstream: http://orders:9000\n"),
        ("lua/unused.lua", "this is no Lua, and nobody uses it\n"),
    ]);
    let ended = validate(&project, &[]);
    assert_eq!(ended.code, Some(0), "{}", said(&ended));
    assert!(said(&ended).contains("1 route"), "{}", said(&ended));
}

#[test]
fn all_problems_are_shown_with_their_lines() {
    let project = Project::of([
        (
            "apis/shop.yaml",
            "api: shop
routes:
  - match: GET /orders/{id}
    upsteam: http://orders:9000
  - match: FETCH /orders
    upstream: http://orders:9000
",
        ),
        ("apis/other.yaml", "api: Other\nroutes: []\n"),
    ]);
    let ended = validate(&project, &[]);
    let said = said(&ended);
    assert_eq!(ended.code, INVALID, "{said}");
    for wanted in [
        "error[E014]",
        "apis/shop.yaml:4:5",
        "     upsteam: http://orders:9000",
        "^^^^^^^",
        "did you mean `upstream`?",
        "apis/shop.yaml:5:",
        "`FETCH` is not a method",
        "apis/other.yaml:1:6",
    ] {
        assert!(said.contains(wanted), "`{wanted}` is missing in\n{said}");
    }
    assert!(said.contains("3 errors"), "the total is missing in\n{said}");
}

#[test]
fn problems_of_meaning_are_shown_once_the_documents_can_be_read() {
    let project = Project::of([
        (
            "apis/shop.yaml",
            "api: shop
routes:
  - match: GET /orders/{id}
    upstream: http://orders:9000
  - match: GET /orders/{number}
    upstream: orders:9000
  - match: GET /me
    authorizer: nobody
    upstream: http://me:9000
  - match: GET /map
    integration:
      type: http
      uri: http://orders:9000
      request_templates: { application/json: { file: lua/missing.lua } }
",
        ),
        ("apis/domain.yaml", "domain: api.example.com\nmappings:\n  - { api: nowhere }\n"),
    ]);
    let ended = validate(&project, &[]);
    let said = said(&ended);
    assert_eq!(ended.code, INVALID, "{said}");
    for code in ["E020", "E021", "E023", "E027"] {
        assert!(said.contains(&format!("error[{code}]")), "{code} is missing in\n{said}");
    }
}

#[test]
fn a_script_s_mistake_is_shown_at_its_own_line() {
    let project = Project::of([
        (
            "apis/shop.yaml",
            "api: shop
routes:
  - match: GET /map
    integration:
      type: http
      uri: http://orders:9000
      request_templates: { application/json: { file: lua/map.lua } }
",
        ),
        ("lua/map.lua", "local a = 1\nreturn = a\n"),
    ]);
    let ended = validate(&project, &[]);
    assert_eq!(ended.code, INVALID, "{}", said(&ended));
    assert!(said(&ended).contains("lua/map.lua:2:"), "{}", said(&ended));
    assert!(said(&ended).contains("return = a"), "{}", said(&ended));
}

#[test]
fn problems_can_be_had_as_json() {
    let project = Project::of([("apis/shop.yaml", "api: shop\nroute: []\n")]);
    let ended = validate(&project, &["--format", "json"]);
    assert_eq!(ended.code, INVALID, "{}", said(&ended));
    let report: serde_json::Value =
        serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {}", ended.stdout));
    let issues = report.as_array().or_else(|| report["issues"].as_array()).expect("a list of issues");
    assert_eq!((issues[0]["code"].as_str(), issues[0]["line"].as_u64()), (Some("E014"), Some(2)), "{report}");
}

#[test]
fn an_empty_project_and_a_missing_folder_are_no_success() {
    let ended = validate(&Project::default(), &[]);
    assert!(ended.code.is_some_and(|code| code != 0), "{}", said(&ended));
    let missing = Process::run(Project::default().working_folder(), ["validate", "./no-such-folder"], SOON);
    assert!(
        missing.code.is_some_and(|code| code != 0) && said(&missing).contains("no-such-folder"),
        "{}",
        said(&missing)
    );
}

#[test]
fn a_hundred_thousand_routes_are_checked_in_ten_seconds() {
    let mut text = String::from("api: large\nroutes:\n");
    for number in 0..100_000 {
        text.push_str(&format!("  - match: GET /resource-{number}/{{id}}\n    upstream: http://127.0.0.1:9000\n"));
    }
    let project = Project::of([("apis/large.yaml", &text)]);
    let start = Instant::now();
    let ended = Process::run(project.working_folder(), ["validate", "."], Duration::from_secs(60));
    assert_eq!(ended.code, Some(0), "{}", said(&ended));
    assert!(start.elapsed() < Duration::from_secs(10), "it took {:?}", start.elapsed());
}

#[test]
fn hostile_documents_are_refused_quickly() {
    let mut bomb = String::from("api: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n");
    for level in 1..30 {
        let before = format!("*a{}", level - 1);
        bomb.push_str(&format!("x{level}: &a{level} [{}]\n", [before.as_str(); 9].join(", ")));
    }
    let deep = format!("api: {}{}\n", "[".repeat(100_000), "]".repeat(100_000));
    let cycle = r##"{"openapi": "3.0.3", "info": {"title": "Loop", "version": "1"}, "servers": [{"url": "http://127.0.0.1:1"}],
        "paths": {"/a": {"get": {"parameters": [{"$ref": "#/components/parameters/A"}], "responses": {}}}},
        "components": {"parameters": {"A": {"$ref": "#/components/parameters/B"}, "B": {"$ref": "#/components/parameters/A"}}}}"##;
    let self_alias = "api: shop\nroutes: &r\n  - *r\n";
    let cases = [
        ("apis/bomb.yaml", bomb.as_str(), "E002"),
        ("apis/deep.yaml", deep.as_str(), "E002"),
        ("apis/cycle.json", cycle, "E204"),
        ("apis/alias.yaml", self_alias, "E0"),
        ("apis/binary.yaml", "\u{0}\u{1}\u{2}", "E0"),
        ("apis/list.yaml", "- a\n- b\n", "E004"),
    ];
    for (path, text, code) in cases {
        let project = Project::of([(path, text)]);
        let start = Instant::now();
        let ended = validate(&project, &[]);
        let said = said(&ended);
        let shown = &said[..said.len().min(2_000)];
        assert_eq!(ended.code, INVALID, "{path}: {shown}");
        assert!(said.contains(&format!("error[{code}")), "{path}: {shown}");
        assert!(said.len() < 100_000, "{path} says {} bytes", said.len());
        assert!(start.elapsed() < Duration::from_secs(5), "{path} took {:?}", start.elapsed());
    }
}

#[test]
fn a_schema_that_contains_itself_is_no_problem() {
    let document = r##"{"openapi": "3.0.3", "info": {"title": "Tree", "version": "1"}, "servers": [{"url": "http://127.0.0.1:1"}],
        "paths": {"/tree": {"post": {"requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Node"}}}},
        "responses": {"200": {"description": "ok"}}}}},
        "components": {"schemas": {"Node": {"type": "object", "properties": {"children": {"type": "array",
        "items": {"$ref": "#/components/schemas/Node"}}}}}}}"##;
    let ended = validate(&Project::of([("apis/tree.json", document)]), &[]);
    assert_eq!(ended.code, Some(0), "{}", said(&ended));
}

#[test]
fn production_does_not_start_on_a_project_with_errors() {
    let project = Project::of([("moongate.yaml", ""), ("apis/shop.yaml", "api: shop\nroute: []\n")]);
    let ended = Process::run(project.working_folder(), ["run", "-c", "moongate.yaml", "--listen", "127.0.0.1:0"], SOON);
    assert_eq!(ended.code, INVALID, "{}", said(&ended));
    assert!(said(&ended).contains("E014"), "{}", said(&ended));
}

#[test]
fn wrong_settings_are_shown_like_wrong_documents() {
    let project = Project::of([("moongate.yaml", "workers: 1\nlisten_on: 127.0.0.1:0\n")]);
    for arguments in [&["run", "-c", "moongate.yaml"][..], &["dev", "."]] {
        let ended = Process::run(project.working_folder(), arguments, SOON);
        assert_eq!(ended.code, INVALID, "{arguments:?}: {}", said(&ended));
        assert!(said(&ended).contains("moongate.yaml:2:1"), "{arguments:?}: {}", said(&ended));
    }
}

#[test]
fn wrong_usage_is_told_apart_from_wrong_projects() {
    let project = Project::default();
    for arguments in [&["deply"][..], &["validate", "--no-such-flag"], &["dev", ".", "--listen", "nonsense"]] {
        let ended = Process::run(project.working_folder(), arguments, SOON);
        assert!(matches!(ended.code, Some(2 | 64)), "{arguments:?}: {ended:?}");
        assert!(!ended.stderr.is_empty(), "{arguments:?}");
    }
}

#[test]
fn the_schema_is_json_schema() {
    let ended = Process::run(Project::default().working_folder(), ["schema"], SOON);
    assert_eq!(ended.code, Some(0), "{}", said(&ended));
    let schema: serde_json::Value = serde_json::from_str(&ended.stdout).expect("JSON");
    assert!(schema["$schema"].as_str().is_some_and(|dialect| dialect.contains("json-schema.org")), "{schema}");
}

#[test]
fn policies_are_listed_and_explained() {
    let moongate = |arguments: &[&str]| Process::run(Project::default().working_folder(), arguments.to_vec(), SOON);
    let list = moongate(&["policies"]);
    assert_eq!(list.code, Some(0));
    assert!(list.stdout.contains("ip_access") && list.stdout.contains("api_key"), "{}", list.stdout);
    let manual = moongate(&["policies", "ip_access"]);
    assert!(manual.stdout.starts_with("# `ip_access`") && manual.stdout.contains("\"allow\""), "{}", manual.stdout);
    assert_eq!(moongate(&["policies", "nothing"]).code, Some(1));
}
