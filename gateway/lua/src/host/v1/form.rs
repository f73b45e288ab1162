//! The encoding of forms and queries (`application/x-www-form-urlencoded`, as API Gateway reads and writes it).

use crate::json::{BYTES_PER_QUESTION, Stop, TEXT_BYTES_MAX};

/// Appends the text that an encoded one stands for. What is no encoding stays as it is; the answer says whether there was any.
pub(crate) fn decode(encoded: &[u8], out: &mut Vec<u8>, stop: &impl Stop) -> bool {
    let mut is_clean = true;
    let mut at = 0;
    while let Some(&byte) = encoded.get(at) {
        if at % BYTES_PER_QUESTION == 0 && stop.is_due() {
            return false;
        }
        at += 1;
        match byte {
            b'+' => out.push(b' '),
            b'%' => match encoded.get(at..at + 2).and_then(hexadecimal) {
                Some(value) => {
                    out.push(value);
                    at += 2;
                }
                None => {
                    is_clean = false;
                    out.push(byte);
                }
            },
            _ => out.push(byte),
        }
    }
    is_clean
}

fn hexadecimal(digits: &[u8]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    Some((digit(digits[0])? * 16 + digit(digits[1])?) as u8)
}

/// Appends a text in encoded form, and answers false when it is too long for that or the run was stopped.
pub(crate) fn encode(plain: &[u8], out: &mut Vec<u8>, stop: &impl Stop) -> bool {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for (place, &byte) in plain.iter().enumerate() {
        if place % BYTES_PER_QUESTION == 0 && stop.is_due() {
            return false;
        }
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'*' | b'_' => out.push(byte),
            b' ' => out.push(b'+'),
            _ => out.extend([b'%', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]),
        }
        if out.len() > TEXT_BYTES_MAX {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Never;

    impl Stop for Never {
        fn is_due(&self) -> bool {
            false
        }
    }

    #[test]
    fn encoding_and_decoding() {
        let cases = [
            ("a b", "a+b"),
            ("x=a+b", "x%3Da%2Bb"),
            ("caf\u{e9}", "caf%C3%A9"),
            ("{\"some\": \"value\"}", "%7B%22some%22%3A+%22value%22%7D"),
            ("a.-*_~", "a.-*_%7E"),
            ("", ""),
        ];
        for (plain, encoded) in cases {
            let mut out = Vec::new();
            assert!(encode(plain.as_bytes(), &mut out, &Never));
            assert_eq!(out, encoded.as_bytes(), "{plain}");
            out.clear();
            assert!(decode(encoded.as_bytes(), &mut out, &Never));
            assert_eq!(out, plain.as_bytes(), "{encoded}");
        }
    }

    #[test]
    fn what_is_no_encoding_stays_as_it_is() {
        for text in ["%", "a%2", "%zz", "%+1"] {
            let mut out = Vec::new();
            assert!(!decode(text.as_bytes(), &mut out, &Never), "{text}");
            assert_eq!(out, text.replace('+', " ").as_bytes());
        }
    }
}
