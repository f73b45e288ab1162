//! Bodies between bytes and text: binary media types and content handling.
//!
//! Source: API Gateway, "Content type conversions in API Gateway" (the two tables of its section on REST APIs), and recorded
//! behaviour: Base64 is read leniently, what is text under AWS's habits is UTF-8 with U+FFFD for everything else.

use base64::Engine as _;
use base64::alphabet::STANDARD as ALPHABET;
use base64::engine::general_purpose::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use moongate_config::integration::ContentHandling;
use moongate_exchange::{Kind, Rejection};

/// Reads Base64 whose padding was removed, and whose last character may hold bits that mean nothing.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &ALPHABET,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::RequireNone)
        .with_decode_allow_trailing_bits(true),
);

/// A body and whether it is bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) body: Bytes,
    pub(super) is_binary: bool,
}

/// What one side takes a body for.
#[derive(Clone, Copy)]
pub(super) struct Sides {
    /// Whether the body's media type is one of the binary ones.
    pub(super) is_binary: bool,
    /// Whether the receiver accepts one of the binary ones; `None` where that does not count (requests).
    pub(super) wants_binary: Option<bool>,
    /// Whether what is not binary is text, whatever it holds (AWS's habit).
    pub(super) is_text_otherwise: bool,
}

/// Converts a body as declared.
///
/// # Errors
///
/// 500 when text that should become bytes is no Base64.
pub(super) fn convert(handling: Option<ContentHandling>, sides: Sides, body: Bytes) -> Result<Content, Rejection> {
    let text = |body| Content { body: if sides.is_text_otherwise { as_text(body) } else { body }, is_binary: false };
    let bytes = |body| Content { body, is_binary: true };
    Ok(match (handling, sides.is_binary, sides.wants_binary) {
        (Some(ContentHandling::ConvertToText), true, _) | (None, true, Some(false)) => {
            Content { body: STANDARD.encode(&body).into(), is_binary: false }
        }
        (Some(ContentHandling::ConvertToText), false, _) => text(body),
        (Some(ContentHandling::ConvertToBinary), true, _) | (None, true, _) => bytes(body),
        (Some(ContentHandling::ConvertToBinary), false, _) | (None, false, Some(true)) => bytes(decode(&body)?),
        (None, false, _) => text(body),
    })
}

/// The rejection of a template that would have to read bytes.
pub(super) fn template_on_bytes() -> Rejection {
    Rejection::new(Kind::ApiConfigurationError, "a template cannot map a binary body; convert it to text first")
}

/// UTF-8, with U+FFFD for what is none.
fn as_text(body: Bytes) -> Bytes {
    match String::from_utf8_lossy(&body) {
        std::borrow::Cow::Borrowed(_) => body,
        std::borrow::Cow::Owned(text) => text.into(),
    }
}

/// Reads Base64 as mail programs do: characters beyond the alphabet do not count, the padding must be whole.
fn decode(text: &[u8]) -> Result<Bytes, Rejection> {
    let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    let mut digits = Vec::with_capacity(text.len());
    let mut rest = text.iter();
    let mut padding = 0;
    for byte in rest.by_ref() {
        if is_digit(byte) && padding == 0 {
            digits.push(*byte);
        } else if *byte == b'=' {
            padding += 1;
        }
        if padding > 0 && digits.len() % 4 + padding >= 4 {
            break;
        }
    }
    let is_whole = match digits.len() % 4 {
        0 => true,
        1 => false,
        left => left + padding >= 4,
    };
    let refused = || Rejection::new(Kind::ApiConfigurationError, "the body should become bytes and is no Base64");
    if !is_whole {
        return Err(refused());
    }
    LENIENT.decode(&digits).map(Bytes::from).map_err(|error| refused().source(error))
}

#[cfg(test)]
mod tests {
    use ContentHandling::{ConvertToBinary, ConvertToText};

    use super::*;

    #[test]
    fn bodies_become_what_both_sides_take_them_for() {
        let sides = |is_binary, wants_binary| Sides { is_binary, wants_binary, is_text_otherwise: true };
        let cases: [(_, _, &[u8], Option<&[u8]>); 12] = [
            (None, sides(false, None), b"a\xff", Some("a\u{fffd}".as_bytes())),
            (None, sides(true, None), b"a\xff", Some(b"a\xff")),
            (Some(ConvertToText), sides(true, None), b"abc", Some(b"YWJj")),
            (Some(ConvertToText), sides(false, None), b"abc", Some(b"abc")),
            (Some(ConvertToBinary), sides(false, None), b"YWJj", Some(b"abc")),
            (Some(ConvertToBinary), sides(false, None), b" Y W\nJj!", Some(b"abc")),
            (Some(ConvertToBinary), sides(false, None), b"YWJjZ", None),
            (Some(ConvertToBinary), sides(false, None), b"YQ", None),
            (Some(ConvertToBinary), sides(false, None), b"YQ==", Some(b"a")),
            (None, sides(true, Some(false)), b"abc", Some(b"YWJj")),
            (None, sides(false, Some(true)), b"YWJj", Some(b"abc")),
            (Some(ConvertToBinary), sides(true, Some(false)), b"abc", Some(b"abc")),
        ];
        for (handling, sides, body, want) in cases {
            let got = convert(handling, sides, Bytes::copy_from_slice(body)).map(|content| content.body.to_vec()).ok();
            assert_eq!(got, want.map(<[u8]>::to_vec), "{handling:?} {}", body.escape_ascii());
        }
    }
}
