//! Reading a query: names and values as people meant them.
//!
//! The query of a [`Target`](crate::Target) stays as it came, since upstreams and signatures need it that way. Stages that
//! look something up in it use this reading, so that all of them see the same.

use std::borrow::Cow;

/// The parameters of a query in order, decoded: `a=1&b&a=x%20y` gives `a`=`1`, `b`=``, `a`=`x y`.
///
/// `+` is a space, as browsers write forms (WHATWG URL, section 5.1); a broken percent-encoding stays as it is, and bytes
/// that are not UTF-8 become U+FFFD. Cost: linear; names and values without encoding are borrowed.
pub fn parameters(query: &str) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
    query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode(name, true), decode(value, true))
    })
}

/// A path segment, decoded: `a%2Fb+c` gives `a/b+c`. Broken percent-encodings and bytes that are not UTF-8: as in queries.
pub fn decode_segment(segment: &str) -> Cow<'_, str> {
    decode(segment, false)
}

fn decode(text: &str, is_plus_space: bool) -> Cow<'_, str> {
    let is_encoded = |byte: u8| byte == b'%' || (is_plus_space && byte == b'+');
    if !text.bytes().any(is_encoded) {
        return Cow::Borrowed(text);
    }
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'%' if let Some(value) = hexadecimal(bytes.get(at..at + 2)) => {
                decoded.push(value);
                at += 2;
            }
            b'+' if is_plus_space => decoded.push(b' '),
            other => decoded.push(other),
        }
    }
    Cow::Owned(
        String::from_utf8(decoded).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()),
    )
}

fn hexadecimal(digits: Option<&[u8]>) -> Option<u8> {
    let &[high, low] = digits? else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16);
    Some((digit(high)? * 16 + digit(low)?) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_read_as_browsers_write_them() {
        let cases: [(&str, &[(&str, &str)]); 7] = [
            ("", &[]),
            ("&&", &[]),
            ("a=1&b&a=x%20y", &[("a", "1"), ("b", ""), ("a", "x y")]),
            ("a+b=c%2Bd=e", &[("a b", "c+d=e")]),
            ("a=%&b=%2&c=%zz&d=%+1", &[("a", "%"), ("b", "%2"), ("c", "%zz"), ("d", "% 1")]),
            ("=1", &[("", "1")]),
            ("caf%C3%A9=%ff", &[("caf\u{e9}", "\u{fffd}")]),
        ];
        for (query, want) in cases {
            let got: Vec<_> = parameters(query).collect();
            let got: Vec<_> = got.iter().map(|(name, value)| (&**name, &**value)).collect();
            assert_eq!(got, want, "{query}");
        }
    }

    #[test]
    fn a_plus_in_a_path_is_a_plus() {
        assert_eq!(decode_segment("a%2Fb+c"), "a/b+c");
        assert!(matches!(decode_segment("plain+text"), Cow::Borrowed("plain+text")));
    }
}
