//! Paths, methods, names, references between paths, and where routes go.

use serde_json::{Value, json};

use super::super::codes;
use super::super::testing::{import, import_clean};

/// The routes of a document with these lines under `paths:`.
fn routes(paths: &str) -> Value {
    import_clean(&document(paths))["routes"].take()
}

fn document(paths: &str) -> String {
    format!("openapi: 3.1.0\ninfo: {{title: Orders}}\nservers: [{{url: 'http://orders:9000/'}}]\npaths:\n{paths}\n")
}

fn codes_of(document: &str) -> Vec<&'static str> {
    import(document).1.iter().map(|issue| issue.code).collect()
}

#[test]
fn every_method_of_a_path_is_a_route() {
    let methods = ["get", "put", "post", "delete", "options", "head", "patch", "x-moongate-any-method"];
    let lines: Vec<String> = methods.iter().map(|method| format!("    {method}: {{}}")).collect();
    let routes = routes(&format!("  /a/{{id}}:\n    summary: x\n    description: y\n{}", lines.join("\n")));
    let keys: Vec<&str> =
        routes.as_array().expect("a list").iter().filter_map(|route| route["match"].as_str()).collect();
    let want =
        ["GET", "PUT", "POST", "DELETE", "OPTIONS", "HEAD", "PATCH", "ANY"].map(|method| format!("{method} /a/{{id}}"));
    assert_eq!(keys, want);
}

#[test]
fn the_default_route_is_a_path_of_its_own() {
    assert_eq!(routes("  /$default: {x-amazon-apigateway-any-method: {isDefaultRoute: true}}")[0]["match"], "$default");
    assert_eq!(routes("  /$default: {get: {}}")[0]["match"], "GET /$default");
}

#[test]
fn operations_name_and_describe_their_routes() {
    let routes = routes(
        "  /a: {get: {operationId: listOrders, summary: All orders}}
  /b: {get: {operationId: list_orders, summary: Short, description: Long}}
  /c: {get: {operationId: '?!'}}
  /d: {get: {}}",
    );
    assert_eq!(
        routes,
        json!([
            {"match": "GET /a", "name": "list-orders", "description": "All orders", "upstream": "http://orders:9000"},
            {"match": "GET /b", "name": "list-orders-2", "description": "Long", "upstream": "http://orders:9000"},
            {"match": "GET /c", "upstream": "http://orders:9000"},
            {"match": "GET /d", "upstream": "http://orders:9000"},
        ])
    );
}

#[test]
fn keys_that_make_no_route_are_reported() {
    let cases = [
        ("  /a: {trace: {}}", codes::METHOD_SKIPPED),
        ("  /a: {gte: {}}", codes::METHOD_SKIPPED),
        ("  /a: {GET: {}}", codes::METHOD_SKIPPED),
        ("  /a: []", codes::SHAPE),
        ("  /a: {get: []}", codes::SHAPE),
        ("  x-moongate-upstream: http://a", codes::EXTENSION_PLACE),
        ("  /a: {x-moongate-stages: []}", codes::EXTENSION_PLACE),
        ("  /a: {get: {x-moongate-upsteam: http://a}}", codes::EXTENSION_UNKNOWN),
        ("  /a: {x-moongate-authoriser: none}", codes::EXTENSION_UNKNOWN),
        ("  /a: {get: {x-amazon-apigateway-integraton: {}}}", codes::EXTENSION_AWS_UNKNOWN),
    ];
    for (paths, code) in cases {
        assert_eq!(codes_of(&document(paths)), [code], "{paths}");
    }
    let (_, issues) = import(&document("  /a: {GET: {}}"));
    assert_eq!(issues[0].label.as_deref(), Some("did you mean `get`?"));
    assert_eq!(issues[0].pointer, "/paths/~1a/GET");
}

#[test]
fn webhooks_callbacks_and_links_are_nothing_to_serve() {
    let text = "openapi: 3.1.0\ninfo: {title: a}\nwebhooks: {w: {post: {}}}\n\
        paths: {/a: {get: {x-moongate-upstream: 'http://a', callbacks: {c: {'{$url}': {post: {}}}}, \
        responses: {'200': {links: {l: {operationId: x}}}}}}}\n";
    assert_eq!(
        import_clean(text)["routes"],
        json!([{"match": "GET /a", "method_responses": {"200": {}}, "upstream": "http://a"}])
    );
}

#[test]
fn the_most_specific_answer_wins() {
    let document = |top: &str, path: &str, operation: &str| {
        format!(
            "openapi: 3.1.0\ninfo: {{title: a}}\nservers: [{{url: 'http://server'}}]\n{top}\n\
             paths: {{/a: {{{path} get: {{{operation}}}}}}}\n"
        )
    };
    let aws = "x-amazon-apigateway-integration: {type: http_proxy, uri: 'http://aws'}";
    let cases = [
        ("", "", "", json!({"upstream": "http://server"})),
        ("", "servers: [{url: 'http://path'}],", "", json!({"upstream": "http://path"})),
        ("", "servers: [{url: 'http://path'}],", "servers: [{url: 'http://op'}]", json!({"upstream": "http://op"})),
        ("x-moongate-upstream: http://top", "", "", json!({"upstream": "http://top"})),
        (
            "x-moongate-upstream: http://top",
            "x-moongate-upstream: 'http://path',",
            "",
            json!({"upstream": "http://path"}),
        ),
        (
            "x-moongate-upstream: http://top",
            "x-moongate-upstream: 'http://path',",
            aws,
            json!({"integration": {"type": "http_proxy", "uri": "http://aws"}}),
        ),
        ("", "", "x-moongate-integration: {type: mock}", json!({"integration": {"type": "mock"}})),
    ];
    for (top, path, operation, want) in cases {
        let (native, issues) = import(&document(top, path, operation));
        assert_eq!(issues, [], "{top} {path} {operation}");
        let mut route = native.expect("importable")["routes"][0].take();
        route.as_object_mut().expect("a route").remove("match");
        assert_eq!(route, want, "{top} {path} {operation}");
    }
    let both = document("", "", &format!("x-moongate-upstream: 'http://op', {aws}"));
    assert_eq!(import_clean(&both)["routes"][0]["upstream"], "http://op");
}

#[test]
fn plugins_and_policies_of_a_path_are_defaults_of_its_operations() {
    let routes = routes(
        "  /a:
    x-moongate-plugins: [{plugin: a}]
    x-moongate-policies: [{policy: p}]
    get: {}
    put: {x-moongate-plugins: []}",
    );
    assert_eq!((&routes[0]["plugins"], &routes[0]["policies"]), (&json!([{"plugin": "a"}]), &json!([{"policy": "p"}])));
    assert_eq!(routes[1]["plugins"], json!([]));
}

#[test]
fn routes_without_an_integration_are_errors() {
    let paths = |count: usize| (0..count).map(|i| format!("  /{i}: {{get: {{}}}}\n")).collect::<String>();
    let document =
        |count| format!("openapi: 3.1.0\ninfo: {{title: a}}\nservers: [{{url: /v1}}]\npaths:\n{}", paths(count));
    for (count, want) in [(1, 1), (5, 5), (6, 1), (100, 1)] {
        let (native, issues) = import(&document(count));
        assert_eq!(issues.len(), want, "{count}");
        assert!(issues.iter().all(|issue| issue.code == codes::NO_INTEGRATION && issue.span.is_some()), "{count}");
        assert_eq!(native.expect("importable")["routes"], json!([]));
    }
    let (_, issues) = import(&document(100));
    assert_eq!(issues[0].message, "route `GET /0` and 99 others have no integration");
    assert!(
        issues[0].help.as_deref().is_some_and(|help| help.starts_with("the first server, `/v1`, is not an absolute"))
    );
}

#[test]
fn path_references_are_followed() {
    let routes = routes(
        "  /a: {$ref: '#/paths/~1b'}
  /b: {get: {operationId: b}}",
    );
    assert_eq!(routes[0]["match"], "GET /a");
    assert_eq!(routes[1]["match"], "GET /b");
    let cases = [
        ("  /a: {$ref: '#/paths/~1c'}", codes::REF_MISSING),
        ("  /a: {$ref: 'other.yaml#/paths/~1c'}", codes::REF_REMOTE),
        ("  /a: {$ref: 'https://example.com/api.json'}", codes::REF_REMOTE),
        ("  /a: {$ref: '#/paths/~1a'}", codes::REF_CYCLE),
        ("  /a: {$ref: '#/paths/~1b', get: {}}\n  /b: {}", codes::REF_SIBLINGS),
    ];
    for (paths, code) in cases {
        assert_eq!(codes_of(&document(paths)), [code], "{paths}");
    }
}
