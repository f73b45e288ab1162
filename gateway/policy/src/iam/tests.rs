//! Tests of policy documents: by hand, and against recorded decisions.

use std::path::Path;

use serde_json::{Value, json};

use super::*;
use crate::testing::exchange;

const ORDERS: &str = "arn:aws:execute-api:local:000000000000:shop/prod/GET/orders";

fn parse(document: Value) -> PolicyDocument {
    PolicyDocument::parse(&document).expect("a policy document")
}

fn context() -> Context<'static> {
    Context {
        source_ip: "192.0.2.7".parse().expect("an address"),
        is_secure: true,
        user_agent: Some("curl/8.0"),
        referer: None,
    }
}

/// The decision of one statement on [`ORDERS`], with `Action` and `Resource` matching everything unless given.
fn decide(effect: &str, elements: Value) -> Decision {
    let mut statement = json!({"Effect": effect});
    let statement_elements = statement.as_object_mut().expect("an object");
    for (name, value) in elements.as_object().expect("elements") {
        statement_elements.insert(name.clone(), value.clone());
    }
    for name in ["Action", "Resource"] {
        if !statement_elements.contains_key(&format!("Not{name}")) {
            statement_elements.entry(name).or_insert(json!("*"));
        }
    }
    parse(json!({"Version": "2012-10-17", "Statement": statement})).evaluate(INVOKE, ORDERS, &context())
}

#[test]
fn a_deny_wins_over_any_allow_and_silence_refuses() {
    let allow = json!({"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": "*"});
    let deny = json!({"Effect": "Deny", "Action": "execute-api:Invoke", "Resource": ORDERS});
    let other = json!({"Effect": "Deny", "Action": "execute-api:Invoke", "Resource": "*/POST/*"});
    let cases = [
        (json!([allow]), Decision::Allow),
        (json!([deny]), Decision::Deny),
        (json!([other]), Decision::None),
        (json!([allow, deny]), Decision::Deny),
        (json!([deny, allow]), Decision::Deny),
        (json!([other, allow]), Decision::Allow),
    ];
    for (statements, want) in cases {
        let policy = parse(json!({"Statement": statements}));
        assert_eq!(policy.evaluate(INVOKE, ORDERS, &context()), want, "{statements}");
    }
}

#[test]
fn actions_and_resources_are_matched_by_pattern_or_its_negation() {
    let cases = [
        (json!({"Action": "execute-api:*"}), true),
        (json!({"Action": "EXECUTE-API:invoke"}), true),
        (json!({"Action": ["s3:*", "execute-api:Inv?ke"]}), true),
        (json!({"Action": "execute-api:ManageConnections"}), false),
        (json!({"NotAction": "s3:*"}), true),
        (json!({"NotAction": ["s3:*", "execute-api:*"]}), false),
        (json!({"Resource": "arn:aws:execute-api:*:*:shop/*/GET/ord*"}), true),
        (json!({"Resource": "arn:aws:execute-api:*:*:SHOP/*/GET/ord*"}), false),
        (json!({"Resource": ["", "*/GET/orders"]}), true),
        (json!({"Resource": "*/GET/orders/*"}), false),
        (json!({"NotResource": "*/admin/*"}), true),
        (json!({"NotResource": ["*/admin/*", "*/orders"]}), false),
    ];
    for (elements, applies) in cases {
        let want = if applies { (Decision::Allow, Decision::Deny) } else { (Decision::None, Decision::None) };
        assert_eq!((decide("Allow", elements.clone()), decide("Deny", elements.clone())), want, "{elements}");
    }
}

#[test]
fn conditions_narrow_a_statement() {
    let cases = [
        (json!({}), true),
        (json!({"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}}), true),
        (json!({"IpAddress": {"AWS:sourceip": ["10.0.0.0/8", "192.0.2.99/24"]}}), true),
        (json!({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}), false),
        (json!({"NotIpAddress": {"aws:SourceIp": "10.0.0.0/8"}}), true),
        (json!({"NotIpAddress": {"aws:SourceIp": ["10.0.0.0/8", "192.0.2.7"]}}), false),
        (json!({"StringEquals": {"aws:SourceIp": ["xxx", "192.0.2.7"]}}), true),
        (json!({"StringEquals": {"aws:UserAgent": "curl/*"}}), false),
        (json!({"StringLike": {"aws:UserAgent": "curl/*"}}), true),
        (json!({"StringNotLike": {"aws:UserAgent": "curl/*"}}), false),
        (json!({"StringNotEquals": {"aws:UserAgent": "wget"}}), true),
        (json!({"StringLike": {"aws:Referer": "*"}}), false),
        (json!({"StringNotLike": {"aws:Referer": "*"}}), true),
        (json!({"Bool": {"aws:SecureTransport": "true"}}), true),
        (json!({"Bool": {"aws:SecureTransport": false}}), false),
        (json!({"Bool": {"aws:SecureTransport": true}, "IpAddress": {"aws:SourceIp": "192.0.2.7"}}), true),
        (json!({"Bool": {"aws:SecureTransport": true}, "IpAddress": {"aws:SourceIp": "192.0.2.8"}}), false),
        // Unclear, and yet it cannot apply.
        (json!({"DateLessThan": {"aws:CurrentTime": "2030-01-01"}, "IpAddress": {"aws:SourceIp": "192.0.2.8"}}), false),
    ];
    for (condition, applies) in cases {
        let elements = json!({"Condition": condition});
        let want = if applies { (Decision::Allow, Decision::Deny) } else { (Decision::None, Decision::None) };
        assert_eq!((decide("Allow", elements.clone()), decide("Deny", elements)), want, "{condition}");
    }
}

#[test]
fn what_cannot_be_told_never_opens_a_door() {
    let cases = [
        json!({"Condition": {"DateLessThan": {"aws:CurrentTime": "2030-01-01T00:00:00Z"}}}),
        json!({"Condition": {"StringEqualsIfExists": {"aws:UserAgent": "curl/8.0"}}}),
        json!({"Condition": {"stringequals": {"aws:UserAgent": "curl/8.0"}}}),
        json!({"Condition": {"StringEquals": {"aws:PrincipalTag/team": "red"}}}),
        json!({"Condition": {"StringNotEquals": {"aws:SourceVpc": "vpc-1"}}}),
        json!({"Condition": {"IpAddress": {"aws:VpcSourceIp": "10.0.0.0/8"}}}),
        json!({"Condition": {"StringLike": {"aws:UserAgent": "${aws:username}*"}}}),
        json!({"Resource": "*/GET/${aws:username}"}),
        json!({"NotResource": "*/GET/${aws:username}"}),
        json!({"Principal": {"AWS": "arn:aws:iam::111122223333:root"}}),
        json!({"Principal": {"Service": "*"}}),
        json!({"NotPrincipal": {"AWS": "*"}}),
    ];
    for elements in cases {
        assert_eq!(decide("Allow", elements.clone()), Decision::None, "{elements}");
        assert_eq!(decide("Deny", elements.clone()), Decision::Deny, "{elements}");
    }
    for principal in [json!("*"), json!({"AWS": "*"}), json!({"AWS": ["*"]})] {
        assert_eq!(decide("Allow", json!({"Principal": principal})), Decision::Allow);
    }
}

#[test]
fn documents_that_the_grammar_does_not_have_are_refused() {
    let statement = |elements: Value| json!({"Statement": [elements]});
    let exactly_one = |name| PolicyError::ExactlyOne { index: 0, name };
    let not_texts = |name| PolicyError::NotTexts { index: 0, name };
    let cases = [
        (Value::Null, PolicyError::NotAnObject),
        (json!("Allow"), PolicyError::NotAnObject),
        (json!({}), PolicyError::NoStatement),
        (json!({"statement": []}), PolicyError::NoStatement),
        (json!({"Statement": []}), PolicyError::NoStatement),
        (json!({"Statement": "Allow"}), PolicyError::NoStatement),
        (json!({"Statement": ["Allow"]}), PolicyError::NoStatement),
        (json!({"Version": "2012-10-18", "Statement": []}), PolicyError::Version),
        (json!({"Version": 2012, "Statement": []}), PolicyError::Version),
        (statement(json!({"Action": "*", "Resource": "*"})), PolicyError::Effect { index: 0 }),
        (statement(json!({"Effect": "allow", "Action": "*", "Resource": "*"})), PolicyError::Effect { index: 0 }),
        (statement(json!({"Effect": ["Allow"], "Action": "*", "Resource": "*"})), PolicyError::Effect { index: 0 }),
        (statement(json!({"Effect": "Allow", "Resource": "*"})), exactly_one("Action")),
        (
            statement(json!({"Effect": "Allow", "Action": "*", "NotAction": "*", "Resource": "*"})),
            exactly_one("Action"),
        ),
        (statement(json!({"Effect": "Allow", "Action": "*"})), exactly_one("Resource")),
        (statement(json!({"Effect": "Allow", "Action": [], "Resource": "*"})), not_texts("Action")),
        (statement(json!({"Effect": "Allow", "NotAction": [], "Resource": "*"})), not_texts("NotAction")),
        (statement(json!({"Effect": "Allow", "Action": "*", "Resource": 7})), not_texts("Resource")),
        (statement(json!({"Effect": "Allow", "Action": "*", "Resource": [["*"]]})), not_texts("Resource")),
        (statement(json!({"Effect": "Allow", "Action": "*", "Resource": null})), not_texts("Resource")),
        (
            statement(json!({"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": "x"})),
            not_texts("Condition"),
        ),
        (
            statement(json!({"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {"Bool": 1}})),
            not_texts("Condition"),
        ),
        (
            statement(
                json!({"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {"StringEquals": {"aws:Referer": []}}}),
            ),
            not_texts("Condition"),
        ),
        (
            statement(
                json!({"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": {"IpAddress": {"aws:SourceIp": "x"}}}),
            ),
            PolicyError::NotANetwork { index: 0 },
        ),
        (
            statement(json!({"Effect": "Deny", "Action": "*", "Resource": "*", "Conditions": {}})),
            PolicyError::UnknownElement { index: 0, name: "Conditions".into() },
        ),
    ];
    for (document, want) in cases {
        assert_eq!(PolicyDocument::parse(&document).expect_err("no policy document"), want, "{document}");
    }
}

#[test]
fn documents_and_resources_are_bounded() {
    let allow = |resources: Value| json!({"Statement": {"Effect": "Allow", "Action": "*", "Resource": resources}});
    assert!(PolicyDocument::parse(&allow(json!("a".repeat(8_000)))).is_ok());
    assert_eq!(PolicyDocument::parse(&allow(json!("a".repeat(9_000)))).expect_err("too large"), PolicyError::TooLarge);
    assert_eq!(PolicyDocument::parse(&allow(json!(vec!["a"; 100_000]))).expect_err("too large"), PolicyError::TooLarge);
    let deepest = json!({"Statement": [{
        "Effect": "Allow", "Action": ["*"], "Resource": ["*"], "Condition": {"Bool": {"aws:SecureTransport": [true]}},
    }]});
    assert!(PolicyDocument::parse(&deepest).is_ok());
    let deep = (0..1_000).fold(json!("a"), |inner, _| json!([inner]));
    assert_eq!(PolicyDocument::parse(&allow(deep)).expect_err("too deep"), PolicyError::TooLarge);

    let policy = parse(allow(json!("*")));
    let fits = "a".repeat(RESOURCE_BYTES_MAX);
    assert_eq!(policy.evaluate(INVOKE, &fits, &context()), Decision::Allow);
    assert_eq!(policy.evaluate(INVOKE, &format!("{fits}a"), &context()), Decision::None);
}

#[test]
fn arns_name_a_method_in_one_way() {
    let cases =
        [("/orders", ORDERS), ("/orders/", ORDERS), ("/", "arn:aws:execute-api:local:000000000000:shop/prod/GET/")];
    for (path, want) in cases {
        assert_eq!(method_arn("shop", "prod", "GET", path), want, "{path}");
    }
    assert_eq!(
        method_arn("a", "$default", "POST", "/b/c%2Fd"),
        "arn:aws:execute-api:local:000000000000:a/$default/POST/b/c%2Fd"
    );
}

#[test]
fn a_context_is_taken_from_the_request() {
    let exchange = exchange("/", &[("user-agent", b"curl/8.0"), ("referer", b"\xff")], "::ffff:192.0.2.7");
    let context = Context::of(&exchange);
    assert_eq!(context.source_ip.to_string(), "192.0.2.7");
    assert_eq!((context.is_secure, context.user_agent, context.referer), (false, Some("curl/8.0"), None));
}

/// Cases of a file of recorded behaviour; empty, and said aloud, when there is none.
fn recorded(file: &str) -> Vec<Value> {
    let folder = std::env::var("MOONGATE_VECTORS")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/vectors/open").to_owned());
    let path = Path::new(&folder).join(file);
    let Ok(text) = std::fs::read_to_string(&path) else {
        eprintln!("skipped: no recorded cases at {}", path.display());
        return Vec::new();
    };
    let document: Value = serde_json::from_str(&text).expect("recorded cases are JSON");
    document["cases"].as_array().cloned().expect("a list of cases")
}

#[test]
fn recorded_decisions_are_reproduced() {
    let mut count = 0;
    for case in recorded("authorizers.json") {
        let (id, input) = (&case["id"], &case["input"]);
        let is_allowed = |policy: &Value, resource: &Value| {
            let policy = PolicyDocument::parse(policy).unwrap_or_else(|error| panic!("{id}: {error}"));
            let decision = policy.evaluate(INVOKE, resource.as_str().expect("a resource"), &context());
            Value::Bool(decision == Decision::Allow)
        };
        match case["kind"].as_str().unwrap_or_default() {
            "policy" => {
                let policy = &input["response"]["policyDocument"];
                assert_eq!(is_allowed(policy, &input["method_arn"]), case["expected"], "{id}");
            }
            "policy_resource_match" => {
                let policy = json!({"Statement": [{"Effect": "Allow", "Action": INVOKE, "Resource": case["pattern"]}]});
                assert_eq!(is_allowed(&policy, &case["resource"]), case["expected"], "{id}");
            }
            // An emulator's, which looks at resources only; the grammar wants an action, and `Allow` spelled so.
            "policy_can_execute" => {
                let mut policy = case["policy"].clone();
                for statement in policy["Statement"].as_array_mut().expect("statements") {
                    statement["Action"] = INVOKE.into();
                    if statement["Effect"] == "allow" {
                        statement["Effect"] = "Allow".into();
                    }
                }
                assert_eq!(is_allowed(&policy, &case["resource"]), case["expected"], "{id}");
            }
            "validate_statement" | "validate_policy_document" => {
                let result = PolicyDocument::parse(&input["args"][1]["policyDocument"]);
                assert_eq!(result.is_err(), case["expected_error"].is_object(), "{id}: {result:?}");
            }
            _ => continue,
        }
        count += 1;
    }
    eprintln!("{count} recorded decisions");
}

#[test]
fn recorded_answers_of_authorizers_are_read() {
    let cases = recorded("authorizer_responses.json");
    for case in &cases {
        let name = case["name"].as_str().expect("a name");
        let document = &case["document"]["policyDocument"];
        let resource = &document["Statement"][0]["Resource"];
        let resource = resource.as_str().or(resource[0].as_str()).expect("a resource");
        let decision = parse(document.clone()).evaluate(INVOKE, resource, &context());
        // The condition is a Deny for another address.
        let want = if name.contains("with-condition") { Decision::None } else { Decision::Allow };
        assert_eq!(decision, want, "{name}");
    }
    eprintln!("{} recorded answers", cases.len());
}
