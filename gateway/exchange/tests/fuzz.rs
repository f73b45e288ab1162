//! Fuzz targets of paths and queries; see `tests/fuzz/README.md`.

use http::uri::PathAndQuery;
use moongate_exchange::target::TargetError;
use moongate_exchange::{Target, query};
use moongate_fuzz::{Fuzz, behaviour};

/// What the segments of a path are once everything is decoded and dot segments are resolved: written as plainly as possible, to be
/// compared with what the normal form says. `None` for a path that climbs above its root, or has broken encodings.
fn meaning(path: &str) -> Option<Vec<Vec<u8>>> {
    let mut segments: Vec<Vec<u8>> = Vec::new();
    for segment in path.split('/') {
        let decoded = decoded(segment.as_bytes())?;
        match decoded.as_slice() {
            b"" | b"." => {}
            b".." => drop(segments.pop()?),
            _ => segments.push(decoded),
        }
    }
    Some(segments)
}

fn decoded(segment: &[u8]) -> Option<Vec<u8>> {
    let mut decoded = Vec::new();
    let mut rest = segment;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte != b'%' {
            decoded.push(*byte);
            continue;
        }
        let digits = rest.get(..2).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))?;
        decoded.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
        rest = &rest[2..];
    }
    Some(decoded)
}

/// Whether every character of a normal path is one that stands for itself, or encoded because it must be.
fn is_in_form(path: &str) -> bool {
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/".contains(&byte) {
            continue;
        }
        let digits: Vec<u8> = bytes.by_ref().take(2).collect();
        let is_upper = digits.iter().all(|digit| digit.is_ascii_digit() || (b'A'..=b'F').contains(digit));
        let value = std::str::from_utf8(&digits).ok().and_then(|digits| u8::from_str_radix(digits, 16).ok());
        let Some(value) = value.filter(|_| byte == b'%' && is_upper) else { return false };
        let is_unreserved = value.is_ascii_alphanumeric() || b"-._~".contains(&value);
        if is_unreserved || value.is_ascii_control() {
            return false;
        }
    }
    true
}

#[test]
fn fuzz_target() {
    let tokens = &[
        "/",
        "//",
        ".",
        "..",
        "/..",
        "/./",
        "/../",
        "%2e",
        "%2E%2e",
        ".%2e",
        "%2f",
        "%5c",
        "\\",
        ";",
        "..;",
        ";/../",
        "%3b",
        "%25",
        "%252e",
        "%00",
        "%0a",
        "%7f",
        "%",
        "%%",
        "%zz",
        "%C3%A9",
        "%c0%ae",
        "\u{e9}",
        "?",
        "?a=b",
        "#",
        "*",
        "a",
        "%41",
        "%7E",
        "http://h/",
    ];
    Fuzz::new("target").tokens(tokens).run(|bytes| {
        let Ok(received) = PathAndQuery::try_from(bytes) else { return 0 };
        let target = match Target::normalize(received.clone()) {
            Ok(target) => target,
            Err(error) => {
                if !matches!(error, TargetError::NotAbsolute | TargetError::TooLong | TargetError::ControlCharacter) {
                    let is_hidden = matches!(error, TargetError::HiddenDotSegment);
                    assert!(is_hidden || meaning(received.path()).is_none(), "refused without reason: {error}");
                }
                return behaviour(&error.to_string());
            }
        };
        let path = target.path();
        assert!(path.starts_with('/') && !path.contains("//") && is_in_form(path), "{path}");
        assert!(path.split('/').all(|segment| segment != "." && segment != ".."), "{path}");
        let again = Target::from_text(target.as_str().to_owned()).expect("a normal form has a normal form");
        assert_eq!(again.as_str(), target.as_str(), "the normal form of a normal form");
        assert_eq!(meaning(path), meaning(received.path()), "{path} names something else than {}", received.path());
        // Decoded once more, as some servers do, cut at semicolons, as others do: still no way up.
        let decoded_again = path.replace("%2F", "/").replace("%5C", "/").replace('\\', "/");
        let is_way_up = |segment: &str| matches!(segment.split(';').next(), Some("." | ".."));
        assert!(!decoded_again.split('/').any(is_way_up), "{path} hides a dot segment");
        match received.query().filter(|query| query.is_ascii()) {
            Some(query) => assert_eq!(target.query(), Some(query)),
            None => assert_eq!(target.query().is_some(), received.query().is_some()),
        }
        let is_changed = path != received.path();
        behaviour(&(
            is_changed,
            path.split('/').count().min(8),
            path.contains('%'),
            path.ends_with('/'),
            target.query().is_some(),
        ))
    });
}

#[test]
fn fuzz_query() {
    let tokens = &[
        "&", "=", "+", "%20", "%", "%2", "%zz", "%26", "%3D", "%2B", "%FF", "%C3%A9", "a=b", "a", ";", "#", "[]",
        "\u{e9}", "%00",
    ];
    Fuzz::new("query").tokens(tokens).run(|bytes| {
        let Ok(text) = std::str::from_utf8(bytes) else { return 0 };
        let read: Vec<(String, String)> =
            query::parameters(text).map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
        assert_eq!(read.len(), text.split('&').filter(|pair| !pair.is_empty()).count());
        let encode = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
        let written: Vec<String> =
            read.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
        let written = written.join("&");
        let again: Vec<(String, String)> =
            query::parameters(&written).map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
        assert_eq!(again, read, "read again");
        let segment = query::decode_segment(text);
        assert!(segment.len() <= 3 * text.len(), "a character grows to three bytes at most");
        if !text.contains('%') {
            assert_eq!(segment, text, "nothing is encoded");
        }
        let empty = read.iter().filter(|(name, value)| name.is_empty() || value.is_empty()).count();
        let replaced =
            read.iter().filter(|(name, value)| name.contains('\u{fffd}') || value.contains('\u{fffd}')).count();
        behaviour(&(read.len().min(6), empty.min(3), replaced.min(2), segment.len() == text.len()))
    });
}
