//! `gate.crypto`: digests, message authentication, random bytes, comparing without a hint, and sealing (AES-GCM).
//!
//! All of it is OpenSSL's, which the gateway's TLS uses too. Results are raw bytes; `gate.hex` and `gate.base64` make text of
//! them.

use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::sign::Signer;
use openssl::symm::{Cipher, decrypt_aead, encrypt_aead};

use crate::host::function::{PhaseSet, function, text, whole};
use crate::host::{Answer, Answered, Call, Noun, Refused};
use crate::stack::Value;

/// Most random bytes of one call.
const RANDOM_BYTES_MAX: f64 = 1024.0;

/// Longest text that is sealed or opened, in bytes.
const SEALED_BYTES_MAX: usize = 1024 * 1024;

/// Bytes of the number used once in front of a sealed text (NIST SP 800-38D section 8.2), and of the tag behind it.
const NONCE_BYTES: usize = 12;
const TAG_BYTES: usize = 16;

/// The declaration.
pub(crate) static NOUN: Noun = Noun {
    path: "gate.crypto",
    about: "Digests, message authentication, random bytes, comparing without a hint, and sealing. Results are raw bytes: \
            `gate.hex` and `gate.base64` make text of them.",
    functions: &[
        function("sha256", PhaseSet::ALL, sha256)
            .about("The SHA-256 digest (FIPS 180-4).")
            .takes(&[text("bytes", "what to digest")])
            .gives("string")
            .costs("about 2 µs per KiB")
            .example("gate.hex.encode(gate.crypto.sha256('')):sub(1, 8) --> 'e3b0c442'"),
        function("sha384", PhaseSet::ALL, sha384)
            .about("The SHA-384 digest.")
            .takes(&[text("bytes", "what to digest")])
            .gives("string")
            .example("#gate.crypto.sha384('') --> 48"),
        function("sha512", PhaseSet::ALL, sha512)
            .about("The SHA-512 digest.")
            .takes(&[text("bytes", "what to digest")])
            .gives("string")
            .example("#gate.crypto.sha512('') --> 64"),
        function("hmac", PhaseSet::ALL, hmac)
            .about("The HMAC of a text (RFC 2104).")
            .takes(&[
                text("digest", "`sha256`, `sha384` or `sha512`"),
                text("key", "the key's bytes, at least one"),
                text("bytes", "what to authenticate"),
            ])
            .gives("string")
            .fails("raises on other digests and an empty key")
            .example("gate.hex.encode(gate.crypto.hmac('sha256', 'key', 'text')):sub(1, 8) --> '6afa9046'"),
        function("random", PhaseSet::ALL, random)
            .about("Random bytes that nobody can guess.")
            .takes(&[whole("count", "from 1 to 1024")])
            .gives("string")
            .fails("raises on other counts")
            .example("#gate.crypto.random(16) --> 16"),
        function("equal", PhaseSet::ALL, equal)
            .about("Whether two texts are the same, in a time that does not tell where they differ. For signatures and keys.")
            .takes(&[text("a", "one text"), text("b", "the other")])
            .gives("boolean")
            .example("gate.crypto.equal('a', 'a') --> true\ngate.crypto.equal('a', 'ab') --> false"),
        function("seal", PhaseSet::ALL, seal)
            .about("Encrypts and authenticates a text with AES-GCM under a random nonce, which stands before the result.")
            .takes(&[
                text("key", "16 or 32 bytes"),
                text("bytes", "at most 1 MiB"),
                text("context", "bytes that are authenticated with it and needed to open it").optional(),
            ])
            .gives("string")
            .fails("raises on keys of another length")
            .example("local key = string.rep('k', 32)\n\
                      gate.crypto.open(key, gate.crypto.seal(key, 'hello', 'user-1'), 'user-1') --> 'hello'"),
        function("open", PhaseSet::ALL, open)
            .about("The reverse of `seal`.")
            .takes(&[
                text("key", "16 or 32 bytes"),
                text("sealed", "what `seal` made"),
                text("context", "the same as for `seal`").optional(),
            ])
            .gives("(string?, string?)")
            .fails("returns nil and a reason when key or context are others or the text was changed; raises on keys of another \
                    length")
            .example("gate.crypto.open(string.rep('k', 32), 'nonsense') --> nil"),
    ],
    fields: &[],
    is_open: false,
};

/// The digest of a name.
pub(super) fn digest(name: &[u8]) -> Option<MessageDigest> {
    match name {
        b"sha256" => Some(MessageDigest::sha256()),
        b"sha384" => Some(MessageDigest::sha384()),
        b"sha512" => Some(MessageDigest::sha512()),
        _ => None,
    }
}

fn sha256<'call>(call: Call<'call, '_>) -> Answered<'call> {
    hash(call, MessageDigest::sha256())
}

fn sha384<'call>(call: Call<'call, '_>) -> Answered<'call> {
    hash(call, MessageDigest::sha384())
}

fn sha512<'call>(call: Call<'call, '_>) -> Answered<'call> {
    hash(call, MessageDigest::sha512())
}

fn failed(call: &mut Call<'_, '_>, what: &str) -> Refused {
    call.run.refuse(format_args!("gate.crypto: {what}"))
}

fn hash<'call>(mut call: Call<'call, '_>, digest: MessageDigest) -> Answered<'call> {
    let bytes = call.text(1, "gate.crypto")?;
    let digested = openssl::hash::hash(digest, bytes).map_err(|_| failed(&mut call, "the text cannot be digested"))?;
    let output = &mut call.run.buffers.output;
    output.clear();
    output.extend_from_slice(&digested);
    Ok(Answer::Output)
}

/// The HMAC of a text.
pub(crate) fn hmac_of(digest: MessageDigest, key: &[u8], bytes: &[u8]) -> Option<Vec<u8>> {
    let key = PKey::hmac(key).ok()?;
    Signer::new(digest, &key).ok()?.sign_oneshot_to_vec(bytes).ok()
}

fn hmac<'call>(mut call: Call<'call, '_>) -> Answered<'call> {
    const FUNCTION: &str = "gate.crypto.hmac";
    let (name, key, bytes) = (call.text(1, FUNCTION)?, call.text(2, FUNCTION)?, call.text(3, FUNCTION)?);
    let Some(digest) = digest(name) else {
        return Err(call.run.refuse(format_args!("{FUNCTION}: the digest is `sha256`, `sha384` or `sha512`")));
    };
    if key.is_empty() {
        return Err(call.run.refuse(format_args!("{FUNCTION}: the key is empty")));
    }
    let code = hmac_of(digest, key, bytes).ok_or_else(|| failed(&mut call, "the text cannot be authenticated"))?;
    call.run.buffers.output = code;
    Ok(Answer::Output)
}

fn random<'call>(call: Call<'call, '_>) -> Answered<'call> {
    let run = call.run;
    let Value::Number(count @ 1.0..=RANDOM_BYTES_MAX) = call.arguments.get(1) else {
        return Err(run.refuse(format_args!("gate.crypto.random: the count must be from 1 to {RANDOM_BYTES_MAX}")));
    };
    run.buffers.output.clear();
    run.buffers.output.resize(count as usize, 0);
    run.services.random.fill(&mut run.buffers.output);
    Ok(Answer::Output)
}

fn equal<'call>(mut call: Call<'call, '_>) -> Answered<'call> {
    let (a, b) = (call.text(1, "gate.crypto.equal")?, call.text(2, "gate.crypto.equal")?);
    // The length is no secret: that of a signature or a digest is known.
    Ok(Answer::Boolean(a.len() == b.len() && openssl::memcmp::eq(a, b)))
}

/// The cipher for a key's length.
fn cipher(call: &mut Call<'_, '_>, function: &str, key: &[u8]) -> Result<Cipher, Refused> {
    match key.len() {
        16 => Ok(Cipher::aes_128_gcm()),
        32 => Ok(Cipher::aes_256_gcm()),
        length => Err(call.run.refuse(format_args!("{function}: a key has 16 or 32 bytes, not {length}"))),
    }
}

fn context<'call>(call: &Call<'call, '_>) -> &'call [u8] {
    match call.arguments.get(3) {
        Value::Text(context) => context,
        _ => b"",
    }
}

fn seal<'call>(mut call: Call<'call, '_>) -> Answered<'call> {
    const FUNCTION: &str = "gate.crypto.seal";
    let (key, bytes) = (call.text(1, FUNCTION)?, call.text(2, FUNCTION)?);
    let cipher = cipher(&mut call, FUNCTION, key)?;
    if bytes.len() > SEALED_BYTES_MAX {
        return Err(call.run.refuse(format_args!("{FUNCTION}: the text is longer than {SEALED_BYTES_MAX} bytes")));
    }
    let (mut nonce, mut tag) = ([0; NONCE_BYTES], [0; TAG_BYTES]);
    call.run.services.random.fill(&mut nonce);
    let sealed = encrypt_aead(cipher, key, Some(&nonce), context(&call), bytes, &mut tag);
    let sealed = sealed.map_err(|_| failed(&mut call, "the text cannot be sealed"))?;
    let output = &mut call.run.buffers.output;
    output.clear();
    output.extend_from_slice(&nonce);
    output.extend_from_slice(&sealed);
    output.extend_from_slice(&tag);
    Ok(Answer::Output)
}

fn open<'call>(mut call: Call<'call, '_>) -> Answered<'call> {
    const FUNCTION: &str = "gate.crypto.open";
    let (key, sealed) = (call.text(1, FUNCTION)?, call.text(2, FUNCTION)?);
    let cipher = cipher(&mut call, FUNCTION, key)?;
    let is_possible = (NONCE_BYTES + TAG_BYTES..=SEALED_BYTES_MAX + NONCE_BYTES + TAG_BYTES).contains(&sealed.len());
    let opened = is_possible.then(|| {
        let (nonce, rest) = sealed.split_at(NONCE_BYTES);
        let (bytes, tag) = rest.split_at(rest.len() - TAG_BYTES);
        decrypt_aead(cipher, key, Some(nonce), context(&call), bytes, tag).ok()
    });
    let run = call.run;
    match opened.flatten() {
        Some(bytes) => {
            run.buffers.output = bytes;
            Ok(Answer::Output)
        }
        None => Ok(run.fail(format_args!("the text was not sealed with this key and context, or was changed"))),
    }
}
