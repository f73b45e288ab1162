//! Versions, the API's identity, and settings of the whole API.

use serde_json::json;

use super::super::testing::{import, import_clean};
use super::super::{codes, is_openapi};
use crate::source;

const EMPTY: &str = "openapi: 3.1.0\ninfo: {title: Orders}\npaths: {}\n";

#[test]
fn only_documents_that_say_so_are_openapi() {
    let cases = [
        ("openapi: 3.1.0", true),
        ("swagger: '2.0'", true),
        ("openapi:", true),
        ("api: orders", false),
        ("- openapi", false),
        ("openapi", false),
    ];
    for (text, want) in cases {
        assert_eq!(is_openapi(&source::parse(text, "a.yaml").expect("YAML")), want, "{text}");
    }
}

#[test]
fn versions_that_can_be_read_are_read() {
    for version in ["openapi: 3.0.1", "openapi: 3.0", "openapi: '3.1.0'", "swagger: '2.0'", "swagger: 2.0"] {
        import_clean(&format!("{version}\ninfo: {{title: a}}"));
    }
    let (native, issues) = import("openapi: 3.2.0\ninfo: {title: a}");
    assert!(native.is_some());
    assert_eq!(issues[0].code, codes::VERSION_NEWER);
    let cases = [
        ("openapi: 4.0.0", codes::VERSION),
        ("openapi: three", codes::VERSION),
        ("openapi: {}", codes::VERSION),
        ("swagger: '1.2'", codes::VERSION),
        ("openapi:", codes::NOT_OPENAPI),
        ("info: {}", codes::NOT_OPENAPI),
        ("- openapi", codes::NOT_OPENAPI),
        ("openapi", codes::NOT_OPENAPI),
    ];
    for (text, code) in cases {
        let (native, issues) = import(text);
        assert_eq!((native, issues[0].code), (None, code), "{text}");
        assert!(issues[0].span.is_some(), "{text}");
    }
}

#[test]
fn the_api_is_named_after_what_is_there() {
    let cases = [
        ("openapi: 3.1.0\ninfo: {title: Simple PetStore (v2)}\n", "simple-petstore-v2"),
        ("openapi: 3.1.0\ninfo: {title: Orders}\nx-moongate-api: sales\n", "sales"),
        ("openapi: 3.1.0\ninfo: {title: '!!!'}\n", "orders"),
        ("openapi: 3.1.0\n", "orders"),
    ];
    for (text, want) in cases {
        assert_eq!(import_clean(text)["api"], want, "{text}");
    }
    let native = import_clean("openapi: 3.1.0\ninfo: {title: Orders, description: Sells things, version: 1.0}\n");
    assert_eq!(
        native,
        json!({"api": "orders", "name": "Orders", "description": "Sells things", "version": "1.0", "protocol": "http", "routes": []})
    );
}

#[test]
fn the_protocol_follows_the_integrations() {
    let cases = [
        ("{type: http_proxy, uri: 'http://h'}", "http"),
        ("{type: http_proxy, uri: 'http://h', payloadFormatVersion: '1.0'}", "http"),
        ("{type: aws_proxy, uri: arn, payloadFormatVersion: '2.0'}", "http"),
        ("{type: aws_proxy, uri: arn, payloadFormatVersion: '2.0', passthroughBehavior: never}", "http"),
        ("{type: aws_proxy, uri: arn}", "rest"),
        ("{type: HTTP_PROXY, uri: 'http://h', passthroughBehavior: when_no_match}", "rest"),
        ("{type: http_proxy, uri: 'http://h', payloadFormatVersion: 1.0, passthroughBehavior: never}", "rest"),
        ("{type: MOCK}", "rest"),
        ("{type: http, uri: 'http://h'}", "rest"),
        ("{type: aws, uri: arn}", "rest"),
    ];
    for (integration, want) in cases {
        let document = |top: &str| {
            format!(
                "openapi: 3.0.0\ninfo: {{title: a}}\n{top}paths: {{/: {{get: {{x-amazon-apigateway-integration: {integration}}}}}}}\n"
            )
        };
        let (native, _) = import(&document(""));
        let native = native.expect("importable");
        assert_eq!((&native["protocol"], &native["compat"]), (&json!(want), &json!("aws")), "{integration}");
        let (native, _) = import(&document("x-moongate-protocol: http\nx-moongate-compat: none\n"));
        let native = native.expect("importable");
        assert_eq!((&native["protocol"], &native["compat"]), (&json!("http"), &json!("none")), "{integration}");
    }
    assert_eq!(import_clean("swagger: '2.0'\ninfo: {title: a}\n")["protocol"], "rest");
}

#[test]
fn native_settings_pass_as_they_are() {
    let native = import_clean(&format!(
        "{EMPTY}x-moongate-stages: [{{name: prod}}]
x-moongate-default-stage: prod
x-moongate-plugins: [{{plugin: trace}}]
x-moongate-policies: [{{policy: rate-limit}}]
x-moongate-limits: {{request_body_bytes_max: 10}}
x-moongate-api-keys: [{{id: a, value: 'env:A'}}]
x-moongate-cors: {{allow_origins: ['*']}}
x-moongate-gateway-responses: {{UNAUTHORIZED: {{status_code: 403}}}}
x-moongate-authorizers: {{staff: {{type: lua, script: {{lua: return true}}}}}}
x-moongate-authorizer: staff
"
    ));
    assert_eq!(
        native,
        json!({
            "api": "orders", "name": "Orders", "protocol": "http",
            "cors": {"allow_origins": ["*"]},
            "authorizers": {"staff": {"type": "lua", "script": {"lua": "return true"}}},
            "default_authorizer": "staff",
            "gateway_responses": {"UNAUTHORIZED": {"status_code": 403}},
            "limits": {"request_body_bytes_max": 10},
            "api_keys": [{"id": "a", "value": "env:A"}],
            "policies": [{"policy": "rate-limit"}],
            "plugins": [{"plugin": "trace"}],
            "stages": [{"name": "prod"}],
            "default_stage": "prod",
            "routes": [],
        })
    );
}

#[test]
fn aws_settings_get_their_native_names() {
    let native = import_clean(&format!(
        "{EMPTY}x-amazon-apigateway-cors: {{allowOrigins: 'https://a', allowMethods: [GET], allowHeaders: [x-a], \
         exposeHeaders: [x-b], allowCredentials: true, maxAge: 60}}
x-amazon-apigateway-gateway-responses:
  DEFAULT_4XX:
    statusCode: '418'
    responseParameters: {{gatewayresponse.header.X-A: \"'1'\"}}
    responseTemplates: {{application/json: '{{}}'}}
x-amazon-apigateway-request-validators: {{all: {{validateRequestBody: true, validateRequestParameters: false}}}}
x-amazon-apigateway-binary-media-types: [image/png]
x-amazon-apigateway-importexport-version: '1.0'
x-amazon-apigateway-documentation: {{version: '1'}}
x-amazon-apigateway-endpoint-configuration: {{types: [REGIONAL]}}
x-amazon-apigateway-api-key-source: HEADER
"
    ));
    assert_eq!(
        native,
        json!({
            "api": "orders", "name": "Orders", "protocol": "http", "compat": "aws",
            "binary_media_types": ["image/png"],
            "cors": {
                "allow_origins": ["https://a"], "allow_methods": ["GET"], "allow_headers": ["x-a"], "expose_headers": ["x-b"],
                "allow_credentials": true, "max_age_seconds": 60
            },
            "request_validators": {"all": {"validate_request_body": true, "validate_request_parameters": false}},
            "gateway_responses": {"DEFAULT_4XX": {
                "status_code": 418,
                "response_parameters": {"gatewayresponse.header.X-A": "'1'"},
                "response_templates": {"application/json": "{}"}
            }},
            "routes": [],
        })
    );
}

#[test]
fn settings_without_effect_are_reported() {
    let cases = [
        ("x-amazon-apigateway-policy: {Statement: [{Effect: Deny}]}", codes::POLICY),
        ("x-amazon-apigateway-policy: '{}'", codes::POLICY),
        ("x-amazon-apigateway-minimum-compression-size: 0", codes::SETTING_UNSUPPORTED),
        ("x-amazon-apigateway-api-key-source: AUTHORIZER", codes::SETTING_UNSUPPORTED),
        ("x-amazon-apigateway-endpoint-configuration: {disableExecuteApiEndpoint: true}", codes::SETTING_UNSUPPORTED),
        ("x-amazon-apigateway-endpoint-configuration: {types: [PRIVATE]}", codes::SETTING_UNSUPPORTED),
        ("x-amazon-apigateway-cors: {allowOrigin: ['*']}", codes::SETTING_UNKNOWN),
        ("x-amazon-apigateway-cors: []", codes::SHAPE),
        ("x-amazon-apigateway-gateway-responses: {DEFAULT_4XX: {status: 400}}", codes::SETTING_UNKNOWN),
        ("x-amazon-apigateway-tags: {}", codes::EXTENSION_AWS_UNKNOWN),
        ("x-moongate-stage: prod", codes::EXTENSION_UNKNOWN),
        ("x-moongate-any-method: {}", codes::EXTENSION_PLACE),
        ("components: {x-moongate-api: a}", codes::EXTENSION_PLACE),
        ("x-moongate-authorizers: []", codes::SHAPE),
    ];
    for (line, code) in cases {
        let (_, issues) = import(&format!("{EMPTY}{line}\n"));
        assert_eq!(issues.iter().map(|issue| issue.code).collect::<Vec<_>>(), [code], "{line}");
        assert!(issues[0].span.is_some_and(|span| span.start as usize >= EMPTY.len()), "{line}");
    }
    let (_, issues) = import(&format!("{EMPTY}x-moongate-stage: prod\n"));
    assert_eq!(issues[0].label.as_deref(), Some("did you mean `x-moongate-stages`?"));
}
