//! Documents made to hurt: deep, circular, self-multiplying, huge.

use crate::issue::{self, Issue, Span};
use crate::openapi::{codes, to_native};
use crate::source::{self, DEPTH_MAX, ISSUES_MAX, Key, Node, Value};

fn import(text: &str) -> (Option<Node>, Vec<Issue>) {
    let document = source::parse(text, "a.json").expect("JSON");
    let mut issues = Vec::new();
    (to_native(&document, "a.json", &mut issues), issues)
}

#[test]
fn trees_deeper_than_any_text_are_refused() {
    let mut schema = Node::string(Span::default(), "leaf");
    for _ in 0..DEPTH_MAX {
        schema = Node::new(Span::default(), Value::Mapping(vec![(Key::new(Span::default(), "not"), schema)]));
    }
    let version = (Key::new(Span::default(), "openapi"), Node::string(Span::default(), "3.1.0"));
    let document = Node::new(Span::default(), Value::Mapping(vec![version, (Key::new(Span::default(), "x"), schema)]));
    let mut issues = Vec::new();
    assert_eq!(to_native(&document, "a.json", &mut issues), None);
    assert_eq!(issues[0].code, codes::TOO_DEEP);
}

#[test]
fn circles_of_every_kind_end() {
    let text = r##"{"openapi": "3.1.0", "info": {"title": "a"}, "x-moongate-upstream": "http://h",
        "paths": {"/a": {"$ref": "#/paths/~1b"}, "/b": {"$ref": "#/paths/~1a"}, "/c": {"get": {
            "parameters": [{"$ref": "#/components/parameters/p"}],
            "requestBody": {"$ref": "#/components/requestBodies/b"},
            "security": [{"s": []}],
            "x-amazon-apigateway-integration": {"$ref": "#/components/i"}}}},
        "components": {
            "i": {"$ref": "#/components/i"},
            "parameters": {"p": {"$ref": "#/components/parameters/p"}},
            "requestBodies": {"b": {"$ref": "#/components/requestBodies/b"}},
            "securitySchemes": {"s": {"$ref": "#/components/securitySchemes/s"}},
            "schemas": {"A": {"$ref": "#/components/schemas/A"}, "B": {"items": {"$ref": "#/components/schemas/B/items"}}}}}"##;
    let (native, issues) = import(text);
    assert!(native.is_some());
    let cycles = issues.iter().filter(|issue| issue.code == codes::REF_CYCLE).count();
    assert_eq!(cycles, 6, "{issues:?}");
}

#[test]
fn parts_used_often_cannot_blow_a_document_up() {
    let script = "x".repeat(100_000);
    let default = format!(
        r#""x-moongate-integration": {{"type": "lua", "function": {{"lua": "{script}"}}}}, "components": {{}}"#
    );
    let shared = format!(
        r#""components": {{"i": {{"type": "http", "uri": "http://h", "requestParameters": {{"a": "{script}"}}}}}}"#
    );
    let reference = r##""x-amazon-apigateway-integration": {"$ref": "#/components/i"}"##;
    for (top, operation) in [(default.as_str(), ""), (shared.as_str(), reference)] {
        let paths: Vec<String> = (0..3_000).map(|i| format!(r#""/{i}": {{"get": {{{operation}}}}}"#)).collect();
        let (native, issues) = import(&format!(r#"{{"openapi": "3.1.0", "paths": {{{}}}, {top}}}"#, paths.join(",")));
        let routes = native.as_ref().and_then(|native| native.get("routes")).map_or(0, |routes| routes.items().len());
        assert!((100..1_500).contains(&routes), "{routes}");
        assert_eq!(issues.iter().map(|issue| issue.code).collect::<Vec<_>>(), [codes::EXPANSION]);
    }
}

#[test]
fn a_flood_of_problems_is_cut_off_by_kind() {
    let paths: Vec<String> = (0..1_000).map(|i| format!(r#""/{i}": {{"gte": {{}}, "get": 1}}"#)).collect();
    let (_, issues) = import(&format!(r#"{{"openapi": "3.1.0", "paths": {{{}}}}}"#, paths.join(",")));
    for is_error in [true, false] {
        let of_kind: Vec<_> = issues.iter().filter(|issue| issue.is_error() == is_error).collect();
        assert_eq!(of_kind.len(), ISSUES_MAX + 1);
        assert_eq!(of_kind.last().map(|issue| issue.code), Some(issue::codes::TOO_MANY));
    }
}

/// Linear work takes a moment for this; quadratic work would take minutes.
#[test]
fn ten_thousand_operations_are_imported() {
    const COUNT: usize = 10_000;
    let paths: Vec<String> = (0..COUNT)
        .map(|i| {
            format!(
                r##""/things/{i}/{{id}}": {{"parameters": [{{"$ref": "#/components/parameters/p{i}"}}],
                "post": {{"operationId": "same", "security": [{{"s": ["read"]}}],
                "requestBody": {{"content": {{"application/json": {{"schema": {{"$ref": "#/components/schemas/S{i}"}}}}}}}},
                "x-amazon-apigateway-integration": {{"type": "http", "uri": "http://h/{{id}}", "requestTemplates":
                    {{"application/json": "{{\"id\": \"$input.params('id')\"}}"}},
                    "responses": {{"default": {{"statusCode": "200"}}}}}}}}}}"##
            )
        })
        .collect();
    let schemas: Vec<String> = (0..COUNT)
        .map(|i| format!(r##""S{i}": {{"items": {{"$ref": "#/components/schemas/S{}"}}}}"##, (i * 7919) % COUNT))
        .collect();
    let parameters: Vec<String> =
        (0..COUNT).map(|i| format!(r#""p{i}": {{"name": "id", "in": "path", "required": true}}"#)).collect();
    let text = format!(
        r#"{{"openapi": "3.0.3", "info": {{"title": "a"}}, "paths": {{{}}}, "components": {{"schemas": {{{}}},
        "parameters": {{{}}}, "securitySchemes": {{"s": {{"x-moongate-authorizer": {{"type": "lua"}}}}}}}}}}"#,
        paths.join(","),
        schemas.join(","),
        parameters.join(",")
    );
    let (native, issues) = import(&text);
    assert_eq!(issues, []);
    let native = native.expect("importable");
    assert_eq!(native.get("routes").map(|routes| routes.items().len()), Some(COUNT));
    assert_eq!(native.get("models").map(|models| models.entries().len()), Some(COUNT));
    let last = native.pointer(&format!("/routes/{}/name", COUNT - 1)).and_then(Node::as_str);
    assert_eq!(last, Some(&*format!("same-{COUNT}")));
}
