//! Java's regular expressions, carried over to ones that are matched in linear time.
//!
//! `java.util.regex` tries alternatives one after the other and can take for ever. What cannot be done otherwise, look-around
//! and back references, is refused; possessive quantifiers are read as greedy ones.

use std::collections::VecDeque;
use std::fmt::Write as _;

use regex::{Regex, RegexBuilder};

/// Longest pattern, in bytes.
const PATTERN_BYTES_MAX: usize = 4 * 1024;

/// Most memory of one compiled pattern, in bytes.
const COMPILED_BYTES_MAX: usize = 256 * 1024;

/// How many compiled patterns are kept.
const KEPT_MAX: usize = 32;

/// Why a pattern cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// Not in linear time.
    #[error("the pattern `{0}` needs look-around or a back reference, which are not supported")]
    Unsupported(String),
    /// No pattern, or too large a one.
    #[error("`{0}` is no regular expression, or too large a one")]
    Invalid(String),
}

/// Compiled patterns, the ones used last.
#[derive(Debug, Default)]
pub struct Patterns {
    kept: VecDeque<(String, Regex)>,
}

impl Patterns {
    /// The compiled form of a pattern.
    ///
    /// # Errors
    ///
    /// What [`pattern`] refuses.
    pub fn get(&mut self, source: &str) -> Result<&Regex, PatternError> {
        let found = self.kept.iter().position(|(known, _)| known == source);
        let entry = match found.and_then(|place| self.kept.remove(place)) {
            Some(entry) => entry,
            None => (source.to_owned(), pattern(source)?),
        };
        self.kept.truncate(KEPT_MAX - 1);
        self.kept.push_front(entry);
        Ok(&self.kept[0].1)
    }
}

/// Compiles a pattern of Java.
///
/// # Errors
///
/// Look-around, back references, and what is no pattern or too large.
pub fn pattern(source: &str) -> Result<Regex, PatternError> {
    let invalid = || PatternError::Invalid(shortened(source));
    if source.len() > PATTERN_BYTES_MAX {
        return Err(invalid());
    }
    let translated = translate(source)?;
    RegexBuilder::new(&translated)
        .size_limit(COMPILED_BYTES_MAX)
        .dfa_size_limit(COMPILED_BYTES_MAX)
        .nest_limit(64)
        .build()
        .map_err(|_| invalid())
}

fn shortened(source: &str) -> String {
    source.chars().take(60).collect()
}

/// Writes a pattern of Java as one of the library: its classes are ASCII, its quotation `\Q...\E` has no equal there, and a
/// `[` or `&&` in a set means the same.
fn translate(source: &str) -> Result<String, PatternError> {
    let mut out = String::with_capacity(source.len() + 16);
    let mut rest = source;
    let mut sets = 0_u32;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        match c {
            '\\' => rest = escape(source, rest, sets > 0, &mut out)?,
            '[' => {
                sets += 1;
                out.push('[');
            }
            ']' if sets > 0 => {
                sets -= 1;
                out.push(']');
            }
            '(' if sets == 0 && ["?=", "?!", "?<=", "?<!", "?>"].iter().any(|sign| rest.starts_with(sign)) => {
                return Err(PatternError::Unsupported(shortened(source)));
            }
            '*' | '+' | '?' | '}' if sets == 0 && rest.starts_with('+') => {
                rest = &rest[1..];
                out.push(c);
            }
            ']' | '}' if sets == 0 && c == ']' => out.push_str("\\]"),
            '-' | '~' if sets > 0 && rest.starts_with(c) => {
                write!(out, "\\{c}").expect("writing to a String does not fail");
            }
            c => out.push(c),
        }
    }
    Ok(out)
}

/// What stands behind a backslash. The answer is what is left.
fn escape<'s>(source: &str, rest: &'s str, is_in_set: bool, out: &mut String) -> Result<&'s str, PatternError> {
    let Some(c) = rest.chars().next() else { return Err(PatternError::Invalid(shortened(source))) };
    let after = &rest[c.len_utf8()..];
    match c {
        'd' => out.push_str(if is_in_set { "0-9" } else { "[0-9]" }),
        'D' => out.push_str("[^0-9]"),
        'w' => out.push_str(if is_in_set { "A-Za-z0-9_" } else { "[A-Za-z0-9_]" }),
        'W' => out.push_str("[^A-Za-z0-9_]"),
        's' => out.push_str(if is_in_set { " \\t\\n\\x0B\\f\\r" } else { "[ \\t\\n\\x0B\\f\\r]" }),
        'S' => out.push_str("[^ \\t\\n\\x0B\\f\\r]"),
        'h' => out.push_str("[ \\t\\u{A0}]"),
        'R' => out.push_str("(?:\\r\\n|[\\n\\x0B\\f\\r])"),
        'Z' => out.push_str("\\n?\\z"),
        'e' => out.push_str("\\x1B"),
        'Q' => {
            let (quoted, after) = after.split_once("\\E").unwrap_or((after, ""));
            out.push_str(&regex::escape(quoted));
            return Ok(after);
        }
        'u' => {
            let digits = after.get(..4).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
            let Some(digits) = digits else { return Err(PatternError::Invalid(shortened(source))) };
            write!(out, "\\u{{{digits}}}").expect("writing to a String does not fail");
            return Ok(&after[4..]);
        }
        '1'..='9' | 'k' | 'G' => return Err(PatternError::Unsupported(shortened(source))),
        'b' | 'B' | 'A' | 'z' | 't' | 'n' | 'r' | 'f' | 'x' | 'p' | 'P' => {
            out.push('\\');
            out.push(c);
        }
        c if c.is_ascii_alphanumeric() => return Err(PatternError::Invalid(shortened(source))),
        // The library allows a backslash before signs that mean something to it only.
        c => out.push_str(&regex::escape(c.encode_utf8(&mut [0; 4]))),
    }
    Ok(after)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_what_they_mean_in_java() {
        let cases = [
            ("ba.", "xbab", Some("bab")),
            ("[0-9]*", "123", Some("123")),
            (r"\d+", "٣7", Some("7")),
            (r"\bA\w+", "Ad", Some("Ad")),
            (r"\Qa.b\E+", "a.bb", Some("a.bb")),
            (r"\'", "it's", Some("'")),
            (r#"\""#, "\"", Some("\"")),
            (r"[\w.]+", "a.b c", Some("a.b")),
            ("a++b", "aab", Some("aab")),
            (r"\/", "/", Some("/")),
            ("(?i)AB", "ab", Some("ab")),
            ("]", "]", Some("]")),
            (r"\u0041", "A", Some("A")),
        ];
        for (source, text, want) in cases {
            let pattern = pattern(source).unwrap_or_else(|error| panic!("{source}: {error}"));
            assert_eq!(pattern.find(text).map(|found| found.as_str()), want, "{source}");
        }
    }

    #[test]
    fn what_takes_for_ever_is_refused() {
        for source in ["(?=a)", "(?<!a)b", r"(a)\1", "(?>a)"] {
            assert!(matches!(pattern(source), Err(PatternError::Unsupported(_))), "{source}");
        }
        for source in ["(", "[", "*", "\\", &"a{1000}".repeat(50), &"(".repeat(5000)] {
            assert!(matches!(pattern(source), Err(PatternError::Invalid(_))), "{source:.20}");
        }
    }

    #[test]
    fn patterns_are_kept_but_not_for_ever() {
        let mut patterns = Patterns::default();
        for n in 0..100 {
            assert!(patterns.get(&format!("a{n}")).is_ok_and(|pattern| pattern.is_match(&format!("a{n}"))));
            assert!(patterns.kept.len() <= KEPT_MAX);
        }
    }
}
