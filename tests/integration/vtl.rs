//! Renderings of mapping templates that were recorded on AWS, through a gateway: imported, translated to Lua, served.
//!
//! Cases of the kinds `fragment`, `util` and `render_velocity_template` run as AWS was asked: the request template of a mock keeps
//! the request's body in an override, and the response template begins with `#set`s that take the variables out of it. The
//! other kinds run as request templates in front of an upstream that answers with what it is sent.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::{Value, json};

use moongate_tests::{Answer, Gateway, Recorded, Upstream, binary, vectors};

/// Keeps the body for the response template.
const KEEP_BODY: &str = "#set($context.requestOverride.path.body = $input.body)\n{\"statusCode\": 200}";

/// What one case does and wants.
struct Case {
    id: String,
    oracle: String,
    integration: Value,
    body: String,
    want: String,
    compare: Compare,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Compare {
    Exact,
    Trim,
    /// White space of any length is one blank.
    Collapse,
    /// The same, and none after the commas and colons of JSON: an emulator wrote it with its own language's JSON library, and
    /// with its own engine's line ends after `#foreach`.
    Emulator,
    Json,
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn mock(template: &str) -> Value {
    json!({
        "type": "mock",
        "requestTemplates": {"application/json": KEEP_BODY},
        "responses": {"default": {"statusCode": "200", "responseTemplates": {"application/json": template}}},
    })
}

fn echo(upstream: &Upstream, request: &str, response: Option<&str>) -> Value {
    let mut answer = json!({"statusCode": "200"});
    if let Some(template) = response {
        answer["responseTemplates"] = json!({"application/json": template});
    }
    json!({
        "type": "http", "httpMethod": "POST", "uri": upstream.url(),
        "requestTemplates": {"application/json": request},
        "responses": {"default": answer},
    })
}

/// `#set`s of variables that are members of the body.
fn variables(names: impl IntoIterator<Item = String>) -> String {
    let mut template =
        "#set($body = $context.requestOverride.path.body)\n#set($bodyJSON = $util.parseJson($body))".to_owned();
    for name in names {
        template.push_str(&format!("#set(${name} = $bodyJSON.{name})"));
    }
    template
}

fn names(value: &Value) -> Vec<String> {
    value.as_object().map(|map| map.keys().cloned().collect()).unwrap_or_default()
}

fn case(case: &Value, upstream: &Upstream) -> Option<Case> {
    let template = text(&case["template"]);
    let expected = match &case["expected"] {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let mut compare = match case["compare"].as_str() {
        Some("trim") => Compare::Trim,
        Some("collapse_whitespace") => Compare::Collapse,
        Some("json") => Compare::Json,
        _ if case["oracle"] == "localstack-asserted" => Compare::Emulator,
        _ => Compare::Exact,
    };
    let (integration, body, want) = match case["kind"].as_str()? {
        "fragment" => (mock(&text(&case["full_response_template"])), text(&case["request_body"]), expected),
        "util" => {
            compare = Compare::Exact;
            let template = format!("{}{}($argument)", variables(["argument".to_owned()]), text(&case["function"]));
            (mock(&template), json!({"argument": case["argument"]}).to_string(), expected)
        }
        "render_velocity_template" => {
            let given = &case["variables"];
            (mock(&(variables(names(given)) + &template)), given.to_string(), expected)
        }
        "render_vtl" if case["variables"]["input"].is_object() => {
            (echo(upstream, &template, None), text(&case["variables"]["input"]["body"]), expected)
        }
        "render_vtl" => {
            let given = &case["variables"];
            (mock(&(variables(names(given)) + &template)), given.to_string(), expected)
        }
        "render_response" => {
            // A real request has more headers, and a real context more members, than the case speaks of.
            let mut given = json!({"params": case["variables"]["input"]["params"], "stageVariables": case["variables"]["stageVariables"]});
            given["context"] = case["variables"]["context"].clone();
            for (name, value) in case["context_overrides"].as_object()? {
                given["context"][name] = value.clone();
            }
            let quoted = given.to_string().replace('\'', "''");
            let template = template.replace("$input.params()", "$params");
            let after = "\n|$context.responseOverride.status|$context.responseOverride.header.oHeader|\
                         $context.responseOverride.header.multivalue.get(1)";
            let template = format!(
                "#set($given = $util.parseJson('{quoted}'))#set($context = $given.context)#set($params = $given.params)\
                 #set($stageVariables = $given.stageVariables){template}{after}"
            );
            let overrides = &case["expected"][1];
            let header = &overrides["header"];
            let want = format!(
                "{}\n|{}|{}|{}",
                text(&case["expected"][0]),
                overrides["status"],
                text(&header["oHeader"]),
                text(&header["multivalue"][1])
            );
            (echo(upstream, &template, None), text(&case["variables"]["input"]["body"]), want)
        }
        "request_then_response_template" => {
            let response = text(&case["response_template"]);
            let integration = echo(upstream, &text(&case["request_template"]), Some(&response));
            (integration, text(&case["request_body"]), expected)
        }
        "doc_example" => (echo(upstream, &template, None), text(&case["input_body"]), expected),
        _ => return None,
    };
    Some(Case { id: text(&case["id"]), oracle: text(&case["oracle"]), integration, body, want, compare })
}

fn collapse(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

impl Compare {
    fn is_same(self, got: &str, want: &str) -> bool {
        let compact = |text: &str| collapse(text).replace(": ", ":").replace(", ", ",");
        match self {
            Self::Exact => got == want,
            Self::Trim => got.trim() == want.trim(),
            Self::Collapse => collapse(got) == collapse(want),
            Self::Emulator => compact(got) == compact(want),
            Self::Json => {
                let value = |text: &str| serde_json::from_str::<Value>(text).ok();
                // An empty map prints as `{}`, one with members as Java does.
                value(got).is_some_and(|got| value(want) == Some(got))
            }
        }
    }
}

/// The cases that may fail, out of the list that says why.
fn expected_failures() -> BTreeSet<String> {
    let path = binary::repository().join("tests/conformance/EXPECTED_FAILURES.md");
    let list = fs::read_to_string(&path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()));
    list.lines().filter_map(|line| line.strip_prefix("- `")?.split('`').next().map(str::to_owned)).collect()
}

#[test]
fn recorded_renderings_come_out_of_translated_templates() {
    let Some(folder) = vectors::folder("vtl") else { return };
    let upstream = Upstream::recording(|request: &Recorded| Answer::bytes(request.text()));
    let file = fs::read_to_string(folder.join("vtl.json")).expect("the vectors of templates");
    let file: Value = serde_json::from_str(&file).expect("JSON");
    let cases: Vec<Case> =
        file["cases"].as_array().expect("cases").iter().filter_map(|entry| case(entry, &upstream)).collect();
    let mut paths = serde_json::Map::new();
    for case in &cases {
        let operation = json!({"responses": {}, "x-amazon-apigateway-integration": case.integration});
        paths.insert(format!("/{}", case.id), json!({"post": operation}));
    }
    let document = json!({
        "openapi": "3.0.1", "info": {"title": "vtl", "version": "1"}, "x-moongate-api": "vtl", "paths": paths,
    });
    let gateway = Gateway::builder().file("apis/vtl.json", &document.to_string()).start();
    let may_fail = expected_failures();
    let (mut totals, mut unexpected, mut mended) = (BTreeMap::<String, (usize, usize)>::new(), Vec::new(), Vec::new());
    for case in &cases {
        let headers = [("content-type", "application/json")];
        let response = gateway.request("POST", &format!("/vtl/{}", case.id), &headers, case.body.as_bytes());
        let got = response.text();
        let is_same = response.status == 200 && case.compare.is_same(&got, &case.want);
        let total = totals.entry(case.oracle.clone()).or_default();
        total.0 += usize::from(is_same);
        total.1 += 1;
        match (is_same, may_fail.contains(&case.id)) {
            (false, false) => {
                unexpected.push(format!("{}: {}\n  got  {got:?}\n  want {:?}", case.id, response.status, case.want));
            }
            (true, true) => mended.push(case.id.clone()),
            _ => {}
        }
    }
    for (oracle, (same, all)) in &totals {
        println!("vtl, {oracle}: {same} of {all} renderings equal");
    }
    assert!(unexpected.is_empty(), "{} renderings differ:\n{}", unexpected.len(), unexpected.join("\n"));
    assert!(mended.is_empty(), "these pass now and leave the list of expected failures: {mended:?}");
}
