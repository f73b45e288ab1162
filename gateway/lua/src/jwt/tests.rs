//! Tokens against RFC 7515's example, against each other's keys, and against what attackers send.

use openssl::ec::{EcGroup, EcKey};
use openssl::nid::Nid;
use openssl::pkey::PKey;
use openssl::rsa::Rsa;

use super::*;

fn expected(algorithms: &[&str]) -> Expected {
    let algorithms = algorithms.iter().map(|name| Algorithm::named(name).expect("known")).collect();
    Expected { algorithms, now: 1_000.0, ..Expected::default() }
}

fn why(result: Result<Vec<u8>, Error>) -> String {
    result.expect_err("refused").to_string()
}

#[test]
fn the_example_of_rfc_7515_is_verified() {
    // Appendix A.1, with its key as a JSON Web Key.
    let token =
        b"eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt\
        cGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    let key = br#"{"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"}"#;
    let claims = verify(token, key, &expected(&["HS256"])).expect("good");
    assert!(String::from_utf8_lossy(&claims).contains("\"joe\""));
}

#[test]
fn every_algorithm_verifies_what_it_signed_and_no_other_key_does() {
    let rsa = PKey::from_rsa(Rsa::generate(2048).expect("a key")).expect("a key");
    let curve = |id| {
        let group = EcGroup::from_curve_name(id).expect("a curve");
        PKey::from_ec_key(EcKey::generate(&group).expect("a key")).expect("a key")
    };
    let keys = [
        (&["RS256", "RS384", "RS512", "PS256"][..], rsa),
        (&["ES256"], curve(Nid::X9_62_PRIME256V1)),
        (&["ES384"], curve(Nid::SECP384R1)),
        (&["EdDSA"], PKey::generate_ed25519().expect("a key")),
    ];
    let publics: Vec<Vec<u8>> = keys.iter().map(|(_, key)| key.public_key_to_pem().expect("PEM")).collect();
    for (place, (names, key)) in keys.iter().enumerate() {
        let private = key.private_key_to_pem_pkcs8().expect("PEM");
        for name in *names {
            let algorithm = Algorithm::named(name).expect("known");
            let token = sign(br#"{"sub":"ann"}"#, &private, algorithm, None).expect(name);
            for (other, public) in publics.iter().enumerate() {
                let result = verify(token.as_bytes(), public, &expected(&[name]));
                assert_eq!(result.is_ok(), other == place, "{name} with key {other}");
            }
            let (head, _) = token.rsplit_once('.').expect("three parts");
            let changed = format!("{head}.{}", "A".repeat(86));
            assert!(verify(changed.as_bytes(), &publics[place], &expected(&[name])).is_err(), "{name}");
            // A public key must not pass for a secret, whatever the token says.
            let forged = sign(br#"{"sub":"eve"}"#, &publics[place], Algorithm::Hs256, None).expect("signs");
            let taken = verify(forged.as_bytes(), &publics[place], &expected(&["HS256", name]));
            assert_eq!(why(taken), "there is no key for the token");
        }
        assert!(sign(b"{}", &private, Algorithm::Hs512, None).is_ok(), "bytes are a secret like any other");
    }
}

#[test]
fn a_key_set_is_searched_by_name_and_purpose() {
    let key = PKey::from_rsa(Rsa::generate(2048).expect("a key")).expect("a key");
    let rsa = key.rsa().expect("RSA");
    let number = |number: &openssl::bn::BigNumRef| URL_SAFE_NO_PAD.encode(number.to_vec());
    let entry = |id: &str, purpose: &str| serde_json::json!({ "kty": "RSA", "kid": id, "use": purpose, "n": number(rsa.n()), "e": number(rsa.e()) });
    let set = |keys: Vec<Value>| serde_json::json!({ "keys": keys }).to_string().into_bytes();
    let private = key.private_key_to_pem_pkcs8().expect("PEM");
    let token = sign(b"{}", &private, Algorithm::Rs256, Some("b")).expect("signs");
    let check = |keys: &[u8]| verify(token.as_bytes(), keys, &expected(&["RS256"]));
    assert!(check(&set(vec![serde_json::json!({ "kty": "new" }), entry("b", "sig")])).is_ok());
    assert_eq!(why(check(&set(vec![entry("a", "sig")]))), "there is no key for the token");
    assert_eq!(why(check(&set(vec![entry("b", "enc")]))), "the key set holds no key that can be used");
    assert_eq!(why(check(b"{\"keys\":")), "the key set is not JSON");
    assert_eq!(why(check(&private)), "tokens are verified with a public key, not with a private one");
}

#[test]
fn claims_are_checked() {
    let secret = [b's'; 32];
    let cases = [
        (r#"{"exp":1001,"nbf":1000}"#, ""),
        (r#"{"exp":1000}"#, "the token has expired"),
        (r#"{"exp":995}"#, "the token has expired"),
        (r#"{"nbf":1001}"#, "the token is not valid yet"),
        (r#"{"exp":"never"}"#, "the token's `exp` is not a time"),
        (r#"{"iss":"b"}"#, "the token is of another issuer"),
        (r#"{"iss":"a","aud":"y"}"#, "the token is for another audience"),
        (r#"{"iss":"a"}"#, "the token is for another audience"),
        (r#"{"iss":"a","aud":["y","x"]}"#, ""),
    ];
    for (claims, want) in cases {
        let token = sign(claims.as_bytes(), &secret, Algorithm::Hs256, None).expect("signs");
        let mut expected = expected(&["HS256"]);
        if claims.contains("iss") {
            expected.issuer = Some("a".to_owned());
            expected.audience = vec!["x".to_owned()];
        }
        let got = verify(token.as_bytes(), &secret, &expected).err().map_or(String::new(), |error| error.to_string());
        assert_eq!(got, want, "{claims}");
    }
    let token = sign(br#"{"exp":995}"#, &secret, Algorithm::Hs256, None).expect("signs");
    let lenient = Expected { leeway_seconds: 10.0, ..expected(&["HS256"]) };
    assert!(verify(token.as_bytes(), &secret, &lenient).is_ok());
}

#[test]
fn what_attackers_send_is_no_token() {
    let secret = [b's'; 32];
    let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let unsigned = format!("{}.{}.", encode(r#"{"alg":"none"}"#), encode("{}"));
    let critical = format!("{}.{}.", encode(r#"{"alg":"HS256","crit":["b64"]}"#), encode("{}"));
    let deep = format!("{}.{}.", encode(&"[".repeat(5000)), encode("{}"));
    let cases = [
        (unsigned.as_str(), "the token's algorithm is not one of those accepted"),
        (&critical, "the token has critical extensions"),
        (&deep, "the token's header is not JSON"),
        ("", "a token has three parts"),
        ("a.b", "a token has three parts"),
        ("a.b.c.d", "a token has three parts"),
        ("!.!.!", "the token is not Base64 for URLs"),
        (&*format!("{}.{}.", encode("[]"), encode("[]")), "the token's header and claims must be objects"),
        (&*"a".repeat(20_000), "the token is too long"),
    ];
    for (token, want) in cases {
        assert_eq!(why(verify(token.as_bytes(), &secret, &expected(&["HS256"]))), want);
    }
    assert_eq!(
        why(verify(b"a.b.c", b"short", &expected(&["HS256"])).map(|_| Vec::new())),
        "the token is not Base64 for URLs"
    );
    let token = sign(b"{}", &secret, Algorithm::Hs256, None).expect("signs");
    assert_eq!(why(verify(token.as_bytes(), b"short", &expected(&["HS256"]))), "a secret needs at least 32 bytes");
}
