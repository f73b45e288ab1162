//! Templates as trees.
//!
//! `cursor` moves over the characters, `template` reads text and directives, `reference` what begins with `$`, `expression`
//! what stands in parentheses. Source of the grammar: `Parser.jjt` of Apache Velocity 1.7, whose lexical states are described
//! where they matter.

mod cursor;
mod expression;
mod reference;
mod template;
mod tree;

#[cfg(test)]
mod tests;

pub(crate) use tree::{Accessor, Branch, Call, Expression, Foreach, Node, NodeKind, Operator, Reference};

use crate::TEMPLATE_BYTES_MAX;

/// A template that was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Template {
    pub(crate) nodes: Vec<Node>,
    /// The names of the macros it defines.
    pub(crate) macros: Vec<String>,
}

/// Why a text is no template: API Gateway would refuse it too.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct SyntaxError {
    /// The line it was found in, from 1.
    pub line: u32,
    /// What was found, or what is missing, as a fragment.
    pub what: String,
}

/// Reads a template.
///
/// # Errors
///
/// The first place where it is none, or is larger or nested deeper than it may be.
pub fn parse(text: &str) -> Result<Template, SyntaxError> {
    if text.len() > TEMPLATE_BYTES_MAX {
        let what = format!("the template has {} bytes, at most {TEMPLATE_BYTES_MAX} are allowed", text.len());
        return Err(SyntaxError { line: 1, what });
    }
    let macros = template::macro_names(text);
    let nodes = template::Parser::new(text, 1, 0, &macros).run()?;
    Ok(Template { nodes, macros })
}
