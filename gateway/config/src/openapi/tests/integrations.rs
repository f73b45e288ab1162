//! `x-amazon-apigateway-integration`.

use serde_json::{Value, json};

use super::super::codes;
use super::super::testing::{import, import_clean};
use crate::issue::Issue;

fn document(path: &str, integration: &str) -> String {
    format!(
        "openapi: 3.0.1\ninfo: {{title: a}}\npaths:\n  {path}:\n    get:\n      x-amazon-apigateway-integration:\n{}\n",
        integration.lines().map(|line| format!("        {line}")).collect::<Vec<_>>().join("\n")
    )
}

fn converted(integration: &str) -> Value {
    import_clean(&document("/a/{id}", integration))["routes"][0]["integration"].take()
}

fn issues(integration: &str) -> Vec<Issue> {
    import(&document("/a/{id}", integration)).1
}

/// A script as templates become one.
fn lua(script: &str) -> String {
    format!("-- Translated from a Velocity template. The library `vtl` does what Velocity does.\n{script}")
}

#[test]
fn every_field_gets_its_native_name() {
    let native = converted(
        r#"type: HTTP
uri: http://h/{id}
httpMethod: post
requestParameters:
  integration.request.path.id: method.request.path.id
requestTemplates:
  application/json: '{"id": "$input.params(''id'')"}'
  text/plain: plain
passthroughBehavior: NEVER
contentHandling: CONVERT_TO_TEXT
responses:
  default:
    statusCode: "200"
  "4\\d{2}":
    statusCode: 404
    contentHandling: CONVERT_TO_BINARY
    responseParameters:
      method.response.header.X-A: "'a'"
    responseTemplates:
      application/json: $input.body
timeoutInMillis: 1000
tlsConfig: {insecureSkipVerification: true, serverNameToVerify: h}"#,
    );
    assert_eq!(
        native,
        json!({
            "type": "http",
            "uri": "http://h/{id}",
            "method": "POST",
            "request_parameters": {"integration.request.path.id": "method.request.path.id"},
            "request_templates": {
                "application/json": {"lua": lua("return '{\"id\": \"' .. vtl.text(input.params(\"id\")) .. '\"}'\n")},
                "text/plain": {"text": "plain"}
            },
            "passthrough_behavior": "never",
            "content_handling": "convert_to_text",
            "responses": [
                {"status_code": 200},
                {
                    "selection_pattern": "4\\d{2}",
                    "status_code": 404,
                    "response_parameters": {"method.response.header.X-A": "'a'"},
                    "response_templates": {"application/json": {"lua": lua("return input.body\n")}},
                    "content_handling": "convert_to_binary"
                }
            ],
            "timeout_ms": 1000,
            "tls": {"insecure_skip_verification": true, "server_name": "h"}
        })
    );
}

#[test]
fn any_stands_for_the_clients_method() {
    for method in ["ANY", "any", "x-amazon-apigateway-any-method"] {
        let native = converted(&format!("type: http_proxy\nuri: http://h\nhttpMethod: {method}"));
        assert_eq!(native, json!({"type": "http_proxy", "uri": "http://h"}), "{method}");
    }
}

#[test]
fn mocks_have_no_address_and_aws_addresses_stay() {
    assert_eq!(converted("type: mock\nuri: http://h\nhttpMethod: GET"), json!({"type": "mock"}));
    let uri = "arn:aws:apigateway:eu-west-1:lambda:path/2015-03-31/functions/arn:aws:lambda:eu-west-1:1:function:f/invocations";
    let native = converted(&format!("type: aws_proxy\nhttpMethod: POST\nuri: {uri}"));
    assert_eq!(native, json!({"type": "aws_proxy", "method": "POST", "uri": uri}));
}

#[test]
fn http_apis_fill_path_parameters_by_themselves() {
    let parameters = |path: &str, integration: &str| {
        import_clean(&document(path, integration))["routes"][0]["integration"]["request_parameters"].take()
    };
    let uri = "type: http_proxy\nuri: http://${stageVariables.h}/{tenant}/{proxy}/{proxy}/{other}";
    assert_eq!(
        parameters("/{tenant}/{proxy+}", uri),
        json!({
            "integration.request.path.tenant": "method.request.path.tenant",
            "integration.request.path.proxy": "method.request.path.proxy",
        })
    );
    let declared = format!("{uri}\nrequestParameters: {{integration.request.path.proxy: \"'x'\"}}");
    assert_eq!(
        parameters("/{tenant}/{proxy+}", &declared),
        json!({
            "integration.request.path.proxy": "'x'",
            "integration.request.path.tenant": "method.request.path.tenant",
        })
    );
    // REST APIs need the mappings to be declared.
    assert_eq!(parameters("/{tenant}/{proxy+}", &format!("{uri}\npassthroughBehavior: when_no_match")), json!(null));
}

#[test]
fn integrations_can_be_shared() {
    let text = "openapi: 3.0.1
info: {title: a}
paths:
  /a: {get: {x-amazon-apigateway-integration: {$ref: '#/components/x-amazon-apigateway-integrations/up'}}}
components:
  x-amazon-apigateway-integrations:
    up: {type: http_proxy, uri: 'http://h', payloadFormatVersion: '1.0', connectionType: INTERNET}
";
    assert_eq!(import_clean(text)["routes"][0]["integration"], json!({"type": "http_proxy", "uri": "http://h"}));
    let (_, issues) = import(&text.replace("integrations/up", "integrations/down"));
    assert_eq!(issues.iter().map(|issue| issue.code).collect::<Vec<_>>(), [codes::REF_MISSING]);
}

#[test]
fn fields_without_effect_are_reported_one_by_one() {
    let cases: [(&str, &[&str]); 12] = [
        ("credentials: arn", &[codes::INTEGRATION_FIELD_UNSUPPORTED]),
        ("credentials:", &[]),
        ("connectionType: VPC_LINK\nconnectionId: x", &[codes::INTEGRATION_FIELD_UNSUPPORTED; 2]),
        ("cacheKeyParameters: []\nconnectionType: internet", &[]),
        ("cacheNamespace: x\ncacheKeyParameters: [a]", &[codes::INTEGRATION_FIELD_UNSUPPORTED; 2]),
        ("timeoutInMilis: 5", &[codes::INTEGRATION_FIELD_UNKNOWN]),
        ("tlsConfig: {insecure: true}", &[codes::INTEGRATION_FIELD_UNKNOWN]),
        ("requestTemplates: {application/json: '{}'}", &[codes::INTEGRATION_MAPPING_IGNORED]),
        ("responses: {default: {statusCode: '200'}}", &[]),
        (
            "responses: {default: {statusCode: '200', responseTemplates: {a/b: c}}}",
            &[codes::INTEGRATION_MAPPING_IGNORED],
        ),
        ("requestParameters: {integration.request.header.a: true}", &[codes::MAPPING_DROPPED]),
        ("x-note: fine", &[]),
    ];
    for (field, want) in cases {
        let issues = issues(&format!("type: http_proxy\nuri: http://h\n{field}"));
        assert_eq!(issues.iter().map(|issue| issue.code).collect::<Vec<_>>(), want, "{field}");
        assert!(issues.iter().all(|issue| !issue.is_error()), "{field}");
    }
}

#[test]
fn what_cannot_be_converted_is_an_error() {
    let cases = [
        ("type: http\nuri: {'Fn::If': [a, b, c]}", codes::CLOUDFORMATION),
        ("type: http\nuri: [a]", codes::SHAPE),
        ("type: http\nuri: http://h\nrequestParameters: {a: [b]}", codes::SHAPE),
        ("type: http\nuri: http://h\nrequestTemplates: [a]", codes::SHAPE),
        ("type: http\nuri: http://h\nrequestTemplates: {a/b: {statusCode: 200}}", codes::SHAPE),
        ("type: http\nuri: http://h\nresponses: {default: 200}", codes::SHAPE),
        ("type: mock\nrequestTemplates: {application/json: '#if($a)'}", codes::TEMPLATE),
        (
            "type: mock\nresponses: {default: {statusCode: 200, responseTemplates: {a/b: '#parse(\"f\")'}}}",
            codes::TEMPLATE,
        ),
    ];
    for (integration, code) in cases {
        let issues = issues(integration);
        assert_eq!(issues.iter().map(|issue| issue.code).collect::<Vec<_>>(), [code], "{integration}");
        assert!(issues[0].is_error(), "{integration}");
    }
}

#[test]
fn a_template_that_cannot_be_carried_over_names_its_line() {
    let issues = issues("type: mock\nrequestTemplates:\n  application/json: |\n    {\n    #include('a.txt')\n    }");
    let message = "this template uses VTL that cannot be carried over: `#include`: there are no other files in line 2";
    assert_eq!(issues[0].message, message);
    assert_eq!(issues[0].label.as_deref(), Some("line 2: `#include('a.txt')`"));
    assert!(issues[0].pointer.ends_with("/get/x-amazon-apigateway-integration/requestTemplates/application~1json"));
}
