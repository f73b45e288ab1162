//! The methods of `java.lang.String`, and the static ones that templates reach through any string.
//!
//! Java counts UTF-16 units, and so do places and lengths here.

use regex::Regex;

use super::{Error, Patterns, Plain, TEXT_BYTES_MAX, format};

/// The methods [`string_method`] knows.
const METHODS: [&str; 38] = [
    "charAt",
    "codePointAt",
    "compareTo",
    "compareToIgnoreCase",
    "concat",
    "contains",
    "contentEquals",
    "endsWith",
    "equals",
    "equalsIgnoreCase",
    "format",
    "hashCode",
    "indexOf",
    "intern",
    "isBlank",
    "isEmpty",
    "join",
    "lastIndexOf",
    "length",
    "matches",
    "parseBoolean",
    "parseDouble",
    "parseInt",
    "parseLong",
    "repeat",
    "replace",
    "replaceAll",
    "replaceFirst",
    "split",
    "startsWith",
    "strip",
    "subSequence",
    "substring",
    "toLowerCase",
    "toString",
    "toUpperCase",
    "trim",
    "valueOf",
];

/// Whether strings have such a method.
pub fn is_string_method(name: &str) -> bool {
    METHODS.binary_search(&name).is_ok()
}

/// Calls a method of a string. The answer is null where Java throws or has no such method: that is how templates see it.
///
/// # Errors
///
/// A pattern that cannot be used, a result that would be too long.
pub fn string_method(text: &str, name: &str, arguments: &[Plain], patterns: &mut Patterns) -> Result<Plain, Error> {
    let first = arguments.first().map(Plain::to_text).unwrap_or_default();
    let integer = |place: usize| match arguments.get(place) {
        Some(Plain::Integer(number)) => Some(*number),
        _ => None,
    };
    let boolean = |value| Ok(Plain::Boolean(value));
    let count = |value: usize| Ok(Plain::Integer(i64::try_from(value).unwrap_or(i64::MAX)));
    let place = |value: Option<usize>| Ok(Plain::Integer(value.and_then(|at| i64::try_from(at).ok()).unwrap_or(-1)));
    match (name, arguments) {
        ("length", []) => count(length(text)),
        ("isEmpty", []) => boolean(text.is_empty()),
        ("isBlank", []) => boolean(text.trim().is_empty()),
        ("toString" | "intern", []) => Ok(Plain::Text(text.to_owned())),
        ("trim" | "strip", []) => Ok(Plain::Text(text.trim_matches(|c: char| c <= ' ').to_owned())),
        ("toLowerCase", []) => Ok(Plain::Text(text.to_lowercase())),
        ("toUpperCase", []) => Ok(Plain::Text(text.to_uppercase())),
        ("hashCode", []) => Ok(Plain::Integer(hash(text).into())),
        // A `char` is no string, but prints and compares like one of length 1.
        ("charAt", [_]) => Ok(slice(text, integer(0), integer(0).map(|at| at.saturating_add(1)))),
        ("codePointAt", [_]) => {
            let rest = byte_at(text, integer(0)).and_then(|at| text[at..].chars().next());
            Ok(rest.map_or(Plain::Null, |c| Plain::Integer(u32::from(c).into())))
        }
        ("substring", [_]) => Ok(slice(text, integer(0), i64::try_from(length(text)).ok())),
        ("substring" | "subSequence", [_, _]) => Ok(slice(text, integer(0), integer(1))),
        ("indexOf", [_]) => place(text.find(&first).map(|at| length(&text[..at]))),
        ("indexOf", [_, _]) => {
            let start = integer(1).unwrap_or(0).max(0);
            let Some(start) = byte_at(text, Some(start)) else { return place(None) };
            place(text[start..].find(&first).map(|at| length(&text[..start + at])))
        }
        ("lastIndexOf", [_]) => place(text.rfind(&first).map(|at| length(&text[..at]))),
        ("contains", [_]) => boolean(text.contains(&first)),
        ("startsWith", [_]) => boolean(text.starts_with(&first)),
        ("startsWith", [_, _]) => boolean(byte_at(text, integer(1)).is_some_and(|at| text[at..].starts_with(&first))),
        ("endsWith", [_]) => boolean(text.ends_with(&first)),
        ("equals" | "contentEquals", [other]) => {
            boolean(matches!(other, Plain::Text(other) if other == text) || *other == Plain::Null && text.is_empty())
        }
        ("equalsIgnoreCase", [_]) => boolean(text.to_lowercase() == first.to_lowercase()),
        ("compareTo", [_]) => Ok(Plain::Integer(compare(text, &first))),
        ("compareToIgnoreCase", [_]) => Ok(Plain::Integer(compare(&text.to_lowercase(), &first.to_lowercase()))),
        ("concat", [_]) => bounded(text.len().saturating_add(first.len()), || format!("{text}{first}")),
        ("repeat", [_]) => match integer(0).and_then(|times| usize::try_from(times).ok()) {
            Some(times) => bounded(text.len().saturating_mul(times), || text.repeat(times)),
            None => Ok(Plain::Null),
        },
        ("replace", [_, with]) => {
            let with = with.to_text();
            let matches = text.matches(&*first).count();
            bounded(text.len().saturating_add(matches.saturating_mul(with.len())), || text.replace(&first, &with))
        }
        ("replaceAll", [_, with]) => replace(text, patterns.get(&first)?, &with.to_text(), usize::MAX),
        ("replaceFirst", [_, with]) => replace(text, patterns.get(&first)?, &with.to_text(), 1),
        ("matches", [_]) => {
            let pattern = patterns.get(&format!("^(?:{first})$"))?;
            // Java's `$` also stands before a last line end; a match has to take the whole text.
            boolean(pattern.find(text).is_some_and(|found| found.range() == (0..text.len())))
        }
        ("split", [_]) => split(text, patterns.get(&first)?, 0),
        ("split", [_, _]) => split(text, patterns.get(&first)?, integer(1).unwrap_or(0)),
        ("format", [_, rest @ ..]) => format(&first, rest).map(Plain::Text),
        ("join", [_, rest @ ..]) => {
            let parts: Vec<String> = rest
                .iter()
                .flat_map(|part| match part {
                    Plain::Texts(texts) => texts.clone(),
                    Plain::Null => vec!["null".to_owned()],
                    other => vec![other.to_text()],
                })
                .collect();
            let length = parts.iter().map(|part| part.len().saturating_add(first.len())).sum();
            bounded(length, || parts.join(&first))
        }
        ("valueOf", [Plain::Null]) => Ok(Plain::Text("null".to_owned())),
        ("valueOf", [_]) => Ok(Plain::Text(first)),
        ("parseInt", [_]) => Ok(first.parse::<i32>().map_or(Plain::Null, |number| Plain::Integer(number.into()))),
        ("parseLong", [_]) => Ok(first.parse().map_or(Plain::Null, Plain::Integer)),
        ("parseDouble", [_]) => Ok(first.trim().parse().map_or(Plain::Null, Plain::Double)),
        ("parseBoolean", [_]) => boolean(first.eq_ignore_ascii_case("true")),
        _ => Ok(Plain::Null),
    }
}

fn bounded(length: usize, make: impl FnOnce() -> String) -> Result<Plain, Error> {
    if length > TEXT_BYTES_MAX { Err(Error::TooLong) } else { Ok(Plain::Text(make())) }
}

/// The length in UTF-16 units.
fn length(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.encode_utf16().count() }
}

/// The byte at which a UTF-16 unit begins, or where the text ends. Inside of a pair it is the pair's end.
fn byte_at(text: &str, unit: Option<i64>) -> Option<usize> {
    let wanted = usize::try_from(unit?).ok()?;
    if text.is_ascii() {
        return (wanted <= text.len()).then_some(wanted);
    }
    let mut units = 0;
    for (at, c) in text.char_indices() {
        if units >= wanted {
            return Some(at);
        }
        units += c.len_utf16();
    }
    (units >= wanted).then_some(text.len())
}

fn slice(text: &str, from: Option<i64>, to: Option<i64>) -> Plain {
    if from > to {
        return Plain::Null;
    }
    match (byte_at(text, from), byte_at(text, to)) {
        (Some(from), Some(to)) => Plain::Text(text[from..to].to_owned()),
        _ => Plain::Null,
    }
}

fn hash(text: &str) -> i32 {
    text.encode_utf16().fold(0_i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(unit.into()))
}

fn compare(left: &str, right: &str) -> i64 {
    let mut pairs = left.encode_utf16().zip(right.encode_utf16());
    match pairs.find(|(left, right)| left != right) {
        Some((left, right)) => i64::from(left) - i64::from(right),
        None => i64::try_from(length(left)).unwrap_or(0) - i64::try_from(length(right)).unwrap_or(0),
    }
}

/// Replaces matches. In the replacement `$1` is a group and a backslash takes the next character's meaning away.
fn replace(text: &str, pattern: &Regex, with: &str, most: usize) -> Result<Plain, Error> {
    let mut out = String::new();
    let mut written = 0;
    for captures in pattern.captures_iter(text).take(most) {
        let Some(found) = captures.get(0) else { continue };
        out.push_str(&text[written..found.start()]);
        written = found.end();
        let mut rest = with.chars().peekable();
        while let Some(c) = rest.next() {
            match c {
                '\\' => out.extend(rest.next()),
                '$' => match rest.next_if(|c| *c == '{') {
                    Some(_) => {
                        let name: String = rest.by_ref().take_while(|c| *c != '}').collect();
                        out.push_str(captures.name(&name).map_or("", |group| group.as_str()));
                    }
                    None => {
                        let Some(mut group) = rest.next().and_then(|c| c.to_digit(10)) else {
                            return Err(Error::Format(with.chars().take(60).collect()));
                        };
                        // Further digits count as long as there is such a group.
                        while let Some(digit) = rest.peek().and_then(|c| c.to_digit(10)) {
                            let next = group * 10 + digit;
                            if next as usize >= captures.len() {
                                break;
                            }
                            group = next;
                            rest.next();
                        }
                        out.push_str(captures.get(group as usize).map_or("", |group| group.as_str()));
                    }
                },
                c => out.push(c),
            }
        }
        if out.len() > TEXT_BYTES_MAX {
            return Err(Error::TooLong);
        }
    }
    out.push_str(&text[written..]);
    if out.len() > TEXT_BYTES_MAX { Err(Error::TooLong) } else { Ok(Plain::Text(out)) }
}

/// `split(pattern, limit)`: without a positive limit there is no bound, and with 0 empty parts at the end fall away.
fn split(text: &str, pattern: &Regex, limit: i64) -> Result<Plain, Error> {
    let mut parts = Vec::new();
    let mut start = 0;
    for found in pattern.find_iter(text) {
        if limit > 0 && parts.len() as i64 == limit - 1 {
            break;
        }
        // A match of nothing at the start makes no empty part.
        if found.end() == 0 || found.is_empty() && found.start() == text.len() {
            continue;
        }
        parts.push(text[start..found.start()].to_owned());
        start = found.end();
    }
    if parts.is_empty() {
        return Ok(Plain::Texts(vec![text.to_owned()]));
    }
    parts.push(text[start..].to_owned());
    if limit == 0 {
        let end = parts.iter().rposition(|part| !part.is_empty()).map_or(0, |last| last + 1);
        parts.truncate(end);
    }
    Ok(Plain::Texts(parts))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_do_what_they_do_in_java() {
        let text = |text: &str| Plain::Text(text.to_owned());
        let texts = |texts: &[&str]| Plain::Texts(texts.iter().map(|text| (*text).to_owned()).collect());
        let cases: Vec<(&str, &str, Vec<Plain>, Plain)> = vec![
            ("a😀b", "length", vec![], Plain::Integer(4)),
            ("a😀b", "substring", vec![Plain::Integer(3)], text("b")),
            ("hello", "substring", vec![Plain::Integer(1), Plain::Integer(3)], text("el")),
            ("hello", "substring", vec![Plain::Integer(9)], Plain::Null),
            ("hello", "substring", vec![Plain::Integer(3), Plain::Integer(1)], Plain::Null),
            ("something", "indexOf", vec![text("e")], Plain::Integer(3)),
            ("something", "indexOf", vec![text("x")], Plain::Integer(-1)),
            ("abcabc", "indexOf", vec![text("a"), Plain::Integer(1)], Plain::Integer(3)),
            ("abcabc", "lastIndexOf", vec![text("a")], Plain::Integer(3)),
            ("foobar123bab", "replaceAll", vec![text("ba."), text("foo")], text("foofoo123foo")),
            ("a-b", "replaceAll", vec![text("(\\w)-(\\w)"), text("$2\\$$1")], text("b$a")),
            ("aaa", "replaceFirst", vec![text("a"), text("b")], text("baa")),
            ("a.b", "replace", vec![text("."), text("-")], text("a-b")),
            ("123456789", "matches", vec![text("[0-9]*")], Plain::Boolean(true)),
            ("12a", "matches", vec![text("[0-9]*")], Plain::Boolean(false)),
            ("ab", "matches", vec![text("a|ab")], Plain::Boolean(true)),
            ("a,b,,c,,", "split", vec![text(",")], texts(&["a", "b", "", "c"])),
            ("a,b,c", "split", vec![text(","), Plain::Integer(2)], texts(&["a", "b,c"])),
            ("abc", "split", vec![text("")], texts(&["a", "b", "c"])),
            ("", "split", vec![text(",")], texts(&[""])),
            (",a", "split", vec![text(",")], texts(&["", "a"])),
            ("  x ", "trim", vec![], text("x")),
            ("Ab", "equalsIgnoreCase", vec![text("aB")], Plain::Boolean(true)),
            ("b", "compareTo", vec![text("a")], Plain::Integer(1)),
            ("hello", "hashCode", vec![], Plain::Integer(99_162_322)),
            ("", "format", vec![text("%s=%d"), text("a"), Plain::Integer(2)], text("a=2")),
            ("", "join", vec![text("-"), texts(&["a", "b"])], text("a-b")),
            ("", "parseInt", vec![text("12")], Plain::Integer(12)),
            ("", "parseInt", vec![text("x")], Plain::Null),
            ("abc", "charAt", vec![Plain::Integer(1)], text("b")),
            ("abc", "nothing", vec![], Plain::Null),
        ];
        let mut patterns = Patterns::default();
        for (receiver, name, arguments, want) in cases {
            let got = string_method(receiver, name, &arguments, &mut patterns);
            assert_eq!(got, Ok(want), "{receiver}.{name}({arguments:?})");
        }
    }

    #[test]
    fn texts_do_not_grow_without_end() {
        let mut patterns = Patterns::default();
        let huge = "x".repeat(TEXT_BYTES_MAX);
        let text = |text: &str| Plain::Text(text.to_owned());
        for (name, arguments) in [
            ("concat", vec![text("y")]),
            ("repeat", vec![Plain::Integer(2)]),
            ("replace", vec![text("x"), text("yy")]),
            ("replaceAll", vec![text("x"), text("yy")]),
        ] {
            assert_eq!(string_method(&huge, name, &arguments, &mut patterns), Err(Error::TooLong), "{name}");
        }
    }

    #[test]
    fn the_list_of_methods_is_sorted() {
        assert!(METHODS.is_sorted());
    }
}
