//! What begins with `$`.

use super::template::{Failed, Parser};
use super::{Accessor, Reference};

impl Parser<'_> {
    /// The reference that begins at a `$`. `None`, without a step, when the `$` is nothing but a character.
    pub(super) fn reference(&mut self) -> Result<Option<Reference>, Failed> {
        let start = self.cursor.at;
        self.cursor.eat("$");
        self.cursor.eat("!");
        let is_braced = self.cursor.eat("{");
        let Some(name) = self.cursor.eat_identifier() else {
            self.cursor.at = start;
            return Ok(None);
        };
        let name = name.to_owned();
        let mut accessors = Vec::new();
        loop {
            if self.cursor.is_at("[") {
                accessors.push(self.index()?);
            } else if self.is_at_property() {
                accessors.push(self.member()?);
            } else {
                break;
            }
        }
        if is_braced && !self.cursor.eat("}") {
            return Err(self.fail(start, format!("the reference `${{{name}` is not closed by `}}`")));
        }
        Ok(Some(Reference { name, accessors }))
    }

    /// A dot counts only before a letter: in `$name.` it ends a sentence.
    fn is_at_property(&self) -> bool {
        self.cursor.rest().strip_prefix('.').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_alphabetic()))
    }

    fn index(&mut self) -> Result<Accessor, Failed> {
        let start = self.cursor.at;
        self.cursor.eat("[");
        self.cursor.eat_space();
        let index = self.nested(start, Self::expression)?;
        self.cursor.eat_space();
        if !self.cursor.eat("]") {
            return Err(self.fail(start, "an index is not closed by `]`"));
        }
        Ok(Accessor::Index(index))
    }

    fn member(&mut self) -> Result<Accessor, Failed> {
        let start = self.cursor.at;
        self.cursor.eat(".");
        let name = self.cursor.eat_identifier().unwrap_or_default().to_owned();
        if !self.cursor.eat("(") {
            return Ok(Accessor::Property(name));
        }
        let mut arguments = Vec::new();
        self.cursor.eat_space();
        while !self.cursor.eat(")") {
            if !arguments.is_empty() && !self.cursor.eat(",") {
                return Err(self.fail(start, format!("the arguments of `{name}` are not closed by `)`")));
            }
            arguments.push(self.nested(start, Self::expression)?);
            self.cursor.eat_space();
        }
        Ok(Accessor::Method { name, arguments })
    }
}
