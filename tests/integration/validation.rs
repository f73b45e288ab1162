//! Request validation: models that attack, bodies that attack, and what a client is told.

use serde_json::Value;

use moongate_tests::process::Process;
use moongate_tests::wait::SOON;
use moongate_tests::{Gateway, Project};

/// Models that would cost too much, or never end, are refused when they are loaded; what is accepted checks hostile bodies in no time.
#[test]
fn hostile_models_cost_nothing() {
    let api = |schema: &str| {
        format!(
            "api: m\nmodels: {{M: {{schema: {schema}}}, N: {{schema: {{allOf: [{{$ref: '#/models/M'}}]}}}}}}\n\
             request_validators: {{v: {{validate_request_body: true}}}}\nroutes:\n  - match: POST /\n    request_validator: v\n    \
             request_models: {{application/json: M}}\n    integration: {{type: mock, responses: [{{status_code: 200}}]}}\n"
        )
    };
    for (name, schema, why) in [
        ("itself", "{$ref: '#/models/M'}", "leads back to itself"),
        ("each other", "{oneOf: [{$ref: '#/models/N'}, {type: string}]}", "leads back to itself"),
        ("a large pattern", "{type: string, pattern: '((((a{1000}){1000}){1000}){1000})'}", "not a usable JSON Schema"),
    ] {
        let project = Project::of([("apis/m.yaml", &*api(schema))]);
        let ended = Process::run(project.working_folder(), ["validate", "."], SOON);
        assert_eq!(ended.code, Some(65), "{name}: {}", ended.stdout);
        assert!(ended.stderr.contains(why), "{name}: {}", ended.stderr);
    }
    let gateway = Gateway::with_api(&api(
        "{type: object, properties: {p: {type: string, pattern: '^(a+)+$'}, child: {$ref: '#/models/M'}}, additionalProperties: false}",
    ));
    let deep = format!("{}{{}}{}", "{\"child\":".repeat(100), "}".repeat(100));
    let too_deep = format!("{}{{}}{}", "{\"child\":".repeat(10_000), "}".repeat(10_000));
    let pattern = format!("{{\"p\":\"{}!\"}}", "a".repeat(100_000));
    let began = std::time::Instant::now();
    for (body, want) in [(&deep, 200), (&too_deep, 400), (&pattern, 400), (&"[".repeat(100_000), 400)] {
        let response = gateway.request("POST", "/m/", &[("Content-Type", "application/json")], body.as_bytes());
        assert_eq!(response.status, want, "{}", response.text());
    }
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
}

/// What is wrong with a body is told place by place, in a problem document; a validator that only reports lets it pass.
#[test]
fn invalid_bodies_are_told_where_they_are_wrong() {
    let api = |mode: &str| {
        format!(
            "api: m\nmodels: {{M: {{schema: {{type: object, required: [name], properties: {{n: {{type: integer}}, \
             items: {{type: array, items: {{type: string}}}}}}}}}}}}\nrequest_validators: {{v: {{validate_request_body: true, \
             validate_request_parameters: true, mode: {mode}}}}}\nroutes:\n  - match: POST /\n    request_validator: v\n    \
             request_models: {{application/json: M}}\n    request_parameters: {{method.request.querystring.q: true, \
             method.request.header.x-a: true}}\n    integration: {{type: mock, responses: [{{status_code: 200}}]}}\n"
        )
    };
    let gateway = Gateway::with_api(&api("enforce"));
    let body = br#"{"n": "x", "items": ["a", 7]}"#;
    let response = gateway.request("POST", "/m/?q=1", &[("x-a", "1")], body).expect_status(400);
    assert_eq!(response.header("content-type"), Some("application/problem+json"));
    let problem = response.json();
    assert_eq!((&problem["status"], &problem["error"]), (&400.into(), &"bad_request_body".into()));
    let mut pointers: Vec<&str> =
        problem["errors"].as_array().expect("errors").iter().filter_map(|error| error["pointer"].as_str()).collect();
    pointers.sort_unstable();
    assert_eq!(pointers, ["#", "#/items/1", "#/n"]);
    assert!(!response.text().contains("\"x\""), "values of the body are not repeated: {}", response.text());
    let response = gateway.request("POST", "/m/", &[], b"{\"name\": \"a\"}").expect_status(400);
    let missing: Vec<Value> =
        response.json()["errors"].as_array().expect("errors").iter().map(|e| e["parameter"].clone()).collect();
    assert_eq!(missing, ["header x-a", "query q"]);

    let gateway = Gateway::with_api(&api("report"));
    gateway.request("POST", "/m/", &[], body).expect_status(200);
}
