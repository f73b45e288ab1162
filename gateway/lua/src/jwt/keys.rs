//! Keys for tokens: secrets, PEM, and JSON Web Key Sets (RFC 7517), read once per worker thread.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey};
use openssl::error::ErrorStack;
use openssl::nid::Nid;
use openssl::pkey::{Id, PKey, Public};
use openssl::rsa::Rsa;
use openssl::x509::X509;
use serde_json::Value;

use crate::jwt::{Algorithm, Error};

/// Most keys of one set.
const KEYS_MAX: usize = 64;

/// Longest text of keys, in bytes.
const TEXT_BYTES_MAX: usize = 256 * 1024;

/// Most texts of keys kept per thread. All go when a new one has no place.
const KEPT_MAX: usize = 64;

/// The keys of texts.
type Kept = HashMap<Box<[u8]>, Rc<[Key]>>;

thread_local! {
    static KEPT: RefCell<Kept> = RefCell::default();
}

/// A key.
pub(super) struct Key {
    /// Its name in its set.
    pub(super) id: Option<String>,
    /// The algorithm it is for, where it says.
    pub(super) algorithm: Option<Algorithm>,
    pub(super) material: Material,
}

/// What a key is made of.
pub(super) enum Material {
    Secret(Vec<u8>),
    Public(PKey<Public>),
}

/// Calls `work` with the keys of a text.
pub(super) fn with_keys<R>(text: &[u8], work: impl FnOnce(&[Key]) -> Result<R, Error>) -> Result<R, Error> {
    let kept = KEPT.with_borrow(|kept| kept.get(text).cloned());
    let keys = match kept {
        Some(keys) => keys,
        None => {
            let keys: Rc<[Key]> = read(text)?.into();
            KEPT.with_borrow_mut(|kept| {
                if kept.len() >= KEPT_MAX {
                    kept.clear();
                }
                kept.insert(text.into(), Rc::clone(&keys));
            });
            keys
        }
    };
    work(&keys)
}

fn unusable(why: &str) -> Error {
    Error::Keys(why.to_owned())
}

fn read(text: &[u8]) -> Result<Vec<Key>, Error> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(unusable("the keys are too long"));
    }
    let trimmed = text.trim_ascii();
    if trimmed.starts_with(b"-----BEGIN ") {
        let material = Material::Public(pem(trimmed)?);
        return Ok(vec![Key { id: None, algorithm: None, material }]);
    }
    if trimmed.starts_with(b"{") {
        return set(trimmed);
    }
    Ok(vec![Key { id: None, algorithm: None, material: Material::Secret(text.to_vec()) }])
}

fn pem(text: &[u8]) -> Result<PKey<Public>, Error> {
    if memchr::memmem::find(text, b"PRIVATE KEY").is_some() {
        return Err(unusable("tokens are verified with a public key, not with a private one"));
    }
    if text.starts_with(b"-----BEGIN CERTIFICATE") {
        let key = X509::from_pem(text).and_then(|certificate| certificate.public_key());
        return key.map_err(|_| unusable("the certificate cannot be read"));
    }
    PKey::public_key_from_pem(text).map_err(|_| unusable("the key is not a public key in PEM form"))
}

/// Reads a set, or a single key. Keys of unknown kinds, and those for encryption, are left out (RFC 7517 section 5).
fn set(text: &[u8]) -> Result<Vec<Key>, Error> {
    let value: Value = serde_json::from_slice(text).map_err(|_| unusable("the key set is not JSON"))?;
    let single = [value];
    let keys = match single[0].get("keys") {
        Some(Value::Array(keys)) => keys.as_slice(),
        Some(_) => return Err(unusable("the key set's `keys` is not a list")),
        None => &single,
    };
    if keys.len() > KEYS_MAX {
        return Err(unusable("the key set holds too many keys"));
    }
    let keys: Vec<Key> = keys.iter().filter_map(key).collect();
    if keys.is_empty() { Err(unusable("the key set holds no key that can be used")) } else { Ok(keys) }
}

fn key(value: &Value) -> Option<Key> {
    let text = |name: &str| value.get(name).and_then(Value::as_str);
    if text("use").is_some_and(|purpose| purpose != "sig") {
        return None;
    }
    let algorithm = match text("alg") {
        Some(name) => Some(Algorithm::named(name)?),
        None => None,
    };
    let bytes = |name: &str| URL_SAFE_NO_PAD.decode(text(name)?).ok();
    let material = match text("kty")? {
        "oct" => Material::Secret(bytes("k")?),
        "RSA" => Material::Public(rsa(&bytes("n")?, &bytes("e")?).ok()?),
        "EC" => Material::Public(curve(text("crv")?, &bytes("x")?, &bytes("y")?)?.ok()?),
        "OKP" if text("crv") == Some("Ed25519") => {
            Material::Public(PKey::public_key_from_raw_bytes(&bytes("x")?, Id::ED25519).ok()?)
        }
        _ => return None,
    };
    Some(Key { id: text("kid").map(str::to_owned), algorithm, material })
}

fn rsa(modulus: &[u8], exponent: &[u8]) -> Result<PKey<Public>, ErrorStack> {
    PKey::from_rsa(Rsa::from_public_components(BigNum::from_slice(modulus)?, BigNum::from_slice(exponent)?)?)
}

fn curve(name: &str, x: &[u8], y: &[u8]) -> Option<Result<PKey<Public>, ErrorStack>> {
    let id = match name {
        "P-256" => Nid::X9_62_PRIME256V1,
        "P-384" => Nid::SECP384R1,
        _ => return None,
    };
    let make = || {
        let group = EcGroup::from_curve_name(id)?;
        let key =
            EcKey::from_public_key_affine_coordinates(&group, &*BigNum::from_slice(x)?, &*BigNum::from_slice(y)?)?;
        key.check_key()?;
        PKey::from_ec_key(key)
    };
    Some(make())
}
