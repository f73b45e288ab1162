//! What has a value, as expressions of Lua.

use crate::java;
use crate::syntax::{Expression, Node, NodeKind, Operator};

use super::references::Code;
use super::{Translator, lua};

/// Most values that are joined by `..`. Luau keeps each in a register and has 255 of them.
pub(super) const JOINED_MAX: usize = 40;

/// Longest list that is written on one line.
const LINE_ITEMS_MAX: usize = 8;

impl Translator<'_> {
    /// An expression that has the value.
    pub(super) fn value(&mut self, expression: &Expression) -> String {
        match expression {
            Expression::Text(text) => lua::quoted(text, false),
            Expression::Interpolated(nodes) => self.interpolated(nodes),
            Expression::Integer(number) if number.unsigned_abs() < 1 << 53 => number.to_string(),
            Expression::Integer(number) => format!("vtl.number(\"{number}\")"),
            Expression::Double(number) if number.fract() != 0.0 => format!("{number:?}"),
            Expression::Double(number) => format!("vtl.number(\"{}\")", java::double_to_string(*number)),
            Expression::Boolean(value) => value.to_string(),
            Expression::Reference(reference) => self.reference(reference).lua,
            Expression::List(items) => {
                let items: Vec<String> = items.iter().map(|item| self.value(item)).collect();
                self.constructor("list", &items, items.len(), 1)
            }
            Expression::Map(pairs) => {
                let mut items = Vec::with_capacity(pairs.len() * 2);
                for (key, value) in pairs {
                    items.push(self.value(key));
                    items.push(self.value(value));
                }
                self.constructor("map", &items, pairs.len(), 2)
            }
            Expression::Range(first, last) => {
                format!("vtl.range({}, {})", self.value(first), self.value(last))
            }
            Expression::Not(_)
            | Expression::Binary(
                Operator::And
                | Operator::Or
                | Operator::Equal
                | Operator::NotEqual
                | Operator::Less
                | Operator::LessOrEqual
                | Operator::Greater
                | Operator::GreaterOrEqual,
                ..,
            ) => format!("({})", self.condition(expression)),
            Expression::Binary(operator, left, right) => {
                let function = match operator {
                    Operator::Add => "add",
                    Operator::Subtract => "subtract",
                    Operator::Multiply => "multiply",
                    Operator::Divide => "divide",
                    _ => "remainder",
                };
                format!("vtl.{function}({}, {})", self.value(left), self.value(right))
            }
        }
    }

    /// An expression that is true or false. Everything is true but `false`, also what has no value.
    pub(super) fn condition(&mut self, expression: &Expression) -> String {
        match expression {
            Expression::Boolean(value) => value.to_string(),
            Expression::Reference(reference) => match self.reference(reference) {
                code if code.lua == "nil" => "true".to_owned(),
                code if code.is_truth => code.lua.trim_matches(['(', ')']).to_owned(),
                code => format!("{} ~= false", code.lua),
            },
            Expression::Not(inner) => match &**inner {
                Expression::Reference(reference) => match self.reference(reference) {
                    code if code.lua == "nil" => "false".to_owned(),
                    code if code.is_truth => format!("not {}", code.lua),
                    code => format!("{} == false", code.lua),
                },
                inner => format!("not ({})", self.condition(inner)),
            },
            Expression::Binary(operator, left, right) => match operator {
                Operator::And => format!("{} and {}", self.operand(left), self.operand(right)),
                Operator::Or => format!("{} or {}", self.operand(left), self.operand(right)),
                Operator::Equal => format!("vtl.eq({}, {})", self.value(left), self.value(right)),
                Operator::NotEqual => format!("not vtl.eq({}, {})", self.value(left), self.value(right)),
                Operator::Less => format!("vtl.lt({}, {})", self.value(left), self.value(right)),
                Operator::LessOrEqual => format!("vtl.le({}, {})", self.value(left), self.value(right)),
                Operator::Greater => format!("vtl.gt({}, {})", self.value(left), self.value(right)),
                Operator::GreaterOrEqual => format!("vtl.ge({}, {})", self.value(left), self.value(right)),
                _ => format!("{} ~= false", self.value(expression)),
            },
            _ => format!("{} ~= false", self.value(expression)),
        }
    }

    /// A condition beside `and` or `or`.
    fn operand(&mut self, expression: &Expression) -> String {
        let condition = self.condition(expression);
        match expression {
            Expression::Binary(Operator::And | Operator::Or, ..) => format!("({condition})"),
            _ => condition,
        }
    }

    /// An expression that has the value as a text.
    pub(super) fn text(&mut self, expression: &Expression) -> String {
        match expression {
            Expression::Text(_) | Expression::Interpolated(_) => self.value(expression),
            Expression::Reference(reference) => printed(self.reference(reference)),
            _ => format!("vtl.text({})", self.value(expression)),
        }
    }

    fn constructor(&self, function: &str, items: &[String], count: usize, per_line: usize) -> String {
        if items.is_empty() {
            return format!("vtl.{function}()");
        }
        if items.len() <= LINE_ITEMS_MAX && !items.iter().any(|item| item.contains('\n')) {
            return format!("vtl.{function}({{{}}}, {count})", items.join(", "));
        }
        let blanks = "    ".repeat(self.indent + 1);
        let mut out = format!("vtl.{function}({{\n");
        let per_line = if per_line == 1 { LINE_ITEMS_MAX } else { per_line };
        for line in items.chunks(per_line) {
            out.push_str(&blanks);
            out.push_str(&line.join(", "));
            out.push_str(",\n");
        }
        out.push_str(&"    ".repeat(self.indent));
        out.push_str(&format!("}}, {count})"));
        out
    }

    /// A text in double quotes.
    fn interpolated(&mut self, nodes: &[Node]) -> String {
        let is_plain = nodes
            .iter()
            .all(|node| matches!(node.kind, NodeKind::Text(_) | NodeKind::Reference(_) | NodeKind::Comment(_)));
        if !is_plain || nodes.len() > JOINED_MAX {
            let body = self.function_body(nodes);
            return format!("(function()\n{body}{}end)()", "    ".repeat(self.indent));
        }
        let line = self.line;
        let mut parts = Vec::new();
        for node in nodes {
            match &node.kind {
                NodeKind::Text(text) => parts.push(lua::quoted(text, false)),
                NodeKind::Reference(reference) => {
                    let value = self.reference(reference);
                    parts.push(printed(value));
                }
                _ => {}
            }
        }
        self.line = line;
        match &parts[..] {
            [] => "\"\"".to_owned(),
            [part] => part.clone(),
            _ => format!("({})", parts.join(" .. ")),
        }
    }
}

/// A value as it prints. What is a text already is left alone.
pub(super) fn printed(code: Code) -> String {
    match &*code.lua {
        "nil" => "\"\"".to_owned(),
        _ if code.is_text => code.lua,
        _ => format!("vtl.text({})", code.lua),
    }
}
