//! Templates as Lua scripts.
//!
//! A script keeps the order, the lines and the comments of its template, and its variables keep their names. Text and the
//! references in it become one expression; a directive becomes the statement of Lua that is like it:
//!
//! ```text
//! #foreach($item in $order.items)        for index, item in ipairs(vtl.items(vtl.get(order, "items"))) do
//!   "$item.sku"                              table.insert(out, '  "' .. vtl.text(vtl.get(item, "sku")) .. '"\
//! #end                                   ')
//!                                        end
//! ```
//!
//! [`facts`] looks over the whole template first: which variables there are, and what of it is carried out later than it is
//! written (`#define`, `#macro`). [`statements`] writes directives, [`references`] and [`expressions`] what has a value,
//! [`names`] and [`lua`] Lua's own words.

mod expressions;
mod facts;
mod lua;
mod names;
mod references;
mod statements;

#[cfg(test)]
mod tests;

use crate::syntax::Template;
use facts::Facts;
use names::Names;

/// What a template becomes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Translation {
    /// The script; the text itself when nothing in the template is carried out.
    pub content: Content,
    /// What a reader of the script should know.
    pub notes: Vec<Note>,
}

/// A script or a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// The template refers to nothing: its text, escapes resolved.
    Text(String),
    /// A Lua script that returns the body.
    Lua(String),
}

/// A place in a template that was translated, but probably does not do what its author meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The line, from 1.
    pub line: u32,
    /// What is noticed, as a sentence.
    pub what: String,
}

/// What in a template cannot be translated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct Untranslatable {
    /// The line, from 1.
    pub line: u32,
    /// What it is, as a fragment.
    pub what: String,
}

/// Writes a template as a script.
///
/// # Errors
///
/// Everything that cannot be carried over. Nothing is left out in silence.
pub fn translate(template: &Template) -> Result<Translation, Vec<Untranslatable>> {
    if let Some(text) = facts::only_text(template) {
        return Ok(Translation { content: Content::Text(text), notes: Vec::new() });
    }
    let facts = Facts::of(template);
    let mut translator = Translator {
        names: Names::of(&facts, &template.macros),
        facts,
        problems: Vec::new(),
        notes: Vec::new(),
        out: String::new(),
        indent: 0,
        line: 1,
        loops: Vec::new(),
        loops_outside: 0,
        parameters: Vec::new(),
        place: Place::Template,
    };
    translator.template(template);
    if !translator.problems.is_empty() {
        return Err(translator.problems);
    }
    Ok(Translation { content: Content::Lua(translator.out), notes: translator.notes })
}

/// Which function of the script is being written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Template,
    Macro,
    /// A `#define`, or directives in a text in quotes.
    Text,
}

/// A loop around what is being written, in the same function or one around it.
#[derive(Clone)]
struct Loop {
    index: String,
    items: String,
}

/// A parameter of the macro that is being written.
#[derive(Clone)]
struct Parameter {
    name: String,
    lua: String,
    /// Whether it is a function that gives the value.
    is_by_name: bool,
}

struct Translator<'t> {
    facts: Facts<'t>,
    names: Names,
    problems: Vec<Untranslatable>,
    notes: Vec<Note>,
    /// The script so far.
    out: String,
    indent: usize,
    /// The line of the node that is being written.
    line: u32,
    loops: Vec<Loop>,
    /// How many of the loops are around the function that is being written.
    loops_outside: usize,
    parameters: Vec<Parameter>,
    place: Place,
}

impl Translator<'_> {
    fn problem(&mut self, what: impl Into<String>) {
        self.problems.push(Untranslatable { line: self.line, what: what.into() });
    }

    fn note(&mut self, what: impl Into<String>) {
        let note = Note { line: self.line, what: what.into() };
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }
}
