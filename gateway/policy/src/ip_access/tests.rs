//! Tests of `ip_access`: settings that are refused, requests that pass, requests that do not.

use moongate_exchange::Kind;
use serde_json::{Value, json};

use super::*;
use crate::Compiled;
use crate::testing::{FakeSecrets, compile, exchange, problems};

/// `Ok`, or the detail of the rejection.
fn check(config: Value, client: &str) -> Result<(), String> {
    let (compiled, issues) = compile("ip_access", config, &FakeSecrets::default());
    let Some(Compiled::Guard(policy)) = compiled else { panic!("settings that fit: {issues:?}") };
    policy.check(&exchange("/", &[("x-forwarded-for", b"10.0.0.1")], client)).map_err(|rejection| {
        assert_eq!(rejection.kind, Kind::AccessDenied);
        rejection.detail.into_owned()
    })
}

#[test]
fn only_allowed_networks_pass_and_denied_ones_never() {
    let office = json!({"allow": ["10.0.0.0/8", "2001:db8::/32"], "deny": ["10.6.6.0/24", "2001:db8:bad::/48"]});
    let denied = |client: &str| Err(format!("{client} is in a denied network"));
    let unknown = |client: &str| Err(format!("{client} is in no allowed network"));
    let cases = [
        ("10.1.2.3", Ok(())),
        ("::ffff:10.1.2.3", Ok(())),
        ("10.6.6.6", denied("10.6.6.6")),
        ("::ffff:10.6.6.6", denied("10.6.6.6")),
        ("192.0.2.1", unknown("192.0.2.1")),
        ("2001:db8::1", Ok(())),
        ("2001:db8:bad::1", denied("2001:db8:bad::1")),
        ("2001:db9::1", unknown("2001:db9::1")),
    ];
    for (client, want) in cases {
        assert_eq!(check(office.clone(), client), want, "{client}");
    }
}

#[test]
fn without_allowed_networks_everybody_else_passes() {
    let config = json!({"deny": ["192.0.2.7"]});
    assert_eq!(check(config.clone(), "192.0.2.8"), Ok(()));
    assert_eq!(check(config.clone(), "2001:db8::1"), Ok(()));
    assert_eq!(check(config, "192.0.2.7"), Err("192.0.2.7 is in a denied network".to_owned()));
}

#[test]
fn a_policy_without_networks_is_a_warning() {
    for config in [Value::Null, json!({}), json!({"allow": [], "deny": []})] {
        let (compiled, issues) = compile("ip_access", config.clone(), &FakeSecrets::default());
        assert!(compiled.is_some());
        let [issue] = &issues[..] else { panic!("one issue: {issues:?}") };
        assert_eq!((issue.code, issue.is_error()), (crate::codes::WITHOUT_EFFECT, false));
        assert_eq!(check(config, "192.0.2.7"), Ok(()));
    }
}

#[test]
fn settings_that_do_not_fit_are_refused_all_at_once() {
    let config = json!({"allow": ["10.0.0.0/8", "office", "10.0.0.1/8"], "deny": ["2001:db8::/129"]});
    let want = [
        ("/allow/1", "not a network: write `192.0.2.0/24`, `2001:db8::/32` or a single address"),
        ("/allow/2", "the address has bits beyond the prefix; the network is `10.0.0.0/8`"),
        ("/deny/0", "a prefix of this address has at most 128 bits"),
    ];
    let got = problems("ip_access", config, &FakeSecrets::default());
    assert_eq!(got, want.map(|(pointer, message)| (pointer.to_owned(), message.to_owned())));

    let cases = [
        (json!({"allow": vec!["10.0.0.0/8"; NETWORKS_MAX + 1]}), "/allow", "must name at most 1000 networks"),
        (json!({"allow": "10.0.0.0/8"}), "", "invalid type: string, expected a sequence"),
        (json!({"alow": []}), "", "unknown field `alow`, expected `allow` or `deny`"),
    ];
    for (config, pointer, message) in cases {
        assert_eq!(problems("ip_access", config, &FakeSecrets::default()), [(pointer.to_owned(), message.to_owned())]);
    }
}
