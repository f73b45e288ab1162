//! JSON Web Tokens (RFC 7519, 7515, 7518, 8037), on OpenSSL.
//!
//! A token names its algorithm, but the caller says which ones it takes and the key says which ones it can: all three must
//! agree (RFC 8725 section 3.1). `keys.rs` reads keys.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use openssl::bn::BigNum;
use openssl::ecdsa::EcdsaSig;
use openssl::hash::MessageDigest;
use openssl::pkey::{HasPrivate, HasPublic, Id, PKeyRef};
use openssl::rsa::Padding;
use openssl::sign::{RsaPssSaltlen, Signer, Verifier};
use serde_json::Value;

use crate::jwt::keys::{Key, Material, with_keys};

mod keys;

#[cfg(test)]
mod tests;

/// Longest token, in bytes.
const TOKEN_BYTES_MAX: usize = 16 * 1024;

/// Shortest secret, in bytes: the size of the smallest digest (RFC 7518 section 3.2).
const SECRET_BYTES_MIN: usize = 32;

/// An algorithm that tokens may be signed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Algorithm {
    Hs256,
    Hs384,
    Hs512,
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Es256,
    Es384,
    EdDsa,
}

impl Algorithm {
    const ALL: [(&'static str, Self); 10] = [
        ("HS256", Self::Hs256),
        ("HS384", Self::Hs384),
        ("HS512", Self::Hs512),
        ("RS256", Self::Rs256),
        ("RS384", Self::Rs384),
        ("RS512", Self::Rs512),
        ("PS256", Self::Ps256),
        ("ES256", Self::Es256),
        ("ES384", Self::Es384),
        ("EdDSA", Self::EdDsa),
    ];

    /// The algorithm of a name (RFC 7518 section 3.1, RFC 8037 section 3.1).
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(known, _)| *known == name).map(|(_, algorithm)| algorithm)
    }

    fn name(self) -> &'static str {
        Self::ALL.into_iter().find(|(_, algorithm)| *algorithm == self).map_or("", |(name, _)| name)
    }

    fn digest(self) -> MessageDigest {
        match self {
            Self::Hs256 | Self::Rs256 | Self::Ps256 | Self::Es256 | Self::EdDsa => MessageDigest::sha256(),
            Self::Hs384 | Self::Rs384 | Self::Es384 => MessageDigest::sha384(),
            Self::Hs512 | Self::Rs512 => MessageDigest::sha512(),
        }
    }

    fn is_hmac(self) -> bool {
        matches!(self, Self::Hs256 | Self::Hs384 | Self::Hs512)
    }

    /// Bytes of one of the two numbers of an elliptic curve's signature.
    fn curve_bytes(self) -> Option<i32> {
        match self {
            Self::Es256 => Some(32),
            Self::Es384 => Some(48),
            _ => None,
        }
    }

    /// Whether a key of that kind and size can be used with it.
    fn fits<T: HasPublic>(self, key: &PKeyRef<T>) -> bool {
        match self {
            Self::Rs256 | Self::Rs384 | Self::Rs512 | Self::Ps256 => {
                key.id() == Id::RSA && (2048..=4096).contains(&key.bits())
            }
            Self::Es256 => key.id() == Id::EC && key.bits() == 256,
            Self::Es384 => key.id() == Id::EC && key.bits() == 384,
            Self::EdDsa => key.id() == Id::ED25519,
            Self::Hs256 | Self::Hs384 | Self::Hs512 => false,
        }
    }
}

/// What a token must say to be good.
#[derive(Clone, Debug, Default)]
pub(crate) struct Expected {
    pub(crate) algorithms: Vec<Algorithm>,
    pub(crate) issuer: Option<String>,
    /// One of these must be among the token's; empty for any.
    pub(crate) audience: Vec<String>,
    /// How far clocks may be apart.
    pub(crate) leeway_seconds: f64,
    /// Seconds since 1970.
    pub(crate) now: f64,
}

/// Why there are no claims, or no token.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Error {
    /// The keys cannot be used: the script's fault.
    #[error("{0}")]
    Keys(String),
    /// The token is not good: the client's.
    #[error("{0}")]
    Token(String),
}

fn bad(why: impl fmt::Display) -> Error {
    Error::Token(why.to_string())
}

/// A token taken apart, unverified.
pub(crate) struct Parts<'token> {
    pub(crate) header: Value,
    /// JSON.
    pub(crate) claims: Vec<u8>,
    signed: &'token [u8],
    signature: Vec<u8>,
}

/// Takes a token apart.
pub(crate) fn parts(token: &[u8]) -> Result<Parts<'_>, Error> {
    if token.len() > TOKEN_BYTES_MAX {
        return Err(bad("the token is too long"));
    }
    let mut dots = memchr::memchr_iter(b'.', token);
    let (Some(first), Some(second), None) = (dots.next(), dots.next(), dots.next()) else {
        return Err(bad("a token has three parts"));
    };
    let decode = |part: &[u8]| URL_SAFE_NO_PAD.decode(part).map_err(|_| bad("the token is not Base64 for URLs"));
    let header: Value =
        serde_json::from_slice(&decode(&token[..first])?).map_err(|_| bad("the token's header is not JSON"))?;
    let claims = decode(&token[first + 1..second])?;
    let parsed: Value = serde_json::from_slice(&claims).map_err(|_| bad("the token's claims are not JSON"))?;
    if !header.is_object() || !parsed.is_object() {
        return Err(bad("the token's header and claims must be objects"));
    }
    Ok(Parts { header, claims, signed: &token[..second], signature: decode(&token[second + 1..])? })
}

/// The claims of a token, as JSON, if it is good.
pub(crate) fn verify(token: &[u8], keys: &[u8], expected: &Expected) -> Result<Vec<u8>, Error> {
    let parts = parts(token)?;
    let name = parts.header.get("alg").and_then(Value::as_str).unwrap_or_default();
    let algorithm = Algorithm::named(name).filter(|algorithm| expected.algorithms.contains(algorithm));
    let Some(algorithm) = algorithm else { return Err(bad("the token's algorithm is not one of those accepted")) };
    // Nobody here understands extensions that must be understood (RFC 7515 section 4.1.11).
    if parts.header.get("crit").is_some() {
        return Err(bad("the token has critical extensions"));
    }
    let key_id = parts.header.get("kid").and_then(Value::as_str);
    with_keys(keys, |keys| check_signature(keys, key_id, algorithm, &parts))?;
    let claims: Value = serde_json::from_slice(&parts.claims).map_err(|_| bad("the token's claims are not JSON"))?;
    check_claims(&claims, expected)?;
    Ok(parts.claims)
}

fn check_signature(keys: &[Key], key_id: Option<&str>, algorithm: Algorithm, parts: &Parts<'_>) -> Result<(), Error> {
    // A key that has a name serves tokens of that name, and tokens without one.
    let is_named = |key: &&Key| match (key_id, &key.id) {
        (Some(wanted), Some(id)) => wanted == id,
        _ => true,
    };
    let is_for = |key: &&Key| key.algorithm.is_none_or(|own| own == algorithm);
    let mut has_key = false;
    for key in keys.iter().filter(is_named).filter(is_for) {
        let is_right = match &key.material {
            Material::Secret(secret) if algorithm.is_hmac() => {
                if secret.len() < SECRET_BYTES_MIN {
                    return Err(Error::Keys(format!("a secret needs at least {SECRET_BYTES_MIN} bytes")));
                }
                let code = crate::host::v1::hmac_of(algorithm.digest(), secret, parts.signed).unwrap_or_default();
                code.len() == parts.signature.len() && openssl::memcmp::eq(&code, &parts.signature)
            }
            Material::Public(key) if algorithm.fits(key) => is_signed(key, algorithm, parts).unwrap_or(false),
            _ => continue,
        };
        has_key = true;
        if is_right {
            return Ok(());
        }
    }
    Err(bad(if has_key { "the token's signature is wrong" } else { "there is no key for the token" }))
}

fn is_signed<T: HasPublic>(
    key: &PKeyRef<T>,
    algorithm: Algorithm,
    parts: &Parts<'_>,
) -> Result<bool, openssl::error::ErrorStack> {
    if algorithm == Algorithm::EdDsa {
        return Verifier::new_without_digest(key)?.verify_oneshot(&parts.signature, parts.signed);
    }
    let mut verifier = Verifier::new(algorithm.digest(), key)?;
    if algorithm == Algorithm::Ps256 {
        verifier.set_rsa_padding(Padding::PKCS1_PSS)?;
        verifier.set_rsa_pss_saltlen(RsaPssSaltlen::DIGEST_LENGTH)?;
    }
    let Some(bytes) = algorithm.curve_bytes() else { return verifier.verify_oneshot(&parts.signature, parts.signed) };
    // Two numbers side by side (RFC 7518 section 3.4), where OpenSSL wants them in ASN.1.
    if parts.signature.len() != 2 * bytes as usize {
        return Ok(false);
    }
    let (r, s) = parts.signature.split_at(bytes as usize);
    let signature = EcdsaSig::from_private_components(BigNum::from_slice(r)?, BigNum::from_slice(s)?)?.to_der()?;
    verifier.verify_oneshot(&signature, parts.signed)
}

fn check_claims(claims: &Value, expected: &Expected) -> Result<(), Error> {
    let time = |name: &str| match claims.get(name) {
        None => Ok(None),
        Some(value) => value.as_f64().map(Some).ok_or_else(|| bad(format!("the token's `{name}` is not a time"))),
    };
    if time("exp")?.is_some_and(|until| expected.now >= until + expected.leeway_seconds) {
        return Err(bad("the token has expired"));
    }
    if time("nbf")?.is_some_and(|from| expected.now + expected.leeway_seconds < from) {
        return Err(bad("the token is not valid yet"));
    }
    if let Some(issuer) = &expected.issuer
        && claims.get("iss").and_then(Value::as_str) != Some(issuer)
    {
        return Err(bad("the token is of another issuer"));
    }
    let is_wanted =
        |value: &Value| value.as_str().is_some_and(|name| expected.audience.iter().any(|known| known == name));
    let is_addressed = match claims.get("aud") {
        Some(Value::Array(names)) => names.iter().any(is_wanted),
        Some(name) => is_wanted(name),
        None => false,
    };
    if !expected.audience.is_empty() && !is_addressed {
        return Err(bad("the token is for another audience"));
    }
    Ok(())
}

/// A token with these claims, which are JSON.
pub(crate) fn sign(claims: &[u8], key: &[u8], algorithm: Algorithm, key_id: Option<&str>) -> Result<String, Error> {
    let mut header = serde_json::json!({ "alg": algorithm.name(), "typ": "JWT" });
    if let Some(id) = key_id {
        header["kid"] = id.into();
    }
    let mut token = URL_SAFE_NO_PAD.encode(header.to_string());
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(claims, &mut token);
    let signature = if algorithm.is_hmac() {
        if key.len() < SECRET_BYTES_MIN {
            return Err(Error::Keys(format!("a secret needs at least {SECRET_BYTES_MIN} bytes")));
        }
        crate::host::v1::hmac_of(algorithm.digest(), key, token.as_bytes())
    } else {
        let key = openssl::pkey::PKey::private_key_from_pem(key)
            .map_err(|_| Error::Keys("the key is not a private key in PEM form".to_owned()))?;
        if !algorithm.fits(&key) {
            return Err(Error::Keys(format!("the key does not fit the algorithm `{}`", algorithm.name())));
        }
        signature(&key, algorithm, token.as_bytes()).ok()
    };
    let signature = signature.ok_or_else(|| Error::Keys("the key cannot sign".to_owned()))?;
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut token);
    Ok(token)
}

fn signature<T: HasPrivate>(
    key: &PKeyRef<T>,
    algorithm: Algorithm,
    text: &[u8],
) -> Result<Vec<u8>, openssl::error::ErrorStack> {
    if algorithm == Algorithm::EdDsa {
        return Signer::new_without_digest(key)?.sign_oneshot_to_vec(text);
    }
    let mut signer = Signer::new(algorithm.digest(), key)?;
    if algorithm == Algorithm::Ps256 {
        signer.set_rsa_padding(Padding::PKCS1_PSS)?;
        signer.set_rsa_pss_saltlen(RsaPssSaltlen::DIGEST_LENGTH)?;
    }
    let signature = signer.sign_oneshot_to_vec(text)?;
    let Some(bytes) = algorithm.curve_bytes() else { return Ok(signature) };
    let parsed = EcdsaSig::from_der(&signature)?;
    let mut both = parsed.r().to_vec_padded(bytes)?;
    both.extend(parsed.s().to_vec_padded(bytes)?);
    Ok(both)
}
