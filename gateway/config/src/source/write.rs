//! Writing a document as YAML 1.2 that people like to read: block style, texts of several lines as literal blocks.
//!
//! What is written reads back the same ([`super::parse`]); whatever could be read as something else is put into quotes.

use serde_json::Value;

/// Words that YAML's core schema, or older readers, take for something else than a text.
const WORDS: [&str; 14] =
    ["null", "true", "false", "yes", "no", "on", "off", "y", "n", "nan", "inf", "~", ".inf", ".nan"];

/// A JSON value as a YAML document, with a line break at its end.
pub fn to_yaml(value: &Value) -> String {
    let mut out = String::new();
    match value {
        Value::Object(members) if !members.is_empty() => mapping(&mut out, value, 0),
        Value::Array(items) if !items.is_empty() => sequence(&mut out, items, 0),
        scalar => {
            push_scalar(&mut out, scalar, 0);
            out.push('\n');
        }
    }
    out
}

fn indent(out: &mut String, depth: usize) {
    for _ in 0..depth {
        out.push_str("  ");
    }
}

fn mapping(out: &mut String, value: &Value, depth: usize) {
    let Value::Object(members) = value else { return };
    for (index, (key, value)) in members.iter().enumerate() {
        // The first key of an item stands behind its dash.
        if index > 0 || !out.ends_with("- ") {
            indent(out, depth);
        }
        push_text(out, key);
        out.push(':');
        member(out, value, depth);
    }
}

/// What stands behind a key and its colon.
fn member(out: &mut String, value: &Value, depth: usize) {
    match value {
        Value::Object(members) if !members.is_empty() => {
            out.push('\n');
            mapping(out, value, depth + 1);
        }
        Value::Array(items) if !items.is_empty() => {
            out.push('\n');
            sequence(out, items, depth + 1);
        }
        scalar => {
            out.push(' ');
            push_scalar(out, scalar, depth);
            out.push('\n');
        }
    }
}

fn sequence(out: &mut String, items: &[Value], depth: usize) {
    for item in items {
        indent(out, depth);
        out.push_str("- ");
        match item {
            Value::Object(members) if !members.is_empty() => mapping(out, item, depth + 1),
            Value::Array(inner) if !inner.is_empty() => {
                // Lists in lists are rare enough for JSON's form, which is YAML too.
                out.push_str(&item.to_string());
                out.push('\n');
            }
            scalar => {
                push_scalar(out, scalar, depth);
                out.push('\n');
            }
        }
    }
}

fn push_scalar(out: &mut String, value: &Value, depth: usize) {
    match value {
        Value::String(text) if is_block(text) => push_block(out, text, depth),
        Value::String(text) => push_text(out, text),
        other => out.push_str(&other.to_string()),
    }
}

/// Several lines that a literal block gives back as they are.
fn is_block(text: &str) -> bool {
    let is_plain =
        |c: char| c == '\n' || (!c.is_control() && !matches!(c, '\u{85}' | '\u{2028}' | '\u{2029}' | '\u{feff}'));
    text.contains('\n')
        && text.chars().all(is_plain)
        && !text.starts_with([' ', '\n'])
        && !text.ends_with("\n\n")
        && text.trim_end_matches('\n').lines().all(|line| !line.ends_with(' '))
        && !text.trim().is_empty()
}

fn push_block(out: &mut String, text: &str, depth: usize) {
    out.push_str(if text.ends_with('\n') { "|" } else { "|-" });
    for line in text.strip_suffix('\n').unwrap_or(text).split('\n') {
        out.push('\n');
        if !line.is_empty() {
            indent(out, depth + 1);
            out.push_str(line);
        }
    }
}

/// A text without quotes where it can be nothing else, else in JSON's form.
fn push_text(out: &mut String, text: &str) {
    let is_start = |c: char| c.is_ascii_alphabetic() || matches!(c, '_' | '/' | '$');
    let is_inner = |c: char| {
        c.is_ascii_alphanumeric() || matches!(c, '_' | '/' | '.' | '-' | '$' | '{' | '}' | '+' | '(' | ')' | ' ')
    };
    let is_plain = text.starts_with(is_start)
        && text.chars().all(is_inner)
        && !text.ends_with(' ')
        && !WORDS.iter().any(|word| word.eq_ignore_ascii_case(text));
    if is_plain {
        out.push_str(text);
    } else {
        out.push_str(&Value::from(text).to_string());
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::source;

    #[test]
    fn what_is_written_reads_back_the_same() {
        let documents = [
            json!({"api": "a", "routes": [{"match": "GET /x/{id}", "integration": {"type": "mock", "list": [], "none": null}}]}),
            json!({"texts": ["", "yes", "No", "1.0", "a: b", "#x", "- a", "'q'", "tab\t", "é", "a b", "*", "$input.json('$')", "{a}"]}),
            json!({"blocks": {"a": "one\ntwo\n", "b": "one\n\n  two", "c": "\nlead", "d": "trail \nx", "e": "x\n\n", "f": "a\r\nb"}}),
            json!({"nested": [[1, [2, "x\ny"]], [], {}, {"k": [{"l": "m\nn"}]}]}),
            json!({"1": true, "": 2.5, "a key: with": -3}),
            json!([]),
            json!("text"),
        ];
        for document in documents {
            let text = to_yaml(&document);
            let read = source::parse(&text, "a.yaml").unwrap_or_else(|issues| panic!("{issues:?}\n{text}"));
            assert_eq!(read.to_json(), document, "{text}");
        }
    }
}
