//! The JSON reader: RFC 8259 without extensions, in one pass over the bytes.

use crate::issue::{Issue, codes};
use crate::source::{DEPTH_MAX, ISSUES_MAX, Key, NODES_MAX, Node, Value, find_duplicates, span};

/// Reads a JSON text. Errors as for [`parse`](crate::source::parse).
pub(super) fn read(text: &str, file: &str) -> Result<Node, Vec<Issue>> {
    let mut reader = Reader { text, bytes: text.as_bytes(), file, at: 0, nodes: 0, issues: Vec::new() };
    if text.starts_with('\u{feff}') {
        reader.at = '\u{feff}'.len_utf8();
    }
    match reader.document() {
        Ok(node) if reader.issues.is_empty() => Ok(node),
        Ok(_) => Err(reader.issues),
        Err(issue) => {
            reader.issues.push(*issue);
            Err(reader.issues)
        }
    }
}

struct Reader<'a> {
    text: &'a str,
    bytes: &'a [u8],
    file: &'a str,
    /// The next byte to read. Between tokens it is always on a character boundary.
    at: usize,
    nodes: usize,
    /// Problems that do not end the reading.
    issues: Vec<Issue>,
}

/// Boxed, so that the readers' results stay small.
type Outcome<T> = Result<T, Box<Issue>>;

impl Reader<'_> {
    fn document(&mut self) -> Outcome<Node> {
        let node = self.value(0)?;
        self.skip_space();
        if self.at < self.bytes.len() {
            return Err(self.syntax(self.at, "expected the end of the file after the document"));
        }
        Ok(node)
    }

    fn value(&mut self, depth: usize) -> Outcome<Node> {
        self.skip_space();
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            return Err(self.problem(codes::LIMIT, self.at, format!("the document has more than {NODES_MAX} values")));
        }
        let start = self.at;
        let value = match self.bytes.get(self.at) {
            Some(b'{') => self.object(depth + 1)?,
            Some(b'[') => self.array(depth + 1)?,
            Some(b'"') => Value::String(self.string()?),
            Some(b'-' | b'0'..=b'9') => self.number()?,
            Some(b't') => self.word("true", Value::Bool(true))?,
            Some(b'f') => self.word("false", Value::Bool(false))?,
            Some(b'n') => self.word("null", Value::Null)?,
            _ => return Err(self.syntax(self.at, "expected a value")),
        };
        Ok(Node::new(span(start, self.at), value))
    }

    fn object(&mut self, depth: usize) -> Outcome<Value> {
        self.enter(depth)?;
        let mut entries = Vec::new();
        self.skip_space();
        if self.take(b'}') {
            return Ok(Value::Mapping(entries));
        }
        loop {
            self.skip_space();
            let start = self.at;
            if self.bytes.get(start) != Some(&b'"') {
                return Err(self.syntax(start, "expected a key in double quotes"));
            }
            let text = self.string()?;
            let key = Key::new(span(start, self.at), text);
            self.skip_space();
            if !self.take(b':') {
                return Err(self.syntax(self.at, "expected `:` after the key"));
            }
            let node = self.value(depth)?;
            entries.push((key, node));
            self.skip_space();
            if self.take(b'}') {
                break;
            }
            if !self.take(b',') {
                return Err(self.syntax(self.at, "expected `,` or `}`"));
            }
        }
        if self.issues.len() < ISSUES_MAX {
            find_duplicates(&entries, self.file, self.text, &mut self.issues);
        }
        entries.shrink_to_fit();
        Ok(Value::Mapping(entries))
    }

    fn array(&mut self, depth: usize) -> Outcome<Value> {
        self.enter(depth)?;
        let mut items = Vec::new();
        self.skip_space();
        if self.take(b']') {
            return Ok(Value::Sequence(items));
        }
        loop {
            items.push(self.value(depth)?);
            self.skip_space();
            if self.take(b']') {
                items.shrink_to_fit();
                return Ok(Value::Sequence(items));
            }
            if !self.take(b',') {
                return Err(self.syntax(self.at, "expected `,` or `]`"));
            }
        }
    }

    /// Steps over an opening bracket, unless that is too deep.
    fn enter(&mut self, depth: usize) -> Outcome<()> {
        if depth > DEPTH_MAX {
            return Err(self.problem(codes::LIMIT, self.at, format!("more than {DEPTH_MAX} levels of nesting")));
        }
        self.at += 1;
        Ok(())
    }

    fn string(&mut self) -> Outcome<Box<str>> {
        let opening = self.at;
        self.at += 1;
        let mut start = self.at;
        // Filled only when there are escapes; most strings are one slice of the text.
        let mut decoded = String::new();
        loop {
            match self.bytes.get(self.at) {
                None => return Err(self.syntax(opening, "this text has no closing `\"`")),
                Some(b'"') => {
                    let rest = &self.text[start..self.at];
                    self.at += 1;
                    return Ok(if decoded.is_empty() { rest.into() } else { (decoded + rest).into() });
                }
                Some(b'\\') => {
                    decoded.push_str(&self.text[start..self.at]);
                    let c = self.escape()?;
                    decoded.push(c);
                    start = self.at;
                }
                Some(byte) if *byte < 0x20 => {
                    let message = format!("a control character (U+{byte:04X}) must be written as `\\u{byte:04x}`");
                    return Err(self.syntax(self.at, message));
                }
                Some(_) => self.at += 1,
            }
        }
    }

    /// One escape sequence, at its backslash (RFC 8259 section 7).
    fn escape(&mut self) -> Outcome<char> {
        let start = self.at;
        let simple = match self.bytes.get(start + 1) {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode_escape(),
            _ => {
                return Err(
                    self.syntax(start, "unknown escape; JSON has \\\" \\\\ \\/ \\b \\f \\n \\r \\t and \\uXXXX")
                );
            }
        };
        self.at += 2;
        Ok(simple)
    }

    fn unicode_escape(&mut self) -> Outcome<char> {
        let start = self.at;
        let high = self.hex4(start)?;
        let code = match high {
            0xD800..=0xDBFF if self.bytes[self.at..].starts_with(b"\\u") => {
                let low = self.hex4(start)?;
                if !(0xDC00..=0xDFFF).contains(&low) {
                    return Err(self.syntax(start, "half of a surrogate pair; the other half must follow"));
                }
                0x1_0000 + ((high - 0xD800) << 10) + (low - 0xDC00)
            }
            _ => high,
        };
        char::from_u32(code).ok_or_else(|| self.syntax(start, "half of a surrogate pair; the other half must follow"))
    }

    /// `\uXXXX` at the current place.
    fn hex4(&mut self, start: usize) -> Outcome<u32> {
        let digits = self.bytes.get(self.at + 2..self.at + 6).unwrap_or_default();
        let value = digits.iter().try_fold(0, |value, digit| Some(value * 16 + char::from(*digit).to_digit(16)?));
        let Some(value) = value.filter(|_| digits.len() == 4) else {
            return Err(self.syntax(start, "`\\u` needs four hexadecimal digits"));
        };
        self.at += 6;
        Ok(value)
    }

    /// RFC 8259 section 6.
    fn number(&mut self) -> Outcome<Value> {
        let start = self.at;
        let _ = self.take(b'-');
        match self.bytes.get(self.at) {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits(),
            _ => return Err(self.syntax(start, "a number needs a digit after its sign")),
        }
        let mut is_whole = true;
        if self.take(b'.') {
            is_whole = false;
            self.some_digits(start)?;
        }
        if self.take(b'e') || self.take(b'E') {
            is_whole = false;
            let _ = self.take(b'+') || self.take(b'-');
            self.some_digits(start)?;
        }
        if matches!(self.bytes.get(self.at), Some(b'0'..=b'9' | b'.' | b'+' | b'-' | b'a'..=b'z' | b'A'..=b'Z')) {
            return Err(self.syntax(start, "not a number; a text needs double quotes"));
        }
        let written = &self.text[start..self.at];
        if is_whole && let Ok(value) = written.parse::<i64>() {
            return Ok(Value::Integer(value));
        }
        match written.parse::<f64>() {
            Ok(value) if value.is_finite() => Ok(Value::Float(value)),
            _ => Err(self.problem(codes::LIMIT, start, "this number is too large to be held")),
        }
    }

    fn some_digits(&mut self, start: usize) -> Outcome<()> {
        if !matches!(self.bytes.get(self.at), Some(b'0'..=b'9')) {
            return Err(self.syntax(start, "a number needs digits after `.` and after `e`"));
        }
        self.digits();
        Ok(())
    }

    fn digits(&mut self) {
        while matches!(self.bytes.get(self.at), Some(b'0'..=b'9')) {
            self.at += 1;
        }
    }

    fn word(&mut self, word: &str, value: Value) -> Outcome<Value> {
        if !self.bytes[self.at..].starts_with(word.as_bytes()) {
            return Err(self.syntax(self.at, "expected a value; a text needs double quotes"));
        }
        self.at += word.len();
        Ok(value)
    }

    fn skip_space(&mut self) {
        while matches!(self.bytes.get(self.at), Some(b' ' | b'\n' | b'\t' | b'\r')) {
            self.at += 1;
        }
    }

    fn take(&mut self, byte: u8) -> bool {
        let is_next = self.bytes.get(self.at) == Some(&byte);
        self.at += usize::from(is_next);
        is_next
    }

    #[cold]
    fn syntax(&self, at: usize, message: impl Into<String>) -> Box<Issue> {
        self.problem(codes::SYNTAX, at, message)
    }

    /// A problem with one character.
    #[cold]
    fn problem(&self, code: &'static str, at: usize, message: impl Into<String>) -> Box<Issue> {
        let start = self.text.floor_char_boundary(at.min(self.text.len()));
        let width = self.text[start..].chars().next().map_or(0, char::len_utf8);
        Box::new(Issue::error(code, self.file, "", message).at(span(start, start + width)))
    }
}
