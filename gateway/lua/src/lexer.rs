//! The tokens of a Luau source: what checks need to look at a script without running it.
//!
//! Sources are assumed to compile; on others the tokens are as good as they can be.

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// An identifier or a keyword.
    Name,
    /// A string, its text without quotes and unresolved; also the pieces of interpolated strings.
    Text,
    /// A number.
    Number,
    /// An operator or another sign.
    Sign,
}

/// A token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token<'source> {
    /// What it is.
    pub kind: TokenKind,
    /// Its text.
    pub text: &'source str,
    /// Its line, counted from 1.
    pub line: u32,
}

impl Token<'_> {
    /// Whether it is this sign or keyword.
    pub fn is(&self, text: &str) -> bool {
        self.kind != TokenKind::Text && self.text == text
    }
}

/// Signs of more than one character, longest first.
const SIGNS: [&str; 20] = [
    "...", "..=", "//=", "->", "::", "==", "~=", "<=", ">=", "+=", "-=", "*=", "/=", "%=", "^=", "..", "//", "{|",
    "|}", ":=",
];

/// The tokens of a source, without comments.
pub fn tokens(source: &str) -> Vec<Token<'_>> {
    let mut lexer = Lexer { source, at: 0, line: 1, tokens: Vec::new(), braces: Vec::new() };
    lexer.all();
    lexer.tokens
}

/// The names that a source gives to `require`, with their lines: `require "lib.x"` and `require("lib.x")`.
pub fn requires(source: &str) -> Vec<(&str, u32)> {
    let tokens = tokens(source);
    let mut names = Vec::new();
    for (place, token) in tokens.iter().enumerate() {
        let is_member = place > 0 && (tokens[place - 1].is(".") || tokens[place - 1].is(":"));
        if token.is("require") && !is_member {
            let next = tokens.get(place + 1).filter(|next| next.is("(")).map_or(place + 1, |_| place + 2);
            if let Some(name) = tokens.get(next).filter(|name| name.kind == TokenKind::Text) {
                names.push((name.text, token.line));
            }
        }
    }
    names
}

struct Lexer<'source> {
    source: &'source str,
    at: usize,
    line: u32,
    tokens: Vec<Token<'source>>,
    /// For every interpolated string that is open, how many braces are inside of its hole.
    braces: Vec<u32>,
}

impl<'source> Lexer<'source> {
    fn rest(&self) -> &'source str {
        &self.source[self.at..]
    }

    fn push(&mut self, kind: TokenKind, text: &'source str, length: usize) {
        self.tokens.push(Token { kind, text, line: self.line });
        self.skip(length);
    }

    fn skip(&mut self, length: usize) {
        let end = (self.at + length).min(self.source.len());
        let passed = self.source.as_bytes()[self.at..end].iter();
        self.line += u32::try_from(passed.filter(|byte| **byte == b'\n').count()).unwrap_or(0);
        self.at = end;
    }

    fn all(&mut self) {
        while let Some(first) = self.rest().chars().next() {
            if first.is_whitespace() {
                self.skip(first.len_utf8());
            } else if self.rest().starts_with("--") {
                self.comment();
            } else if let Some(length) = self.long_bracket() {
                let rest = self.rest();
                let open = rest.bytes().skip(1).take_while(|byte| *byte == b'=').count() + 2;
                let inner = rest.get(open..length.saturating_sub(open)).unwrap_or_default();
                self.push(TokenKind::Text, inner, length);
            } else if first == '"' || first == '\'' {
                self.quoted(first);
            } else if first == '`' {
                self.braces.push(0);
                self.interpolated(1);
            } else if first.is_ascii_alphabetic() || first == '_' {
                let rest = self.rest();
                let length = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
                self.push(TokenKind::Name, &rest[..length], length);
            } else if first.is_ascii_digit() {
                self.number();
            } else {
                self.sign(first);
            }
        }
    }

    fn comment(&mut self) {
        self.skip(2);
        let length = match self.long_bracket() {
            Some(length) => length,
            None => self.rest().find('\n').unwrap_or(self.rest().len()),
        };
        self.skip(length);
    }

    /// The length of a long string or comment that begins here.
    fn long_bracket(&self) -> Option<usize> {
        let rest = self.rest().strip_prefix('[')?;
        let level = rest.bytes().take_while(|byte| *byte == b'=').count();
        rest[level..].strip_prefix('[')?;
        let close = format!("]{}]", "=".repeat(level));
        let end = self.rest().find(&close).map_or(self.rest().len(), |end| end + close.len());
        Some(end)
    }

    fn quoted(&mut self, quote: char) {
        let rest = self.rest();
        let bytes = rest.as_bytes();
        let mut end = 1;
        while end < bytes.len() && bytes[end] != quote as u8 && bytes[end] != b'\n' {
            end += if bytes[end] == b'\\' { 2 } else { 1 };
        }
        let end = (end.min(bytes.len())..=bytes.len()).find(|end| rest.is_char_boundary(*end)).unwrap_or(bytes.len());
        self.push(TokenKind::Text, &rest[1..end], end + 1);
        while !self.source.is_char_boundary(self.at) {
            self.at += 1;
        }
    }

    /// A piece of an interpolated string, up to its end or the next hole.
    fn interpolated(&mut self, start: usize) {
        let rest = self.rest();
        let bytes = rest.as_bytes();
        let mut end = start;
        while end < bytes.len() && bytes[end] != b'`' && bytes[end] != b'{' {
            end += if bytes[end] == b'\\' { 2 } else { 1 };
        }
        let end = (end.min(bytes.len())..=bytes.len()).find(|end| rest.is_char_boundary(*end)).unwrap_or(bytes.len());
        if bytes.get(end) != Some(&b'{') {
            self.braces.pop();
        }
        self.push(TokenKind::Text, &rest[start.min(end)..end], end + 1);
    }

    fn number(&mut self) {
        let rest = self.rest();
        let bytes = rest.as_bytes();
        let mut end = 1;
        while end < bytes.len() {
            let is_exponent_sign =
                matches!(bytes[end], b'+' | b'-') && matches!(bytes[end - 1], b'e' | b'E') && !rest.starts_with("0x");
            if !(bytes[end].is_ascii_alphanumeric() || bytes[end] == b'_' || bytes[end] == b'.' || is_exponent_sign) {
                break;
            }
            if rest[end..].starts_with("..") {
                break;
            }
            end += 1;
        }
        self.push(TokenKind::Number, &rest[..end], end);
    }

    fn sign(&mut self, first: char) {
        if let Some(open) = self.braces.last_mut() {
            match first {
                '{' => *open += 1,
                '}' if *open == 0 => return self.interpolated(1),
                '}' => *open -= 1,
                _ => {}
            }
        }
        let rest = self.rest();
        let length = SIGNS.iter().find(|sign| rest.starts_with(**sign)).map_or(first.len_utf8(), |sign| sign.len());
        self.push(TokenKind::Sign, &rest[..length], length);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(source: &str) -> Vec<(TokenKind, &str)> {
        tokens(source).into_iter().map(|token| (token.kind, token.text)).collect()
    }

    #[test]
    fn sources_are_taken_apart() {
        use TokenKind::{Name, Number, Sign, Text};
        let cases: [(&str, &[(TokenKind, &str)]); 8] = [
            ("a.b += 1e-3 -- c", &[(Name, "a"), (Sign, "."), (Name, "b"), (Sign, "+="), (Number, "1e-3")]),
            ("--[==[ a ]] ]==] x", &[(Name, "x")]),
            ("'a\\'b' \"c\"", &[(Text, "a\\'b"), (Text, "c")]),
            ("[[a\nb]]..[=[c]=]", &[(Text, "a\nb"), (Sign, ".."), (Text, "c")]),
            (
                "`a{b}c{ {1} }`",
                &[(Text, "a"), (Name, "b"), (Text, "c"), (Sign, "{"), (Number, "1"), (Sign, "}"), (Text, "")],
            ),
            ("1..2", &[(Number, "1"), (Sign, ".."), (Number, "2")]),
            ("x['é']", &[(Name, "x"), (Sign, "["), (Text, "é"), (Sign, "]")]),
            ("'open\nx", &[(Text, "open"), (Name, "x")]),
        ];
        for (source, want) in cases {
            assert_eq!(texts(source), want, "{source}");
        }
        assert_eq!(tokens("a\n--[[\n]]\nb")[1].line, 4);
    }

    #[test]
    fn any_text_is_read_to_its_end() {
        for source in ["'", "`", "`{", "[[", "--[[", "\"\\", "`\\", "é'é\\é", "}", "`a{", "0x", "\u{0}"] {
            let _ = tokens(source);
        }
    }

    #[test]
    fn required_names_are_found() {
        let source = "local a = require \"lib.a\"\nlocal b = require('lib.b') -- require 'lib.c'\nlocal s = \"require 'lib.d'\"\nx.require 'lib.e'";
        assert_eq!(requires(source), [("lib.a", 1), ("lib.b", 2)]);
    }
}
