//! The characters of a template: a cursor that reads names, texts and runs.

/// A place in a template, moving forward.
#[derive(Clone, Copy)]
pub(super) struct Cursor<'t> {
    template: &'t str,
    position: usize,
}

impl<'t> Cursor<'t> {
    /// The start of a template.
    pub(super) fn new(template: &'t str) -> Self {
        Self { template, position: 0 }
    }

    /// The place, in bytes from the start.
    pub(super) fn position(&self) -> usize {
        self.position
    }

    /// What is left.
    pub(super) fn rest(&self) -> &'t str {
        &self.template[self.position..]
    }

    /// What stands between an earlier place and this one.
    pub(super) fn since(&self, position: usize) -> &'t str {
        &self.template[position..self.position]
    }

    /// Whether the rest starts so.
    pub(super) fn is_at(&self, text: &str) -> bool {
        self.rest().starts_with(text)
    }

    /// Steps over a text, if the rest starts with it.
    pub(super) fn eat(&mut self, text: &str) -> bool {
        let is_there = self.is_at(text);
        if is_there {
            self.position += text.len();
        }
        is_there
    }

    /// Steps over everything up to the first of some ASCII characters.
    pub(super) fn eat_until(&mut self, stops: &[char]) -> &'t str {
        let start = self.position;
        self.position += self.rest().find(stops).unwrap_or(self.rest().len());
        self.since(start)
    }

    /// Steps over a run of one ASCII character and tells its length.
    pub(super) fn eat_run(&mut self, c: char) -> usize {
        let rest = self.rest();
        let count = rest.len() - rest.trim_start_matches(c).len();
        self.position += count;
        count
    }

    /// Steps over blanks and line ends.
    pub(super) fn eat_blanks(&mut self) {
        let rest = self.rest();
        self.position += rest.len() - rest.trim_start_matches([' ', '\t', '\r', '\n']).len();
    }

    /// Steps over a name: a letter or `_`, then letters, digits, `_` and `-` (Velocity 1.7, "Identifiers").
    pub(super) fn eat_name(&mut self) -> Option<&'t str> {
        if !self.rest().starts_with(is_name_start) {
            return None;
        }
        let rest = self.rest();
        let is_end = |c: char| !(is_name_start(c) || c.is_ascii_digit() || c == '-');
        let name = &rest[..rest.find(is_end).unwrap_or(rest.len())];
        self.position += name.len();
        Some(name)
    }

    /// Steps over a quoted text. `None` when there is none, or none whose meaning is plain: a quote doubled to stand for
    /// itself, or double quotes around something Velocity would evaluate.
    pub(super) fn eat_quoted(&mut self) -> Option<&'t str> {
        let quote = self.rest().chars().next().filter(|c| matches!(c, '\'' | '"'))?;
        let inner = &self.rest()[1..];
        let inner = &inner[..inner.find(quote)?];
        let after = &self.rest()[inner.len() + 2..];
        if after.starts_with(quote) || quote == '"' && is_interpolated(inner) {
            return None;
        }
        self.position += inner.len() + 2;
        Some(inner)
    }
}

/// Whether a character can begin a name.
pub(super) fn is_name_start(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_'
}

/// Whether a text that starts with `$` starts with a reference. `$.` and `$[`, the roots of JSON paths, do not.
pub(super) fn begins_reference(text: &str) -> bool {
    let Some(rest) = text.strip_prefix('$') else {
        return false;
    };
    let rest = rest.strip_prefix('!').unwrap_or(rest);
    rest.strip_prefix('{').unwrap_or(rest).starts_with(is_name_start)
}

/// Whether a text in double quotes has something in it that Velocity may evaluate.
fn is_interpolated(text: &str) -> bool {
    let has_reference = text.char_indices().any(|(i, c)| c == '$' && begins_reference(&text[i..]));
    has_reference || text.contains(['#', '\\'])
}
