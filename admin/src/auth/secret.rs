//! Making secrets: tokens and API keys, shown once and kept as hashes.

use openssl::rand::rand_bytes;
use sha2::{Digest as _, Sha256};

/// Characters of a secret: letters and digits, so that a double click selects it all.
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// Random characters of a secret: 40 of 62 are 238 bits.
const CHARACTERS: usize = 40;
/// Characters of a secret that people may see again, by which they recognise it: 36 bits less to guess.
const SHOWN: usize = 6;
/// Characters of an id.
const ID_CHARACTERS: usize = 10;

/// A secret that was made, with all that is known about it.
#[derive(Debug)]
pub struct MadeSecret {
    /// The id of its record.
    pub id: String,
    /// The secret itself.
    pub secret: String,
    /// Its first characters.
    pub prefix: String,
    /// Its hash.
    pub hash: String,
}

/// Makes a secret that begins with `prefix`.
///
/// # Errors
///
/// When the system has no randomness to give.
pub fn make(prefix: &str) -> Result<MadeSecret, openssl::error::ErrorStack> {
    let secret = format!("{prefix}{}", characters(CHARACTERS)?);
    let shown = secret[..prefix.len() + SHOWN].to_owned();
    Ok(MadeSecret { id: characters(ID_CHARACTERS)?.to_lowercase(), hash: digest(&secret), prefix: shown, secret })
}

/// The SHA-256 of a secret, in hexadecimal digits. Secrets made here need no salt and no slow hash: nobody can guess 238 bits.
pub fn digest(secret: &str) -> String {
    Sha256::digest(secret.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn characters(count: usize) -> Result<String, openssl::error::ErrorStack> {
    let mut text = String::with_capacity(count);
    while text.len() < count {
        let mut bytes = [0; 64];
        rand_bytes(&mut bytes)?;
        // 248 is the largest multiple of 62 in a byte: above it, some characters would be likelier.
        let fair = bytes.iter().filter(|byte| **byte < 248).map(|byte| char::from(ALPHABET[usize::from(byte % 62)]));
        text.extend(fair.take(count - text.len()));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_long_differ_and_are_known_by_their_hash() {
        let (a, b) = (make("mgt_").expect("randomness"), make("mgt_").expect("randomness"));
        assert_ne!(a.secret, b.secret);
        assert_eq!((a.secret.len(), a.hash.len(), a.id.len()), (44, 64, 10));
        assert!(a.secret.starts_with(&a.prefix) && a.prefix.len() == 10);
        assert_eq!(digest(&a.secret), a.hash);
        // FIPS 180-4's example.
        assert_eq!(digest("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
