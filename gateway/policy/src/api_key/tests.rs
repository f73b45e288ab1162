//! Tests of `api_key`: settings that are refused, requests that pass, requests that do not.

use moongate_exchange::{Caller, Kind};
use serde_json::{Value, json};

use super::*;
use crate::testing::{FakeSecrets, compile, exchange, problems};
use crate::{Authorize, Compiled};

const MOBILE: &str = "mobile-0123456789abcdef";
const PARTNER: &str = "partner-0123456789abcdef";
/// The SHA-256 of [`PARTNER`], as `printf %s ... | sha256sum` prints it.
const PARTNER_SHA256: &str = "499f390bf8944f144186391f3c99a80a9928bde4e717908d268338f45cc49787";

fn secrets() -> FakeSecrets {
    FakeSecrets::new([
        ("env:MOBILE", MOBILE),
        ("env:PARTNER", PARTNER),
        ("env:OLD", "old-0123456789abcdefgh"),
        ("env:SHORT", "short-0123456789abc"),
        (
            "env:LONG",
            "long-0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        ),
        ("env:SPACED", "key with spaces in it"),
    ])
}

fn policy(config: Value) -> std::sync::Arc<dyn Authorize> {
    match compile("api_key", config, &secrets()) {
        (Some(Compiled::Authorize(policy)), _) => policy,
        (compiled, issues) => panic!("settings that fit: {compiled:?} {issues:?}"),
    }
}

/// Id of the accepted key, or kind and detail of the rejection.
fn authorize(policy: &dyn Authorize, target: &str, headers: &[(&str, &[u8])]) -> Result<String, (Kind, String)> {
    let caller = Caller { principal: Some("ann".into()), ..Caller::default() };
    match policy.authorize(&exchange(target, headers, "192.0.2.7"), caller) {
        Ok(caller) => {
            assert_eq!(caller.principal.as_deref(), Some("ann"), "what was known before stays");
            Ok(caller.api_key_id.expect("an id").to_string())
        }
        Err(rejection) => Err((rejection.kind, rejection.detail.into_owned())),
    }
}

fn three_keys() -> Value {
    json!([
        {"id": "mobile", "value": "env:MOBILE"},
        {"id": "partner", "sha256": PARTNER_SHA256},
        {"id": "old", "value": "env:OLD", "enabled": false},
    ])
}

#[test]
fn a_known_key_names_its_caller() {
    let policy = policy(json!({"keys": three_keys()}));
    for (key, id) in [(MOBILE, "mobile"), (PARTNER, "partner")] {
        assert_eq!(authorize(&*policy, "/", &[("X-API-Key", key.as_bytes())]), Ok(id.to_owned()));
    }
}

#[test]
fn requests_without_a_valid_key_are_refused() {
    let policy = policy(json!({"keys": three_keys()}));
    let long = [b'x'; KEY_BYTES_MAX + 1];
    type Fields<'a> = &'a [(&'a str, &'a [u8])];
    let cases: [(Fields<'_>, &str); 9] = [
        (&[], "the request has no API key"),
        (&[("authorization", MOBILE.as_bytes())], "the request has no API key"),
        (&[("x-api-key", b"")], "the API key is unknown"),
        (&[("x-api-key", b"mobile-0123456789abcdeF")], "the API key is unknown"),
        (&[("x-api-key", b"mobile")], "the API key is unknown"),
        (&[("x-api-key", b"\xff\xfe")], "the API key is unknown"),
        (&[("x-api-key", &long)], "the API key is longer than any key can be"),
        (&[("x-api-key", b"old-0123456789abcdefgh")], "the API key `old` is disabled"),
        (&[("x-api-key", MOBILE.as_bytes()), ("x-api-key", MOBILE.as_bytes())], "the request has several API keys"),
    ];
    for (headers, detail) in cases {
        let refused = authorize(&*policy, "/?x-api-key=mobile-0123456789abcdef", headers);
        assert_eq!(refused, Err((Kind::InvalidApiKey, detail.to_owned())), "{headers:?}");
    }
}

#[test]
fn keys_are_found_where_the_settings_say() {
    let by_header = policy(json!({"source": {"header": "Partner-Key"}, "keys": three_keys()}));
    assert_eq!(authorize(&*by_header, "/", &[("partner-key", PARTNER.as_bytes())]), Ok("partner".to_owned()));
    assert!(authorize(&*by_header, "/", &[("x-api-key", PARTNER.as_bytes())]).is_err());
    assert_eq!(by_header.sensitive_headers(), ["partner-key"]);

    let by_query = policy(json!({"source": {"query": "api key"}, "keys": three_keys()}));
    let cases = [
        ("/?a=1&api%20key=mobile-0123456789abcdef", Ok("mobile")),
        ("/?api+key=mobile%2D0123456789abcdef", Ok("mobile")),
        ("/?API+key=mobile-0123456789abcdef", Err("the request has no API key")),
        ("/", Err("the request has no API key")),
        ("/?api+key", Err("the API key is unknown")),
        ("/?api+key=x&api+key=mobile-0123456789abcdef", Err("the request has several API keys")),
    ];
    for (target, want) in cases {
        let want = want.map(str::to_owned).map_err(|detail| (Kind::InvalidApiKey, detail.to_owned()));
        assert_eq!(authorize(&*by_query, target, &[("x-api-key", MOBILE.as_bytes())]), want, "{target}");
    }
    assert!(by_query.sensitive_headers().is_empty());
}

#[test]
fn settings_that_do_not_fit_are_refused_all_at_once() {
    let config = json!({
        "source": {"header": "x api key"},
        "keys": [
            {"id": "mobile", "value": "env:MOBILE"},
            {"id": "mobile", "value": "env:SHORT"},
            {"id": "", "value": "env:LONG"},
            {"id": "c", "value": "env:SPACED"},
            {"id": "d", "value": "env:MISSING"},
            {"id": "e", "sha256": "abc"},
            {"id": "f", "value": "env:OLD", "sha256": PARTNER_SHA256},
            {"id": "g"},
            {"id": "h", "value": "env:MOBILE"},
            {"id": "i", "sha256": PARTNER_SHA256.to_ascii_uppercase()},
            {"id": "j", "value": "env:PARTNER", "enabled": false},
        ],
    });
    let want = [
        ("/source/header", "is not the name of a header field"),
        ("/keys/1/id", "is the id of key 0 already: logs could not tell them apart"),
        ("/keys/1/value", "names a key of 19 characters, and fewer than 20 can be guessed"),
        ("/keys/2/id", "must not be empty"),
        ("/keys/2/value", "names a key of 133 characters, more than 128"),
        ("/keys/3/value", "names a key with characters that callers cannot send: only visible ASCII is allowed"),
        ("/keys/4/value", "environment variable `env:MISSING` is not set"),
        ("/keys/5/sha256", "is not a SHA-256: 64 hexadecimal digits"),
        ("/keys/6", "must have either `value` or `sha256`"),
        ("/keys/7", "must have either `value` or `sha256`"),
        ("/keys/8", "is the same key as `mobile`"),
        ("/keys/10", "is the same key as `i`"),
    ];
    let got = problems("api_key", config, &secrets());
    assert_eq!(got, want.map(|(pointer, message)| (pointer.to_owned(), message.to_owned())));
}

#[test]
fn settings_of_another_shape_are_refused() {
    let many = vec![json!({"id": "a", "sha256": PARTNER_SHA256}); KEYS_MAX + 1];
    let cases = [
        (Value::Null, "", "missing field `keys`"),
        (json!({"keys": []}), "/keys", "must list at least one key: without any, every caller is refused"),
        (json!({"keys": many}), "/keys", "must list at most 10000 keys"),
        (json!({"keys": [MOBILE]}), "", "invalid type: string, expected struct ApiKeyConfig"),
        (json!({"keys": three_keys(), "header": "x"}), "", "unknown field `header`, expected `source` or `keys`"),
        (json!({"keys": three_keys(), "source": {"query": ""}}), "/source/query", "must name a query parameter"),
        (
            json!({"keys": three_keys(), "source": {"cookie": "k"}}),
            "",
            "unknown variant `cookie`, expected `header` or `query`",
        ),
    ];
    for (config, pointer, message) in cases {
        let got = problems("api_key", config, &secrets());
        assert_eq!(got, [(pointer.to_owned(), message.to_owned())]);
    }
}

#[test]
fn nothing_that_can_be_printed_holds_a_key() {
    let policy = policy(json!({"keys": three_keys()}));
    let printed = format!(
        "{policy:?} {:?} {:?}",
        KeyHash::of(MOBILE.as_bytes()),
        authorize(&*policy, "/", &[("x-api-key", b"a-wrong-key")])
    );
    for secret in [MOBILE, PARTNER, PARTNER_SHA256, "a-wrong-key"] {
        assert!(!printed.contains(secret), "{printed}");
    }
}
