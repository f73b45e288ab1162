//! Tokens of a JSON text.
//!
//! Positions are bytes from the start of the text. Strings are searched eight bytes at a time: they are most of most bodies.

use std::fmt;

/// Why a text is no JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Where, in bytes from the start.
    pub(crate) at: usize,
    /// What is wrong there.
    pub(crate) what: &'static str,
}

impl Fault {
    pub(crate) fn new(at: usize, what: &'static str) -> Self {
        Self { at, what }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.what, self.at + 1)
    }
}

/// A string of the text, without its quotes and with its escapes still in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RawText<'text> {
    pub(crate) bytes: &'text [u8],
    /// Where it starts in the text.
    pub(crate) at: usize,
    /// Whether there are escapes in it.
    pub(crate) is_escaped: bool,
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// The high bit of each byte that is zero. Bits above the lowest one set may be wrong.
/// (Source: "Bit Twiddling Hacks", "Determine if a word has a zero byte".)
const fn zero_bytes(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word & HIGH
}

const fn word_of(byte: u8) -> u64 {
    ONES * byte as u64
}

fn word_at(text: &[u8], at: usize) -> Option<u64> {
    let bytes = text.get(at..at + 8)?;
    Some(u64::from_le_bytes(bytes.try_into().ok()?))
}

/// The position of the first byte from `at` that is a quote, a backslash or a control character, or the text's end.
#[inline]
fn string_special(text: &[u8], mut at: usize) -> usize {
    while let Some(word) = word_at(text, at) {
        let quotes = zero_bytes(word ^ word_of(b'"'));
        let backslashes = zero_bytes(word ^ word_of(b'\\'));
        let controls = word.wrapping_sub(word_of(0x20)) & !word & HIGH;
        let found = quotes | backslashes | controls;
        if found != 0 {
            return at + (found.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    while at < text.len() && !matches!(text[at], b'"' | b'\\' | 0..0x20) {
        at += 1;
    }
    at
}

/// The position of the first byte from `at` that is a quote, a brace or a bracket, or the text's end.
#[inline]
fn structural(text: &[u8], mut at: usize) -> usize {
    while let Some(word) = word_at(text, at) {
        // With this bit set brackets look like braces, and no other byte than 0x02 looks like a quote.
        let folded = word | word_of(0x20);
        let found = zero_bytes(folded ^ word_of(b'{'))
            | zero_bytes(folded ^ word_of(b'}'))
            | zero_bytes(folded ^ word_of(b'"'));
        if found == 0 {
            at += 8;
            continue;
        }
        at += (found.trailing_zeros() / 8) as usize;
        if matches!(text[at], b'"' | b'{' | b'}' | b'[' | b']') {
            return at;
        }
        at += 1;
    }
    while at < text.len() && !matches!(text[at], b'"' | b'{' | b'}' | b'[' | b']') {
        at += 1;
    }
    at
}

/// The position of the first byte from `at` that is no white space.
#[inline]
pub(crate) fn space(text: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\n' | b'\r' | b'\t') = text.get(at) {
        at += 1;
    }
    at
}

/// Reads a string. `at` is behind the opening quote; returns the string and the position behind the closing one.
///
/// Escapes are looked at by [`RawText::unescape`].
#[inline]
pub(crate) fn string(text: &[u8], at: usize) -> Result<(RawText<'_>, usize), Fault> {
    let mut end = at;
    let mut is_escaped = false;
    loop {
        end = string_special(text, end);
        match text.get(end) {
            Some(b'"') => return Ok((RawText { bytes: &text[at..end], at, is_escaped }, end + 1)),
            Some(b'\\') => {
                is_escaped = true;
                end += 2;
            }
            Some(_) => return Err(Fault::new(end, "control character in a string")),
            None => return Err(Fault::new(text.len(), "the text ends inside a string")),
        }
    }
}

/// Reads a number and returns the position behind it (RFC 8259 section 6).
pub(crate) fn number(text: &[u8], start: usize) -> Result<usize, Fault> {
    let digits = |mut at: usize| {
        let first = at;
        while text.get(at).is_some_and(u8::is_ascii_digit) {
            at += 1;
        }
        if at == first { Err(Fault::new(at, "expected a digit")) } else { Ok(at) }
    };
    let mut at = start;
    if text.get(at) == Some(&b'-') {
        at += 1;
    }
    at = if text.get(at) == Some(&b'0') { at + 1 } else { digits(at)? };
    if text.get(at) == Some(&b'.') {
        at = digits(at + 1)?;
    }
    if let Some(b'e' | b'E') = text.get(at) {
        at += 1;
        if let Some(b'+' | b'-') = text.get(at) {
            at += 1;
        }
        at = digits(at)?;
    }
    Ok(at)
}

/// The value of a number that [`number`] read, or `None` when it is too large for a double.
pub(crate) fn number_value(digits: &[u8]) -> Option<f64> {
    if digits.len() <= 15 && digits.iter().all(u8::is_ascii_digit) {
        let whole = digits.iter().fold(0_u64, |value, digit| value * 10 + u64::from(digit - b'0'));
        return Some(whole as f64);
    }
    let value: f64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    value.is_finite().then_some(value)
}

/// Passes over a value without looking into it and returns the position behind it.
///
/// What is skipped is checked only as far as its end has to be found: quotes and brackets.
#[inline]
pub(crate) fn skip(text: &[u8], at: usize) -> Result<usize, Fault> {
    match text.get(at) {
        Some(b'"') => string(text, at + 1).map(|(_, end)| end),
        Some(b'{' | b'[') => skip_nested(text, at),
        Some(b'-' | b'0'..=b'9') => number(text, at),
        _ => literal(text, at).map(|(_, end)| end),
    }
}

fn skip_nested(text: &[u8], start: usize) -> Result<usize, Fault> {
    let mut depth = 0_usize;
    let mut at = start;
    loop {
        at = structural(text, at);
        match text.get(at) {
            Some(b'"') => at = string(text, at + 1)?.1,
            Some(b'{' | b'[') => {
                depth += 1;
                at += 1;
            }
            Some(_) => {
                depth -= 1;
                at += 1;
                if depth == 0 {
                    return Ok(at);
                }
            }
            None => return Err(Fault::new(text.len(), "the text ends inside a list or an object")),
        }
    }
}

/// `true`, `false` or `null`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Literal {
    True,
    False,
    Null,
}

/// Reads a literal and returns the position behind it.
pub(crate) fn literal(text: &[u8], at: usize) -> Result<(Literal, usize), Fault> {
    let rest = text.get(at..).unwrap_or_default();
    for (word, value) in [(&b"true"[..], Literal::True), (b"false", Literal::False), (b"null", Literal::Null)] {
        if rest.starts_with(word) {
            return Ok((value, at + word.len()));
        }
    }
    Err(Fault::new(at, if rest.is_empty() { "the text ends where a value is expected" } else { "expected a value" }))
}

impl RawText<'_> {
    /// Appends the string's characters to `out`.
    pub(crate) fn unescape(&self, out: &mut Vec<u8>) -> Result<(), Fault> {
        let mut rest = 0;
        while let Some(found) = memchr::memchr(b'\\', &self.bytes[rest..]) {
            out.extend_from_slice(&self.bytes[rest..rest + found]);
            rest = self.escape(rest + found + 1, out)?;
        }
        out.extend_from_slice(&self.bytes[rest..]);
        Ok(())
    }

    /// Whether the string's characters are `plain`.
    pub(crate) fn is(&self, plain: &[u8]) -> bool {
        if !self.is_escaped {
            return self.bytes == plain;
        }
        let mut characters = Vec::with_capacity(self.bytes.len());
        self.unescape(&mut characters).is_ok() && characters == plain
    }

    /// Reads one escape; `at` is behind the backslash.
    fn escape(&self, at: usize, out: &mut Vec<u8>) -> Result<usize, Fault> {
        let plain = match self.bytes.get(at) {
            Some(&byte @ (b'"' | b'\\' | b'/')) => byte,
            Some(b'b') => 0x08,
            Some(b'f') => 0x0c,
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(b'u') => return self.unicode(at + 1, out),
            _ => return Err(Fault::new(self.at + at, "unknown escape in a string")),
        };
        out.push(plain);
        Ok(at + 1)
    }

    fn unicode(&self, at: usize, out: &mut Vec<u8>) -> Result<usize, Fault> {
        let first = self.hexadecimal(at)?;
        let mut end = at + 4;
        let mut code = first;
        if (0xd800..0xdc00).contains(&first) && self.bytes.get(end..end + 2) == Some(b"\\u") {
            let second = self.hexadecimal(end + 2)?;
            if (0xdc00..0xe000).contains(&second) {
                code = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
                end += 6;
            }
        }
        let Some(character) = char::from_u32(code) else {
            return Err(Fault::new(self.at + at, "half of a surrogate pair in a string"));
        };
        out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        Ok(end)
    }

    fn hexadecimal(&self, at: usize) -> Result<u32, Fault> {
        let digits = self.bytes.get(at..at + 4).unwrap_or_default();
        let value = digits.iter().try_fold(0, |value, &digit| Some(value * 16 + char::from(digit).to_digit(16)?));
        match value {
            Some(value) if digits.len() == 4 => Ok(value),
            _ => Err(Fault::new(self.at + at, "expected four hexadecimal digits")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_end_at_the_first_quote_that_is_not_escaped() {
        let cases = [
            (r#""#, None),
            (r#"""#, Some((r#""#, false, 1))),
            (r#"abc"x"#, Some(("abc", false, 4))),
            (r#"a\"b" "#, Some((r#"a\"b"#, true, 5))),
            (r#"a\\"b""#, Some((r"a\\", true, 4))),
            (r#"0123456789abcdef"z"#, Some(("0123456789abcdef", false, 17))),
            (r#"0123456\"89abcdef"z"#, Some((r#"0123456\"89abcdef"#, true, 18))),
            ("caf\u{e9} \u{20ac}\"", Some(("caf\u{e9} \u{20ac}", false, 10))),
            (r"abc\", None),
            ("a\nb\"", None),
            ("0123456789\u{1f}\"", None),
        ];
        for (text, want) in cases {
            let got = string(text.as_bytes(), 0).ok();
            let got = got.map(|(raw, end)| (std::str::from_utf8(raw.bytes).expect("text"), raw.is_escaped, end));
            assert_eq!(got, want, "{text}");
        }
    }

    #[test]
    fn escapes_are_resolved() {
        let cases = [
            (r#"a\"\\\/\b\f\n\r\tz"#, Ok("a\"\\/\u{8}\u{c}\n\r\tz")),
            (r"\u0041\u00e9\u20AC", Ok("A\u{e9}\u{20ac}")),
            (r"\ud83d\ude00!", Ok("\u{1f600}!")),
            (r"\u0000", Ok("\0")),
            (r"\ud83d", Err("half of a surrogate pair in a string")),
            (r"\ud83dx", Err("half of a surrogate pair in a string")),
            (r"\ud83d\u0041", Err("half of a surrogate pair in a string")),
            (r"\ude00", Err("half of a surrogate pair in a string")),
            (r"\u12", Err("expected four hexadecimal digits")),
            (r"\u12g4", Err("expected four hexadecimal digits")),
            (r"\u+123", Err("expected four hexadecimal digits")),
            (r"\x41", Err("unknown escape in a string")),
            (r"\", Err("unknown escape in a string")),
        ];
        for (raw, want) in cases {
            let mut out = Vec::new();
            let result = RawText { bytes: raw.as_bytes(), at: 0, is_escaped: true }.unescape(&mut out);
            let got = result.map(|()| std::str::from_utf8(&out).expect("text")).map_err(|fault| fault.what);
            assert_eq!(got, want, "{raw}");
        }
    }

    #[test]
    fn numbers_follow_the_grammar() {
        let cases = [
            ("0", Some((1, 0.0))),
            ("-0", Some((2, -0.0))),
            ("123456789012345", Some((15, 123_456_789_012_345.0))),
            ("12345678901234567890", Some((20, 12_345_678_901_234_567_890.0))),
            ("-1.5e3,", Some((6, -1500.0))),
            ("1E-2 ", Some((4, 0.01))),
            ("01", Some((1, 0.0))),
            ("1.", None),
            (".5", None),
            ("-", None),
            ("1e", None),
            ("1e+", None),
            ("+1", None),
        ];
        for (text, want) in cases {
            let got = number(text.as_bytes(), 0)
                .ok()
                .map(|end| (end, number_value(&text.as_bytes()[..end]).expect("finite")));
            assert_eq!(got, want, "{text}");
        }
        assert_eq!(number_value(b"1e999"), None);
        assert_eq!(number_value(b"-1e999"), None);
    }

    #[test]
    fn skipping_ends_behind_the_value() {
        let cases = [
            (r#"{"a":[1,{"b":"]}"}],"c":"\"}"} ,"#, Some(30)),
            ("[[[]],[]]x", Some(9)),
            ("\u{2}", None),
            ("[\u{2}\u{2}\u{2}\u{2}\u{2}\u{2}\u{2}\u{2}\u{2}]", Some(11)),
            ("true}", Some(4)),
            ("nul", None),
            ("-12.5]", Some(5)),
            ("{", None),
            ("[\"]", None),
            ("", None),
        ];
        for (text, want) in cases {
            assert_eq!(skip(text.as_bytes(), 0).ok(), want, "{text}");
        }
    }
}
