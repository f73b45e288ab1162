//! The characters of a template.

/// A place in a text, moving forward.
#[derive(Clone, Debug)]
pub(super) struct Cursor<'t> {
    text: &'t str,
    /// The place, in bytes from the start, always between two characters.
    pub(super) at: usize,
    /// Where each line but the first begins.
    line_starts: Vec<usize>,
    first_line: u32,
}

impl<'t> Cursor<'t> {
    pub(super) fn new(text: &'t str, first_line: u32) -> Self {
        let line_starts = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1).collect();
        Self { text, at: 0, line_starts, first_line }
    }

    /// The line a place is in.
    pub(super) fn line_at(&self, at: usize) -> u32 {
        let lines_before = self.line_starts.partition_point(|start| *start <= at);
        self.first_line.saturating_add(u32::try_from(lines_before).unwrap_or(u32::MAX))
    }

    pub(super) fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    /// What stands between an earlier place and this one.
    pub(super) fn since(&self, start: usize) -> &'t str {
        &self.text[start..self.at]
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.at == self.text.len()
    }

    pub(super) fn is_at(&self, text: &str) -> bool {
        self.rest().starts_with(text)
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    /// Steps back over blanks and line ends.
    pub(super) fn step_back_over_space(&mut self) {
        self.at = self.text[..self.at].trim_end_matches([' ', '\t', '\r', '\n']).len();
    }

    /// Steps over a text, if the rest starts with it.
    pub(super) fn eat(&mut self, text: &str) -> bool {
        let is_there = self.is_at(text);
        if is_there {
            self.at += text.len();
        }
        is_there
    }

    /// Steps over characters as long as they are of a kind.
    pub(super) fn eat_while(&mut self, is_wanted: impl Fn(char) -> bool) -> &'t str {
        let rest = self.rest();
        let end = rest.find(|c| !is_wanted(c)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    /// Steps to the first place where a text stands, and over it; what is before it is returned.
    pub(super) fn eat_through(&mut self, text: &str) -> Option<&'t str> {
        let rest = self.rest();
        let found = rest.find(text)?;
        self.at += found + text.len();
        Some(&rest[..found])
    }

    pub(super) fn eat_space(&mut self) {
        self.eat_while(|c| matches!(c, ' ' | '\t' | '\r' | '\n'));
    }

    /// The end of a line and the blanks before it, which directives take with them. Nothing when something else follows.
    pub(super) fn eat_line_end(&mut self) {
        let start = self.at;
        self.eat_while(|c| matches!(c, ' ' | '\t'));
        if !(self.eat("\r\n") || self.eat("\n") || self.eat("\r")) {
            self.at = start;
        }
    }

    /// The name of a variable, property or method.
    pub(super) fn eat_identifier(&mut self) -> Option<&'t str> {
        self.peek().filter(|c| c.is_ascii_alphabetic() || *c == '_')?;
        Some(self.eat_while(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-')))
    }

    /// The name of a directive or macro.
    pub(super) fn eat_word(&mut self) -> Option<&'t str> {
        self.peek().filter(|c| c.is_ascii_alphabetic() || matches!(c, '_' | '@'))?;
        Some(self.eat_while(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '@')))
    }

    /// The same, or the same in braces.
    pub(super) fn eat_directive_name(&mut self) -> Option<&'t str> {
        if !self.is_at("{") {
            return self.eat_word();
        }
        let start = self.at;
        self.eat("{");
        let word = self.eat_word().filter(|word| !word.starts_with('@'));
        if word.is_none() || !self.eat("}") {
            self.at = start;
            return None;
        }
        word
    }
}
