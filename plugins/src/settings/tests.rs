use serde_json::json;

use super::*;

fn plugin(schema: Value) -> Plugin {
    Plugin {
        name: "p".to_owned(),
        version: "1.0.0".to_owned(),
        summary: String::new(),
        phases: Vec::new(),
        schema,
        buffers_request: false,
        buffers_response: false,
        handler: String::new(),
        libraries: std::collections::BTreeMap::new(),
        description: String::new(),
        schema_text: String::new(),
        readme: String::new(),
    }
}

fn strict() -> Plugin {
    plugin(json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["name"],
        "properties": {
            "name": {"type": "string", "minLength": 1, "maxLength": 8, "pattern": "^[a-z]+$"},
            "mode": {"enum": ["open", "closed"]},
            "count": {"type": "integer", "minimum": 1, "maximum": 9},
            "tags": {"type": "array", "items": {"type": "string"}, "uniqueItems": true, "maxItems": 3},
            "either": {"type": ["string", "boolean"]},
            "host": {"not": {"pattern": "^(?i:localhost)$"}},
            "odd": {"not": {"multipleOf": 2}},
            "a/b": {"type": "object", "additionalProperties": false, "properties": {"url": {"type": "string", "format": "uri"}}}
        }
    }))
}

fn told(plugin: &Plugin, config: &Value) -> Vec<String> {
    plugin.check_config(config).into_iter().map(|problem| format!("{} {}", problem.pointer, problem.message)).collect()
}

#[test]
fn settings_that_fit_have_no_problems() {
    let config = json!({
        "name": "abc", "mode": "open", "count": 9, "tags": ["a"], "either": true, "a/b": {"url": "http://localhost"}
    });
    assert_eq!(told(&strict(), &config), Vec::<String>::new());
}

#[test]
fn settings_that_do_not_fit_are_told_where_and_why() {
    let cases = [
        (json!({}), vec![" `name` is needed"]),
        (Value::Null, vec![" `name` is needed"]),
        (json!([]), vec![" must be an object"]),
        (json!("x"), vec![" must be an object"]),
        (json!({"name": ""}), vec!["/name must not be empty", "/name does not match the pattern `^[a-z]+$`"]),
        (json!({"name": "abcdefghi"}), vec!["/name must have at most 8 characters"]),
        (json!({"name": 1}), vec!["/name must be a text"]),
        (json!({"name": "a", "mode": "shut"}), vec![r#"/mode must be one of "open", "closed""#]),
        (json!({"name": "a", "count": 0}), vec!["/count must be at least 1"]),
        (json!({"name": "a", "count": 10}), vec!["/count must be at most 9"]),
        (json!({"name": "a", "count": 1.5}), vec!["/count must be a whole number"]),
        (json!({"name": "a", "host": "LocalHost"}), vec!["/host must not match the pattern `^(?i:localhost)$`"]),
        (json!({"name": "a", "odd": 2}), vec!["/odd is not allowed"]),
        (json!({"name": "a", "either": 1}), vec!["/either must be true or false or a text"]),
        (json!({"name": "a", "tags": ["b", 1]}), vec!["/tags/1 must be a text"]),
        (json!({"name": "a", "tags": ["b", "b"]}), vec!["/tags must not hold the same item twice"]),
        (json!({"name": "a", "a/b": {"url": "no"}}), vec!["/a~1b/url has not the format `uri`"]),
        (json!({"name": "a", "a/b": {"x/y": 1}}), vec!["/a~1b/x~1y there is no setting `x/y`; there are `url`"]),
        (
            json!({"nam": "a"}),
            vec![
                "/nam there is no setting `nam`; there are `name`, `mode`, `count`, `tags`, `either`, `host`, `odd`, `a/b`",
                " `name` is needed",
            ],
        ),
    ];
    for (config, mut want) in cases {
        let mut got = told(&strict(), &config);
        got.sort();
        want.sort_unstable();
        assert_eq!(got, want, "{config}");
    }
}

#[test]
fn problems_are_bounded_and_hold_no_values() {
    let many: Map<String, Value> = (0..1000).map(|n| (format!("key{n}"), json!(n))).collect();
    assert_eq!(strict().check_config(&Value::Object(many)).len(), PROBLEMS_MAX);
    let items = vec![json!(1); 1000];
    assert_eq!(strict().check_config(&json!({"name": "a", "tags": items})).len(), PROBLEMS_MAX);
    let secretive = plugin(
        json!({"properties": {"key": {"anyOf": [{"type": "integer"}, {"type": "null"}]}, "odd": {"multipleOf": 2}}}),
    );
    let problems = told(&secretive, &json!({"key": "hunter2", "odd": 31_337}));
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(problems.iter().all(|problem| !problem.contains("hunter2") && !problem.contains("31337")), "{problems:?}");
    let long = strict().check_config(&json!({"name": "a", "x".repeat(10_000): 1}));
    assert!(long[0].message.chars().count() <= MESSAGE_CHARS_MAX + 3);
}

#[test]
fn schemas_that_refer_or_do_not_hold_are_refused() {
    let cases = [
        (r##"{"$ref": "#"}"##, "must not use `$ref`"),
        (r##"{"properties": {"a": {"items": [{"$ref": "#/$defs/x"}]}}}"##, "must not use `$ref`"),
        (r##"{"allOf": [{"$dynamicRef": "#x"}]}"##, "must not use `$dynamicRef`"),
        (r#"{"$schema": "https://example.com/mine"}"#, "the schema is not valid"),
        (r#"{"type": 5}"#, "the schema is not valid at `/type`"),
        (r#"{"properties": {"a": {"minLength": -1}}}"#, "the schema is not valid at `/properties/a/minLength`"),
        (r#"{"properties": {"a": {"pattern": "("}}}"#, "the schema is not valid"),
        (r#"{"properties": {"a": {"pattern": "(?=x)"}}}"#, "the schema is not valid"),
        ("[]", "the schema must be an object"),
        ("true", "the schema must be an object"),
        ("", "EOF"),
    ];
    for (text, message) in cases {
        let (_, refusal) = parse_schema(text).expect_err(text);
        assert!(refusal.contains(message), "{text}: {refusal}");
    }
    let nested = format!("{}{}", r#"{"not":"#.repeat(200), "}".repeat(200));
    parse_schema(&nested).expect_err("too deep");
    assert_eq!(parse_schema("{\n\"a\":,}").expect_err("no JSON").0, Some(2));
    parse_schema(r#"{"$schema": "http://json-schema.org/draft-07/schema#"}"#).expect("a draft that is known by itself");
}

#[test]
fn a_plugin_made_by_hand_with_a_broken_schema_refuses_all_settings() {
    for schema in [json!({"type": "objct"}), json!(true), json!({"$ref": "#"})] {
        assert_eq!(plugin(schema.clone()).check_config(&json!({})).len(), 1, "{schema}");
    }
}

#[test]
fn defaults_fill_what_is_absent_and_nothing_else() {
    let plugin = plugin(json!({
        "properties": {
            "header": {"default": "x-id"},
            "plain": {"type": "string"},
            "log": {"default": {}, "properties": {"level": {"default": "info"}, "to": {"default": ["out"]}}},
            "retry": {"properties": {"count": {"default": 3}}},
            "rules": {"items": {"properties": {"cost": {"default": 1}}}}
        }
    }));
    let cases = [
        (Value::Null, json!({"header": "x-id", "log": {"level": "info", "to": ["out"]}})),
        (
            json!({"header": "y", "extra": 1}),
            json!({"header": "y", "extra": 1, "log": {"level": "info", "to": ["out"]}}),
        ),
        (
            json!({"header": null, "log": {"level": "warn"}}),
            json!({"header": null, "log": {"level": "warn", "to": ["out"]}}),
        ),
        (json!({"header": "", "log": 5, "retry": {}}), json!({"header": "", "log": 5, "retry": {"count": 3}})),
        (
            json!({"header": "", "log": null, "rules": [{}, {"cost": 2}, 7]}),
            json!({"header": "", "log": null, "rules": [{"cost": 1}, {"cost": 2}, 7]}),
        ),
    ];
    for (config, want) in cases {
        assert_eq!(plugin.with_defaults(&config), want, "{config}");
    }
}

#[test]
fn settings_that_name_secrets_are_found() {
    let schema = json!({
        "type": "object",
        "properties": {
            "key": { "type": "string", "format": "secret" },
            "plain": { "type": "string" },
            "clients": {
                "type": "object",
                "additionalProperties": { "type": "object", "properties": { "a/b": { "type": "string", "format": "secret" } } }
            },
            "list": { "type": "array", "items": { "type": "string", "format": "secret" } }
        }
    });
    let settings = json!({
        "key": "env:A", "plain": "env:B", "clients": { "one": { "a/b": "file:c" } }, "list": ["env:D", 1], "other": "env:E"
    });
    let found = plugin(schema).secrets(&settings);
    let want = [("/key", "env:A"), ("/clients/one/a~1b", "file:c"), ("/list/0", "env:D")];
    let got: Vec<(&str, &str)> = found.iter().map(|(place, reference)| (place.as_str(), *reference)).collect();
    assert_eq!(got, want);
}
