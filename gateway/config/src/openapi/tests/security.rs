//! Who may call: schemes, requirements, and what must never open a route.

use serde_json::{Value, json};

use super::super::codes;
use super::super::testing::{import, import_clean};
use crate::issue::Issue;

/// Schemes of every kind.
const SCHEMES: &str = "components:
  securitySchemes:
    lambda:
      type: apiKey
      in: header
      name: X-Token
      x-amazon-apigateway-authorizer: {type: token, authorizerUri: arn, identityValidationExpression: '^a'}
    iam: {type: apiKey, name: Authorization, in: header, x-amazon-apigateway-authtype: awsSigv4}
    key: {type: apiKey, name: X-API-Key, in: header}
    script: {type: http, scheme: bearer, x-moongate-authorizer: {type: lua, script: {lua: return true}}}
    named: {type: http, scheme: bearer, x-moongate-authorizer: declared}
    waived: {type: http, scheme: bearer, x-moongate-authorizer: none}
    oauth: {type: oauth2}
    bearer: {type: http, scheme: bearer}
x-moongate-authorizers: {declared: {type: lua, script: {lua: return true}}}
";

fn document(top: &str, path: &str, operation: &str) -> String {
    format!(
        "openapi: 3.0.0\ninfo: {{title: a}}\nx-moongate-upstream: http://h\n{top}\n\
         paths: {{/a: {{{path} get: {{{operation}}}}}}}\n{SCHEMES}"
    )
}

/// What guards the route, and the codes of the problems.
fn guard(top: &str, path: &str, operation: &str) -> (Value, Vec<&'static str>) {
    let (native, issues) = import(&document(top, path, operation));
    let mut route = native.expect("importable")["routes"][0].take();
    let fields = route.as_object_mut().expect("a route");
    fields.remove("match");
    fields.remove("upstream");
    (route, issues.iter().map(|issue| issue.code).collect())
}

fn issues_of(operation: &str) -> Vec<Issue> {
    import(&document("", "", operation)).1
}

#[test]
fn operations_get_the_guards_they_ask_for() {
    let cases = [
        ("", json!({})),
        ("security: [{lambda: []}]", json!({"authorizer": "lambda"})),
        ("security: [{iam: []}]", json!({"authorizer": "iam"})),
        (
            "security: [{script: [read, write, read]}]",
            json!({"authorizer": "script", "authorization_scopes": ["read", "write"]}),
        ),
        ("security: [{named: []}]", json!({"authorizer": "declared"})),
        ("security: [{waived: []}]", json!({"authorizer": "none"})),
        ("security: [{waived: []}, {key: []}]", json!({"authorizer": "none", "api_key_required": true})),
        ("security: [{key: []}]", json!({"api_key_required": true})),
        ("security: [{lambda: []}, {key: []}]", json!({"authorizer": "lambda", "api_key_required": true})),
        ("security: [{lambda: [], key: []}]", json!({"authorizer": "lambda", "api_key_required": true})),
        (
            "security: [{script: [a]}, {script: [b]}]",
            json!({"authorizer": "script", "authorization_scopes": ["a", "b"]}),
        ),
        ("security: []", json!({"authorizer": "none"})),
        ("security: [{}]", json!({"authorizer": "none"})),
        ("x-amazon-apigateway-auth: {type: NONE}", json!({"authorizer": "none"})),
        ("x-amazon-apigateway-auth: {type: aws_iam}", json!({"authorizer": "aws_iam"})),
        (
            "security: [{key: []}], x-amazon-apigateway-auth: {type: none}",
            json!({"authorizer": "none", "api_key_required": true}),
        ),
        ("security: [{lambda: []}], x-amazon-apigateway-auth: {type: NONE}", json!({"authorizer": "lambda"})),
        ("security: [{lambda: []}], x-amazon-apigateway-auth: {type: CUSTOM}", json!({"authorizer": "lambda"})),
        (
            "security: [{oauth: [read]}], x-moongate-authorizer: declared",
            json!({"authorizer": "declared", "authorization_scopes": ["read"]}),
        ),
        ("security: [{oauth: [read]}], x-moongate-authorizer: none", json!({"authorizer": "none"})),
        ("security: [{lambda: []}], x-moongate-authorizer: declared", json!({"authorizer": "declared"})),
    ];
    for (operation, want) in cases {
        assert_eq!(guard("", "", operation), (want, vec![]), "{operation}");
    }
}

#[test]
fn defaults_apply_where_an_operation_says_nothing() {
    let declared = "x-moongate-authorizer: declared";
    let cases = [
        ("security: [{lambda: []}]", "", "", json!({"authorizer": "lambda"})),
        ("security: [{lambda: []}]", "", "security: []", json!({"authorizer": "none"})),
        ("security: [{lambda: []}]", "", "security: [{script: []}]", json!({"authorizer": "script"})),
        ("security: [{lambda: []}]", "x-moongate-authorizer: declared,", "", json!({"authorizer": "declared"})),
        (
            "security: [{key: []}]",
            "x-moongate-authorizer: none,",
            "",
            json!({"authorizer": "none", "api_key_required": true}),
        ),
        // The document's authorizer is the native default: routes need not name it.
        (declared, "", "", json!({})),
        (declared, "", "security: []", json!({"authorizer": "none"})),
        (declared, "", "security: [{lambda: []}]", json!({"authorizer": "lambda"})),
        (declared, "", "security: [{oauth: [read]}]", json!({"authorization_scopes": ["read"]})),
        (declared, "x-moongate-authorizer: script,", "security: [{oauth: []}]", json!({"authorizer": "script"})),
        (declared, "", "x-moongate-authorizer: script", json!({"authorizer": "script"})),
        ("x-amazon-apigateway-auth: {type: AWS_IAM}", "", "", json!({"authorizer": "aws_iam"})),
    ];
    for (top, path, operation, want) in cases {
        assert_eq!(guard(top, path, operation), (want, vec![]), "{top} {path} {operation}");
    }
    let native = import_clean(&document(declared, "", ""));
    assert_eq!(native["default_authorizer"], "declared");
}

#[test]
fn a_guarded_operation_never_becomes_open_in_silence() {
    let cases: [(&str, &str, &str); 8] = [
        ("", "security: [{oauth: [read]}]", codes::SCHEME_UNENFORCED),
        ("", "security: [{bearer: []}]", codes::SCHEME_UNENFORCED),
        ("", "security: [{bearer: []}, {}]", codes::ALTERNATIVES_ENFORCED),
        ("security: [{bearer: []}]", "", codes::SCHEME_UNENFORCED),
        ("x-moongate-authorizer: none", "security: [{bearer: []}]", codes::SCHEME_UNENFORCED),
        ("", "security: [{bearer: []}], x-amazon-apigateway-auth: {type: NONE}", codes::SCHEME_UNENFORCED),
        ("", "security: [{lamda: []}]", codes::SCHEME_UNKNOWN),
        ("", "security: {lambda: []}", codes::SHAPE),
    ];
    for (top, operation, code) in cases {
        let (_, found) = guard(top, "", operation);
        assert!(found.contains(&code), "{top} {operation}: {found:?}");
        let (_, issues) = import(&document(top, "", operation));
        assert!(issues.iter().any(Issue::is_error), "{top} {operation}");
    }
}

#[test]
fn one_scheme_is_reported_once_however_many_routes_ask_for_it() {
    let paths: String = (0..50).map(|i| format!("  /{i}: {{get: {{}}}}\n")).collect();
    let text = format!(
        "openapi: 3.0.0\ninfo: {{title: a}}\nx-moongate-upstream: http://h\nsecurity: [{{oauth: []}}]\npaths:\n{paths}{SCHEMES}"
    );
    let (_, issues) = import(&text);
    assert_eq!(issues.len(), 1);
    assert_eq!(
        issues[0].message,
        "security scheme `oauth` (`oauth2`) cannot be enforced, and nothing else guards 50 routes, the first being `GET /0`"
    );
    let start = issues[0].span.expect("a place").start as usize;
    assert!(text[start..].starts_with("oauth: {type: oauth2}"));
}

#[test]
fn a_scheme_beside_an_enforced_one_is_a_warning() {
    for operation in ["security: [{key: [], oauth: []}]", "security: [{lambda: [], oauth: [read]}]"] {
        let issues = issues_of(operation);
        assert_eq!(issues.iter().map(|issue| issue.code).collect::<Vec<_>>(), [codes::SCHEME_SKIPPED], "{operation}");
    }
}

#[test]
fn alternatives_are_reported_where_all_are_enforced() {
    let with_aws = document("", "", "security: [{script: []}, {key: []}]");
    let plain = with_aws
        .replace(
            "x-amazon-apigateway-authorizer: {type: token, authorizerUri: arn, identityValidationExpression: '^a'}",
            "",
        )
        .replace(", x-amazon-apigateway-authtype: awsSigv4", "");
    assert_eq!(import(&with_aws).1, []);
    let codes: Vec<_> = import(&plain).1.iter().map(|issue| issue.code).collect();
    assert_eq!(codes, [codes::ALTERNATIVES_ENFORCED]);
}

#[test]
fn contradictions_are_errors() {
    let cases = [
        ("security: [{lambda: []}, {iam: []}]", codes::AUTHORIZERS_SEVERAL),
        ("security: [{lambda: [], script: []}]", codes::AUTHORIZERS_SEVERAL),
        ("x-amazon-apigateway-auth: {type: CUSTOM}", codes::AUTH_WITHOUT_AUTHORIZER),
        ("x-amazon-apigateway-auth: {type: 7}", codes::AUTH_WITHOUT_AUTHORIZER),
    ];
    for (operation, code) in cases {
        let issues = issues_of(operation);
        assert_eq!(issues.iter().map(|issue| issue.code).collect::<Vec<_>>(), [code], "{operation}");
        assert!(issues[0].is_error(), "{operation}");
    }
}

/// The authorizers of a document with these schemes, and the codes of the problems.
fn authorizers(version: &str, schemes: &str) -> (Value, Vec<&'static str>) {
    let section = match version {
        "swagger: '2.0'" => format!("securityDefinitions: {{{schemes}}}"),
        _ => format!("components: {{securitySchemes: {{{schemes}}}}}"),
    };
    let (native, issues) = import(&format!("{version}\ninfo: {{title: a}}\n{section}\n"));
    (native.expect("importable")["authorizers"].take(), issues.iter().map(|issue| issue.code).collect())
}

#[test]
fn aws_authorizers_become_native_ones() {
    let header = "type: apiKey, in: header, name: X-Token";
    let cases = [
        (
            format!("{header}, x-amazon-apigateway-authorizer: {{type: TOKEN, authorizerUri: arn}}"),
            json!({"type": "lambda", "identity_source": ["method.request.header.X-Token"], "uri": "arn"}),
        ),
        (
            format!(
                "{header}, x-amazon-apigateway-authorizer: {{type: request, authorizerUri: arn, identitySource: 'method.request.header.A, context.b,'}}"
            ),
            json!({"type": "lambda", "identity_source": ["method.request.header.A", "context.b"], "uri": "arn"}),
        ),
        (
            format!("{header}, x-amazon-apigateway-authorizer: {{type: request, authorizerUri: arn}}"),
            json!({"type": "lambda", "uri": "arn"}),
        ),
        (
            format!(
                "{header}, x-amazon-apigateway-authorizer: {{type: request, authorizerUri: arn, identitySource: [$request.header.A]}}"
            ),
            json!({"type": "lambda", "identity_source": ["$request.header.A"], "uri": "arn"}),
        ),
        (
            "type: oauth2, x-amazon-apigateway-authorizer: {type: jwt, jwtConfiguration: {issuer: 'https://i'}}"
                .to_owned(),
            json!({"type": "jwt", "identity_source": ["$request.header.Authorization"], "uri": "https://i"}),
        ),
        (
            format!("{header}, x-amazon-apigateway-authorizer: {{type: cognito_user_pools, providerARNs: [arn]}}"),
            json!({"type": "cognito", "identity_source": ["method.request.header.X-Token"], "uri": "arn"}),
        ),
        (format!("{header}, x-amazon-apigateway-authtype: awsSigv4"), json!({"type": "aws_iam"})),
    ];
    for (scheme, want) in cases {
        for version in ["openapi: 3.0.1", "swagger: '2.0'"] {
            let (found, issues) = authorizers(version, &format!("a: {{{scheme}}}"));
            assert_eq!((&found["a"], issues), (&want, vec![]), "{scheme}");
        }
    }
}

#[test]
fn authorizers_that_cannot_be_converted_are_reported() {
    let aws =
        |fields: &str| format!("a: {{type: apiKey, in: header, name: N, x-amazon-apigateway-authorizer: {fields}}}");
    let native = "x-moongate-authorizer: {type: lua, script: {lua: ''}}";
    let cases = [
        (aws("{type: saml}"), codes::AUTHORIZER_TYPE),
        (aws("{}"), codes::AUTHORIZER_TYPE),
        (aws("[]"), codes::SHAPE),
        (aws("{type: token, authorizerUri: {'Fn::If': [x]}}"), codes::CLOUDFORMATION),
        (aws("{type: token, authorizerUri: a, authorizerResultTtlInSeconds: 0}"), codes::AUTHORIZER_FIELD_UNSUPPORTED),
        (aws("{type: jwt, jwtConfiguration: {issuer: i, audience: [a]}}"), codes::AUTHORIZER_FIELD_UNSUPPORTED),
        (aws("{type: cognito_user_pools, providerARNs: [a, b]}"), codes::AUTHORIZER_FIELD_UNSUPPORTED),
        (format!("none: {{type: http, {native}}}"), codes::AUTHORIZER_NAME),
        ("a: {x-moongate-authorizers: {}}".to_owned(), codes::EXTENSION_PLACE),
        ("a: {x-moongate-authoriser: b}".to_owned(), codes::EXTENSION_UNKNOWN),
        ("a: {$ref: '#/components/none'}".to_owned(), codes::REF_MISSING),
        ("a: []".to_owned(), codes::SHAPE),
    ];
    for (schemes, code) in cases {
        assert_eq!(authorizers("openapi: 3.0.1", &schemes).1, [code], "{schemes}");
    }
    let twice = format!(
        "openapi: 3.0.1\ninfo: {{title: a}}\nx-moongate-authorizers: {{a: {{type: lua}}}}\ncomponents: {{securitySchemes: {{a: {{{native}}}}}}}\n"
    );
    assert_eq!(import(&twice).1.iter().map(|issue| issue.code).collect::<Vec<_>>(), [codes::AUTHORIZER_NAME]);
}
