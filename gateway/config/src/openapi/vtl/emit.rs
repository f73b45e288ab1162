//! Pieces to Lua.
//!
//! The script's globals are those of Moongate's mapping templates: `input`, `context`, `stageVariables` and `util`.
//! `util.text` prints a value as AWS prints it: nothing for `nil`, tables in AWS's notation.

use std::fmt::Write;

use super::{Expression, Piece};

/// Words that cannot be field names in Lua.
const KEYWORDS: [&str; 21] = [
    "and", "break", "do", "else", "elseif", "end", "false", "for", "function", "if", "in", "local", "nil", "not", "or",
    "repeat", "return", "then", "true", "until", "while",
];

/// Most pieces that are joined by `..`. Luau keeps each operand of such a chain in a register and has 255 of them.
const CHAIN_PIECES_MAX: usize = 16;

/// The script that returns what the pieces print.
pub(super) fn script(pieces: &[Piece]) -> String {
    let is_one_line = pieces.iter().rev().enumerate().all(|(from_last, piece)| match piece {
        Piece::Text(text) if from_last == 0 => !text.trim_end_matches('\n').contains('\n'),
        Piece::Text(text) => !text.contains('\n'),
        Piece::Value(_) => true,
    });
    if is_one_line && pieces.len() <= CHAIN_PIECES_MAX {
        let operands: Vec<String> = pieces.iter().map(operand).collect();
        return format!("return {}\n", operands.join(" .. "));
    }
    let mut script = String::from("return table.concat({");
    let mut separator = "\n    ";
    for piece in pieces {
        match piece {
            Piece::Text(text) => {
                for line in text.split_inclusive('\n') {
                    script.push_str(separator);
                    push_quoted(&mut script, line);
                    separator = if line.ends_with('\n') { ",\n    " } else { ", " };
                }
            }
            Piece::Value(_) => {
                script.push_str(separator);
                script.push_str(&operand(piece));
                separator = ", ";
            }
        }
    }
    script.push_str(",\n})\n");
    script
}

fn operand(piece: &Piece) -> String {
    let mut out = String::new();
    match piece {
        Piece::Text(text) => push_quoted(&mut out, text),
        Piece::Value(expression @ (Expression::Util(..) | Expression::Literal(_))) => {
            push_expression(&mut out, expression);
        }
        Piece::Value(expression) => {
            out.push_str("util.text(");
            push_expression(&mut out, expression);
            out.push(')');
        }
    }
    out
}

fn push_expression(out: &mut String, expression: &Expression) {
    match expression {
        Expression::Body => out.push_str("input.body"),
        Expression::Json(path) => push_call(out, "input.json", path),
        Expression::Path(path) => push_call(out, "input.path", path),
        Expression::Parameter(name) => push_call(out, "input.params", name),
        Expression::ParameterIn(place, name) => {
            out.push_str("input.params().");
            out.push_str(place.as_str());
            out.push('[');
            push_quoted(out, name);
            out.push(']');
        }
        Expression::Context(names) => push_context(out, names),
        Expression::StageVariable(name) => {
            out.push_str("stageVariables");
            push_field(out, name);
        }
        Expression::Literal(text) => push_quoted(out, text),
        Expression::Util(function, argument) => {
            out.push_str("util.");
            out.push_str(function.as_str());
            out.push('(');
            push_expression(out, argument);
            out.push(')');
        }
    }
}

fn push_call(out: &mut String, function: &str, argument: &str) {
    out.push_str(function);
    out.push('(');
    push_quoted(out, argument);
    out.push(')');
}

/// `context.a.b`, guarded against groups that are not there: an open route has no `context.authorizer`. `context.identity`
/// always is.
fn push_context(out: &mut String, names: &[String]) {
    let first_guarded = if names.first().is_some_and(|name| name == "identity") { 2 } else { 1 };
    for count in first_guarded..names.len() {
        push_fields(out, &names[..count]);
        out.push_str(" and ");
    }
    push_fields(out, names);
}

fn push_fields(out: &mut String, names: &[String]) {
    out.push_str("context");
    for name in names {
        push_field(out, name);
    }
}

fn push_field(out: &mut String, name: &str) {
    let is_name = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.is_empty();
    if is_name && !KEYWORDS.contains(&name) {
        out.push('.');
        out.push_str(name);
    } else {
        out.push('[');
        push_quoted(out, name);
        out.push(']');
    }
}

/// Writes a Lua string literal, in the quotes that need fewer escapes.
fn push_quoted(out: &mut String, text: &str) {
    let quote = if text.contains('"') && !text.contains('\'') { '\'' } else { '"' };
    out.push(quote);
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\\' => out.push_str("\\\\"),
            c if c == quote => {
                out.push('\\');
                out.push(c);
            }
            c if c.is_control() && c.is_ascii() => {
                write!(out, "\\x{:02x}", u32::from(c)).expect("writing to a String cannot fail");
            }
            c => out.push(c),
        }
    }
    out.push(quote);
}
