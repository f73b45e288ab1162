//! `gate.jwt`: JSON Web Tokens (RFC 7519): signing, verifying, reading. The work is done in `crate::jwt`.

use serde_json::Value as Json;

use super::time::seconds;
use crate::host::function::{PhaseSet, function, table, text};
use crate::host::{Answer, Answered, Call, Noun, options};
use crate::jwt::{self, Algorithm, Expected};

/// How far clocks may be apart unless said otherwise, in seconds.
const LEEWAY_SECONDS: f64 = 0.0;
/// The most that may be asked for, in seconds.
const LEEWAY_SECONDS_MAX: f64 = 600.0;

/// The declaration.
pub(crate) static NOUN: Noun = Noun {
    path: "gate.jwt",
    about: "JSON Web Tokens (RFC 7519) signed with HMAC (`HS256`, `HS384`, `HS512`), RSA (`RS256`, `RS384`, `RS512`, `PS256`), \
            elliptic curves (`ES256`, `ES384`) or Ed25519 (`EdDSA`). Keys are texts: a secret for HMAC, PEM for the others, or a \
            JSON Web Key Set for verifying. A token is only taken with an algorithm that the script names and that fits the key, \
            so that a public key can never pass for a secret.",
    functions: &[
        function("verify", PhaseSet::ALL, verify)
            .about("The claims of a token whose signature and times are right.")
            .takes(&[
                text("token", "the compact form, at most 16 KiB, without `Bearer`"),
                text("keys", "a secret, a public key or certificate as PEM, or a JWKS"),
                table(
                    "options",
                    "`algorithms` (needed: a list), `issuer`, `audience` (a text or a list of which one must be there), \
                     `leeway_seconds` (0 to 600, default 0)",
                ),
            ])
            .gives("({ [string]: any }?, string?)")
            .fails("returns nil and a reason when the token is not good; raises on keys and options that cannot be used")
            .costs("HMAC 5 µs, RSA 40 µs, ECDSA 80 µs; keys are read once per worker")
            .example("local token = gate.jwt.sign({ sub = 'ann', exp = gate.time.now() + 60 }, 'a secret of 32 bytes or even more')\n\
                      gate.jwt.verify(token, 'a secret of 32 bytes or even more', { algorithms = { 'HS256' } }).sub --> 'ann'\n\
                      gate.jwt.verify(token, 'another secret of 32 bytes or more', { algorithms = { 'HS256' } }) --> nil"),
        function("sign", PhaseSet::ALL, sign)
            .about("A token with these claims.")
            .takes(&[
                table("claims", "what the token says; times are seconds since 1970"),
                text("key", "a secret of at least 32 bytes, or a private key as PEM"),
                table("options", "`algorithm` (default `HS256`), `key_id` (the header's `kid`)").optional(),
            ])
            .gives("string")
            .fails("raises on keys that do not fit the algorithm and claims that JSON cannot hold")
            .costs("HMAC 5 µs, ECDSA 40 µs, RSA 1 ms")
            .example("#gate.jwt.sign({ sub = 'ann' }, string.rep('s', 32)) > 60 --> true"),
        function("decode", PhaseSet::ALL, decode)
            .about("Header and claims of a token, unverified: nothing in it can be trusted.")
            .takes(&[text("token", "the compact form, at most 16 KiB")])
            .gives("({ header: { [string]: any }, claims: { [string]: any } }?, string?)")
            .fails("returns nil and a reason when the text is not a token")
            .example("gate.jwt.decode(gate.jwt.sign({ a = 1 }, string.rep('s', 32))).header.alg --> 'HS256'"),
    ],
    fields: &[],
    is_open: false,
};

fn verify<'call>(mut call: Call<'call, '_>) -> Answered<'call> {
    const FUNCTION: &str = "gate.jwt.verify";
    const KNOWN: &str = "`algorithms`, `issuer`, `audience`, `leeway_seconds`";
    let (token, keys) = (call.text(1, FUNCTION)?, call.text(2, FUNCTION)?);
    let mut names = Vec::new();
    let mut expected = Expected { leeway_seconds: LEEWAY_SECONDS, ..Expected::default() };
    options::read(&mut call, 3, FUNCTION, KNOWN, |name, value| {
        match name {
            b"algorithms" => names = options::texts("algorithms", value)?,
            b"issuer" => expected.issuer = Some(options::text("issuer", value)?),
            b"audience" => expected.audience = options::texts("audience", value)?,
            b"leeway_seconds" => {
                expected.leeway_seconds = options::number("leeway_seconds", value, 0.0..=LEEWAY_SECONDS_MAX)?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    let run = call.run;
    for name in &names {
        match Algorithm::named(name) {
            Some(algorithm) => expected.algorithms.push(algorithm),
            None => {
                return Err(run.refuse(format_args!("{FUNCTION}: `{name}` is not an algorithm that tokens may have")));
            }
        }
    }
    if expected.algorithms.is_empty() {
        return Err(run.refuse(format_args!("{FUNCTION}: option `algorithms` must name at least one")));
    }
    expected.now = seconds(run.services.clock.now());
    match jwt::verify(token, keys, &expected) {
        Ok(claims) => {
            run.buffers.output = claims;
            Ok(Answer::OutputJson)
        }
        Err(jwt::Error::Keys(why)) => Err(run.refuse(format_args!("{FUNCTION}: {why}"))),
        Err(jwt::Error::Token(why)) => Ok(run.fail(format_args!("{why}"))),
    }
}

fn sign<'call>(mut call: Call<'call, '_>) -> Answered<'call> {
    const FUNCTION: &str = "gate.jwt.sign";
    let key = call.text(2, FUNCTION)?;
    let (mut name, mut key_id) = (None, None);
    options::read(&mut call, 3, FUNCTION, "`algorithm`, `key_id`", |option, value| {
        match option {
            b"algorithm" => name = Some(options::text("algorithm", value)?),
            b"key_id" => key_id = Some(options::text("key_id", value)?),
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    let name = name.as_deref().unwrap_or("HS256");
    let Some(algorithm) = Algorithm::named(name) else {
        return Err(call.run.refuse(format_args!("{FUNCTION}: `{name}` is not an algorithm that tokens may have")));
    };
    options::json_of(&mut call, 1, FUNCTION)?;
    let run = call.run;
    if run.buffers.scratch.first() != Some(&b'{') {
        return Err(run.refuse(format_args!("{FUNCTION}: the claims must be names and values, not a list")));
    }
    match jwt::sign(&run.buffers.scratch, key, algorithm, key_id.as_deref()) {
        Ok(token) => {
            run.buffers.output = token.into_bytes();
            Ok(Answer::Output)
        }
        Err(jwt::Error::Keys(why) | jwt::Error::Token(why)) => Err(run.refuse(format_args!("{FUNCTION}: {why}"))),
    }
}

fn decode<'call>(mut call: Call<'call, '_>) -> Answered<'call> {
    let token = call.text(1, "gate.jwt.decode")?;
    let run = call.run;
    match jwt::parts(token) {
        Ok(parts) => {
            let header: Json = parts.header;
            let claims: Json = serde_json::from_slice(&parts.claims).unwrap_or_default();
            run.buffers.output = serde_json::json!({ "header": header, "claims": claims }).to_string().into_bytes();
            Ok(Answer::OutputJson)
        }
        Err(error) => Ok(run.fail(format_args!("{error}"))),
    }
}
