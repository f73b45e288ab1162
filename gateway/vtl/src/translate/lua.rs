//! Texts, numbers and fields as Lua writes them.

use std::fmt::Write as _;

/// Words that cannot be fields behind a dot.
const KEYWORDS: [&str; 21] = [
    "and", "break", "do", "else", "elseif", "end", "false", "for", "function", "if", "in", "local", "nil", "not", "or",
    "repeat", "return", "then", "true", "until", "while",
];

/// A text as a literal, in the quotes that need fewer backslashes. With `has_lines` a line end is written as a backslash and a
/// line end, so that the script has the lines of the template.
pub(super) fn quoted(text: &str, has_lines: bool) -> String {
    let quote = if text.contains('"') && !text.contains('\'') { '\'' } else { '"' };
    let mut out = String::with_capacity(text.len() + 2);
    out.push(quote);
    for c in text.chars() {
        match c {
            '\n' if has_lines => out.push_str("\\\n"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\\' => out.push_str("\\\\"),
            c if c == quote => {
                out.push('\\');
                out.push(c);
            }
            c if c.is_control() && c.is_ascii() => {
                write!(out, "\\x{:02x}", u32::from(c)).expect("writing to a String does not fail");
            }
            c => out.push(c),
        }
    }
    out.push(quote);
    out
}

/// Whether a name can stand behind a dot.
pub(super) fn is_field(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && !KEYWORDS.contains(&name)
}

/// `.name` or `["a name"]`.
pub(super) fn field(name: &str) -> String {
    if is_field(name) { format!(".{name}") } else { format!("[{}]", quoted(name, false)) }
}

/// A comment of one or more lines.
pub(super) fn comment(text: &str, indent: usize) -> String {
    let mut out = String::new();
    for line in text.trim_matches(['\r', '\n']).lines() {
        let line: String = line.trim_end().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        // `--[[` would begin a comment that ends somewhere else.
        let blank = if line.starts_with(' ') || line.is_empty() { "" } else { " " };
        writeln!(out, "{}--{blank}{line}", "    ".repeat(indent)).expect("writing to a String does not fail");
    }
    out
}
