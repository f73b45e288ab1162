//! JSON values as YAML that people like to read: block style, texts quoted only where they must be.

use std::fmt::Write as _;

use serde_json::Value;

/// A document's text.
pub(super) fn text(value: &Value) -> String {
    let mut out = String::new();
    match value {
        Value::Object(_) | Value::Array(_) => block(value, 0, &mut out),
        scalar => {
            out.push_str(&plain(scalar, 0));
            out.push('\n');
        }
    }
    out
}

/// Writes a mapping's or sequence's entries, each on lines of its own.
fn block(value: &Value, indent: usize, out: &mut String) {
    match value {
        Value::Object(fields) => {
            for (index, (key, value)) in fields.iter().enumerate() {
                // The first entry of a mapping in a sequence stands behind the dash.
                if index > 0 || !out.ends_with("- ") {
                    pad(indent, out);
                }
                out.push_str(&quoted(key));
                out.push(':');
                entry(value, indent + 2, out);
            }
        }
        Value::Array(items) => {
            for item in items {
                pad(indent, out);
                out.push_str("- ");
                if is_block(item) && item.is_object() {
                    block(item, indent + 2, out);
                } else {
                    out.pop();
                    entry(item, indent + 2, out);
                }
            }
        }
        _ => {}
    }
}

fn entry(value: &Value, indent: usize, out: &mut String) {
    if is_block(value) {
        out.push('\n');
        block(value, indent, out);
    } else {
        let _ = writeln!(out, " {}", plain(value, indent));
    }
}

fn is_block(value: &Value) -> bool {
    match value {
        Value::Object(fields) => !fields.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => false,
    }
}

fn pad(indent: usize, out: &mut String) {
    out.extend(std::iter::repeat_n(' ', indent));
}

/// A value on one line, or a text of several lines as a literal block.
fn plain(value: &Value, indent: usize) -> String {
    match value {
        Value::String(text) => literal(text, indent).unwrap_or_else(|| quoted(text)),
        other => other.to_string(),
    }
}

/// A text of several lines, where the block style says it exactly (YAML 1.2.2 section 8.1.2).
fn literal(text: &str, indent: usize) -> Option<String> {
    let is_simple = text.chars().all(|c| c == '\n' || (' '..='~').contains(&c) || ('\u{a0}'..='\u{1fff}').contains(&c));
    let ends_once = text.ends_with('\n') && !text.ends_with("\n\n");
    if !is_simple || !ends_once || text.matches('\n').count() < 2 || text.starts_with([' ', '\n']) {
        return None;
    }
    let mut out = String::from("|");
    for line in text.lines() {
        out.push('\n');
        if !line.is_empty() {
            pad(indent, &mut out);
            out.push_str(line);
        }
    }
    Some(out)
}

/// A text as a plain scalar, where nothing else could be read from it, else in JSON's quotes, which YAML shares.
fn quoted(text: &str) -> String {
    let is_word = |c: char| c.is_ascii_alphanumeric() || "_-./{}$+".contains(c);
    let starts_well = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/' || c == '$');
    let is_safe =
        starts_well && text.chars().all(|c| is_word(c) || c == ' ') && !text.ends_with(' ') && !text.contains("  ");
    let lower = text.to_ascii_lowercase();
    let is_other = matches!(lower.as_str(), "null" | "true" | "false" | "yes" | "no" | "on" | "off" | "y" | "n");
    if is_safe && !is_other { text.to_owned() } else { escaped(text) }
}

/// A text in JSON's quotes, with escapes for what JSON allows as it stands and YAML takes for a line's end, a mark or unprintable.
fn escaped(text: &str) -> String {
    let json = serde_json::to_string(text).unwrap_or_default();
    json.chars().fold(String::with_capacity(json.len()), |mut out, c| {
        match c {
            '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' => {
                out.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => out.push(c),
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use moongate_config::source::{Node, Value as Read, parse};
    use serde_json::json;

    use super::*;

    fn back(node: &Node) -> Value {
        match &node.value {
            Read::Null => Value::Null,
            Read::Bool(truth) => json!(truth),
            Read::Integer(number) => json!(number),
            Read::Float(number) => json!(number),
            Read::String(text) => json!(text),
            Read::Sequence(items) => items.iter().map(back).collect(),
            Read::Mapping(fields) => {
                Value::Object(fields.iter().map(|(key, value)| (key.text.to_string(), back(value))).collect())
            }
        }
    }

    #[test]
    fn what_is_written_reads_back_the_same() {
        let value = json!({
            "api": "orders",
            "empty": {}, "none": [], "null": null, "truth": true, "number": 1.5, "whole": -3,
            "texts": ["", " a", "a ", "null", "Yes", "1", "1.5", "0x1", "~", "- a", "a: b", "a #b", "#", "*", "&a", "!", "%", "@", "`", "é", "a\tb", "\u{1}", "{a}", "[a]", "a, b", "'", "\"", "?", "|", ">", "a\nb", "\n", "a\n\nb\n", "a\nb\n", "  a\nb\n", "a\nb\n\n", "GET /orders/{id}", "$default", "2026-01-01", "a  b", "\u{2028}", "\u{feff}"],
            "script": "local a = 1\n\nreturn function()\n  return a\nend\n",
            "routes": [
                {"match": "GET /", "integration": {"type": "mock", "responses": [{"status": "200"}]}},
                {"match": "$default", "lists": [[1, 2], [], [[3]], [{"a": 1}]]},
                {}
            ],
            "key with: colon": {"true": 1, "": 2, "a/b": 3}
        });
        let text = text(&value);
        let node = parse(&text, "a.yaml").unwrap_or_else(|issues| panic!("{issues:?}\n{text}"));
        assert_eq!(back(&node), value, "{text}");
    }
}
