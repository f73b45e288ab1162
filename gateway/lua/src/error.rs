//! Why a script did not do its work.

use std::fmt;

/// Longest error message kept, in bytes. Scripts may raise megabytes.
const MESSAGE_BYTES_MAX: usize = 1024;

/// What Luau says when an allocation was refused (`LUA_MEMERRMSG`).
const OUT_OF_MEMORY: &str = "not enough memory";

/// A script that did not compile, failed, or passed its budget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptError {
    /// What went wrong.
    pub kind: ErrorKind,
    /// The script, under the name it was added with.
    pub script: String,
    /// The line, counted from 1, where it is known.
    pub line: Option<u32>,
    /// What happened: one line of printable text, at most about 1 KiB. For [`ErrorKind::Raised`] it is what the script gave
    /// to `error`, without the position.
    pub message: String,
}

/// What kind of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The source is no Luau, or too large.
    Compile,
    /// The script called `error`, or did something that raises an error.
    Raised,
    /// The run used up its processor time.
    CpuBudget,
    /// The run took too long by the clock on the wall.
    WallBudget,
    /// The run used up its memory.
    MemoryBudget,
    /// Too many runs wait already.
    Busy,
    /// The script asked for a part of the body, or an event was to be given to it, and the text is no JSON.
    BodyNotJson,
    /// What the script returned cannot be used.
    BadResult,
    /// The gateway's own fault: a script was called as what it is not, or no machine could be made.
    Internal,
}

impl fmt::Display for ScriptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.script, self.message),
            None => write!(f, "{}: {}", self.script, self.message),
        }
    }
}

impl std::error::Error for ScriptError {}

impl ScriptError {
    pub(crate) fn new(kind: ErrorKind, script: &str, message: impl Into<String>) -> Self {
        Self { kind, script: script.to_owned(), line: None, message: message.into() }
    }

    pub(crate) fn at(mut self, line: Option<u32>) -> Self {
        self.line = self.line.or(line);
        self
    }

    /// The error that a raised text stands for. Luau puts `NAME:LINE: ` before most.
    pub(crate) fn raised(script: &str, text: &[u8]) -> Self {
        let (line, text) = split_position(script, text);
        let message = printable(text, MESSAGE_BYTES_MAX);
        let kind = if message == OUT_OF_MEMORY { ErrorKind::MemoryBudget } else { ErrorKind::Raised };
        Self { kind, script: script.to_owned(), line, message }
    }

    /// An error of `mlua` while a machine is made or a script is loaded.
    pub(crate) fn machine(script: &str, error: &mlua::Error) -> Self {
        let kind = match error {
            mlua::Error::MemoryError(_) => ErrorKind::MemoryBudget,
            _ => ErrorKind::Internal,
        };
        Self::new(kind, script, printable(error.to_string().as_bytes(), MESSAGE_BYTES_MAX))
    }

    /// What the compiler said: `:LINE: text`, as `mlua` passes it on.
    pub(crate) fn compile(script: &str, error: &mlua::Error) -> Self {
        let mlua::Error::SyntaxError { message, .. } = error else { return Self::machine(script, error) };
        let (line, text) = split_line(message.trim_start_matches(':').as_bytes());
        Self { kind: ErrorKind::Compile, script: script.to_owned(), line, message: printable(text, MESSAGE_BYTES_MAX) }
    }
}

fn split_position<'text>(script: &str, text: &'text [u8]) -> (Option<u32>, &'text [u8]) {
    let rest = text.strip_prefix(script.as_bytes()).and_then(|rest| rest.strip_prefix(b":"));
    match rest.map(split_line) {
        Some((Some(line), rest)) => (Some(line), rest),
        _ => (None, text),
    }
}

/// Splits `LINE: text`.
fn split_line(text: &[u8]) -> (Option<u32>, &[u8]) {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let line = std::str::from_utf8(&text[..digits]).ok().and_then(|digits| digits.parse().ok());
    match (line, text[digits..].strip_prefix(b": ")) {
        (Some(line), Some(rest)) => (Some(line), rest),
        _ => (None, text),
    }
}

/// Text for people and logs out of any bytes: control characters escaped, cut at about `bytes_max` bytes.
pub(crate) fn printable(bytes: &[u8], bytes_max: usize) -> String {
    let head = &bytes[..bytes.len().min(bytes_max)];
    let mut text = String::with_capacity(head.len());
    for character in String::from_utf8_lossy(head).chars() {
        if text.len() >= bytes_max {
            break;
        }
        if character.is_control() && character != '\t' {
            text.extend(character.escape_default());
        } else {
            text.push(character);
        }
    }
    if head.len() < bytes.len() {
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn position_is_split_from_the_message() {
        let cases: [(&str, Option<u32>, &str); 8] = [
            ("auth.lua:12: Unauthorized", Some(12), "Unauthorized"),
            ("auth.lua:3: auth.lua:4: twice", Some(3), "auth.lua:4: twice"),
            ("Unauthorized", None, "Unauthorized"),
            ("auth.lua: no line", None, "auth.lua: no line"),
            ("auth.lua:99999999999: x", None, "auth.lua:99999999999: x"),
            ("auth.lua:12:x", None, "auth.lua:12:x"),
            ("other.lua:12: x", None, "other.lua:12: x"),
            ("", None, ""),
        ];
        for (text, line, message) in cases {
            let error = ScriptError::raised("auth.lua", text.as_bytes());
            assert_eq!((error.line, error.message.as_str()), (line, message), "{text}");
            assert_eq!(error.kind, ErrorKind::Raised);
        }
    }

    #[test]
    fn messages_are_one_bounded_printable_line() {
        let long = vec![b'x'; 5000];
        assert_eq!(ScriptError::raised("s", &long).message.chars().count(), MESSAGE_BYTES_MAX + 1);
        assert_eq!(ScriptError::raised("s", b"a\r\nb\x1b[31m\0").message, "a\\r\\nb\\u{1b}[31m\\u{0}");
        assert_eq!(ScriptError::raised("s", b"\xff\xfe").message, "\u{fffd}\u{fffd}");
        assert!(ScriptError::raised("s", &[0; 5000]).message.len() < MESSAGE_BYTES_MAX + 16);
    }

    #[test]
    fn a_refused_allocation_is_a_memory_error_wherever_it_surfaced() {
        assert_eq!(ScriptError::raised("s", b"not enough memory").kind, ErrorKind::MemoryBudget);
        assert_eq!(ScriptError::raised("s", b"s:3: not enough memory").kind, ErrorKind::MemoryBudget);
    }

    #[test]
    fn errors_read_like_a_compiler_s() {
        let error = ScriptError::raised("auth.lua", b"auth.lua:7: no token");
        assert_eq!(error.to_string(), "auth.lua:7: no token");
        assert_eq!(error.at(Some(9)).line, Some(7));
        assert_eq!(ScriptError::new(ErrorKind::BadResult, "t.lua", "x").at(Some(2)).to_string(), "t.lua:2: x");
    }
}
