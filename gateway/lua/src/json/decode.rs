//! A whole JSON text as a series of events.
//!
//! The reader keeps its place in two integers, needs no stack and allocates nothing, so that an event may end in an error of
//! Lua that unwinds through it.

use super::scan::{self, Fault, Literal, RawText};
use super::{DEPTH_MAX, Stop};

/// How many values are read between two questions whether to stop.
const VALUES_PER_QUESTION: u32 = 256;

/// What values are told to.
pub(crate) trait Sink {
    fn null(&mut self);
    fn boolean(&mut self, value: bool);
    /// A number, as it is written.
    fn number(&mut self, digits: &[u8]);
    fn text(&mut self, text: RawText<'_>) -> Result<(), Fault>;
    fn begin_list(&mut self);
    /// The value told last belongs to the list.
    fn item(&mut self);
    fn end_list(&mut self);
    fn begin_map(&mut self);
    /// The name of the member that is told next.
    fn key(&mut self, key: RawText<'_>) -> Result<(), Fault>;
    /// The value told last belongs to the key told before it.
    fn member(&mut self);
    fn end_map(&mut self);
}

/// Reads a text that holds one value and nothing else.
///
/// `text` is checked to be UTF-8 as RFC 8259 section 8.1 demands; numbers that no double can hold are refused. Of several
/// members with one name all are told, so that the last one counts.
pub(crate) fn read(text: &[u8], sink: &mut impl Sink, stop: &impl Stop) -> Result<(), Fault> {
    if let Err(error) = std::str::from_utf8(text) {
        return Err(Fault::new(error.valid_up_to(), "no UTF-8"));
    }
    let mut reader = Reader { text, at: 0, depth: 0, maps: 0 };
    reader.space();
    let mut values = 0;
    loop {
        values += 1;
        if values % VALUES_PER_QUESTION == 0 && stop.is_due() {
            return Err(Fault::new(reader.at, "the run was stopped"));
        }
        if reader.value(sink)? {
            continue;
        }
        if !reader.after_value(sink)? {
            return Ok(());
        }
    }
}

struct Reader<'text> {
    text: &'text [u8],
    at: usize,
    depth: usize,
    /// One bit per level, the lowest for the innermost: whether it is an object.
    maps: u64,
}

const _: () = assert!(DEPTH_MAX <= 64, "a level is a bit");

impl Reader<'_> {
    fn space(&mut self) {
        self.at = scan::space(self.text, self.at);
    }

    fn take(&mut self, byte: u8) -> bool {
        let is_next = self.text.get(self.at) == Some(&byte);
        if is_next {
            self.at += 1;
            self.space();
        }
        is_next
    }

    /// Reads a value, or the beginning of one: then the answer is true and its first child comes next.
    fn value(&mut self, sink: &mut impl Sink) -> Result<bool, Fault> {
        match self.text.get(self.at) {
            Some(b'"') => {
                let (text, end) = scan::string(self.text, self.at + 1)?;
                sink.text(text)?;
                self.at = end;
            }
            Some(b'{') => {
                self.enter(true)?;
                sink.begin_map();
                if !self.take(b'}') {
                    self.key(sink)?;
                    return Ok(true);
                }
                self.leave();
                sink.end_map();
                return Ok(false);
            }
            Some(b'[') => {
                self.enter(false)?;
                sink.begin_list();
                if !self.take(b']') {
                    return Ok(true);
                }
                self.leave();
                sink.end_list();
                return Ok(false);
            }
            Some(b'-' | b'0'..=b'9') => {
                let end = scan::number(self.text, self.at)?;
                let digits = &self.text[self.at..end];
                if digits.len() > 300 || digits.iter().any(|byte| matches!(byte, b'e' | b'E')) {
                    scan::number_value(digits).ok_or(Fault::new(self.at, "a number that is too large"))?;
                }
                sink.number(digits);
                self.at = end;
            }
            _ => {
                let (literal, end) = scan::literal(self.text, self.at)?;
                match literal {
                    Literal::Null => sink.null(),
                    Literal::True => sink.boolean(true),
                    Literal::False => sink.boolean(false),
                }
                self.at = end;
            }
        }
        self.space();
        Ok(false)
    }

    /// Goes on behind a value. The answer is false at the end of the text.
    fn after_value(&mut self, sink: &mut impl Sink) -> Result<bool, Fault> {
        while self.depth > 0 {
            let is_map = self.maps & 1 == 1;
            if is_map {
                sink.member();
            } else {
                sink.item();
            }
            if self.take(b',') {
                if is_map {
                    self.key(sink)?;
                }
                return Ok(true);
            }
            if is_map {
                if !self.take(b'}') {
                    return Err(Fault::new(self.at, "expected `,` or `}`"));
                }
                self.leave();
                sink.end_map();
            } else {
                if !self.take(b']') {
                    return Err(Fault::new(self.at, "expected `,` or `]`"));
                }
                self.leave();
                sink.end_list();
            }
        }
        if self.at < self.text.len() {
            return Err(Fault::new(self.at, "text behind the value"));
        }
        Ok(false)
    }

    fn key(&mut self, sink: &mut impl Sink) -> Result<(), Fault> {
        if self.text.get(self.at) != Some(&b'"') {
            return Err(Fault::new(self.at, "expected a name in quotes"));
        }
        let (key, end) = scan::string(self.text, self.at + 1)?;
        sink.key(key)?;
        self.at = end;
        self.space();
        if !self.take(b':') {
            return Err(Fault::new(self.at, "expected `:`"));
        }
        Ok(())
    }

    fn enter(&mut self, is_map: bool) -> Result<(), Fault> {
        if self.depth == DEPTH_MAX {
            return Err(Fault::new(self.at, "values nested more than 64 deep"));
        }
        self.depth += 1;
        self.maps = self.maps << 1 | u64::from(is_map);
        self.at += 1;
        self.space();
        Ok(())
    }

    fn leave(&mut self) {
        self.depth -= 1;
        self.maps >>= 1;
    }
}

/// Appends a text's value to `out` without white space between tokens, otherwise as it is written.
pub(crate) fn compact(text: &[u8], out: &mut Vec<u8>, stop: &impl Stop) -> Result<(), Fault> {
    read(text, &mut Compactor { out, scratch: Vec::new() }, stop)
}

/// Writes what it is told. Every value and every closed container is followed by a comma, which the next closing takes away.
struct Compactor<'out> {
    out: &'out mut Vec<u8>,
    scratch: Vec<u8>,
}

impl Compactor<'_> {
    fn quoted(&mut self, text: RawText<'_>) -> Result<(), Fault> {
        if text.is_escaped {
            self.scratch.clear();
            text.unescape(&mut self.scratch)?;
        }
        self.out.push(b'"');
        self.out.extend_from_slice(text.bytes);
        self.out.push(b'"');
        Ok(())
    }

    fn close(&mut self, bracket: u8) {
        self.out.pop_if(|last| *last == b',');
        self.out.push(bracket);
    }
}

impl Sink for Compactor<'_> {
    fn null(&mut self) {
        self.out.extend_from_slice(b"null");
    }

    fn boolean(&mut self, value: bool) {
        self.out.extend_from_slice(if value { b"true" } else { b"false" });
    }

    fn number(&mut self, digits: &[u8]) {
        self.out.extend_from_slice(digits);
    }

    fn text(&mut self, text: RawText<'_>) -> Result<(), Fault> {
        self.quoted(text)
    }

    fn begin_list(&mut self) {
        self.out.push(b'[');
    }

    fn item(&mut self) {
        self.out.push(b',');
    }

    fn end_list(&mut self) {
        self.close(b']');
    }

    fn begin_map(&mut self) {
        self.out.push(b'{');
    }

    fn key(&mut self, key: RawText<'_>) -> Result<(), Fault> {
        self.quoted(key)?;
        self.out.push(b':');
        Ok(())
    }

    fn member(&mut self) {
        self.out.push(b',');
    }

    fn end_map(&mut self) {
        self.close(b'}');
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use proptest::prelude::{Strategy, any, prop_oneof};
    use serde_json::Value;

    use super::*;

    struct Never;

    impl Stop for Never {
        fn is_due(&self) -> bool {
            false
        }
    }

    fn compacted(text: &[u8]) -> Result<Vec<u8>, Fault> {
        let mut out = Vec::new();
        compact(text, &mut out, &Never).map(|()| out)
    }

    #[test]
    fn white_space_between_tokens_goes_and_nothing_else() {
        let cases = [
            (" { \"a\" : [ 1 , 2.50 ,\ttrue ] ,\r\n \"b c\" : { } } ", r#"{"a":[1,2.50,true],"b c":{}}"#),
            ("[]", "[]"),
            ("[ ]", "[]"),
            ("{}", "{}"),
            ("[[],{},[{}]]", "[[],{},[{}]]"),
            (r#""a \u0041\n""#, r#""a \u0041\n""#),
            (r#"[",",",]"]"#, r#"[",",",]"]"#),
            ("null", "null"),
            (" -1e5 ", "-1e5"),
            (r#"{"a":1,"a":2}"#, r#"{"a":1,"a":2}"#),
        ];
        for (text, want) in cases {
            assert_eq!(compacted(text.as_bytes()).as_deref(), Ok(want.as_bytes()), "{text}");
        }
    }

    #[test]
    fn texts_that_are_no_json_are_refused_with_the_place() {
        let cases: [(&[u8], usize, &str); 20] = [
            (b"", 0, "the text ends where a value is expected"),
            (b"  ", 2, "the text ends where a value is expected"),
            (b"{", 1, "expected a name in quotes"),
            (b"[1,]", 3, "expected a value"),
            (b"{\"a\":1,}", 7, "expected a name in quotes"),
            (b"{\"a\"}", 4, "expected `:`"),
            (b"{\"a\":}", 5, "expected a value"),
            (b"{\"a\":1 \"b\":2}", 7, "expected `,` or `}`"),
            (b"[1 2]", 3, "expected `,` or `]`"),
            (b"[1}", 2, "expected `,` or `]`"),
            (b"{\"a\":1]", 6, "expected `,` or `}`"),
            (b"{a:1}", 1, "expected a name in quotes"),
            (b"1 2", 2, "text behind the value"),
            (b"tru", 0, "expected a value"),
            (b"truex", 4, "text behind the value"),
            (b"'a'", 0, "expected a value"),
            (b"\"a\xff\"", 2, "no UTF-8"),
            (b"[1e400]", 1, "a number that is too large"),
            (b"\"\\q\"", 2, "unknown escape in a string"),
            (b"\xef\xbb\xbf1", 0, "expected a value"),
        ];
        for (text, at, what) in cases {
            assert_eq!(compacted(text), Err(Fault { at, what }), "{}", String::from_utf8_lossy(text));
        }
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(compacted(nested(DEPTH_MAX).as_bytes()).is_ok());
        assert_eq!(compacted(nested(DEPTH_MAX + 1).as_bytes()).expect_err("too deep").at, DEPTH_MAX);
        assert!(compacted("[".repeat(1_000_000).as_bytes()).is_err());
    }

    #[test]
    fn reading_stops_when_it_is_told_to() {
        struct After(Cell<u32>);
        impl Stop for After {
            fn is_due(&self) -> bool {
                self.0.set(self.0.get() + 1);
                self.0.get() == 3
            }
        }
        let text = format!("[{}0]", "0,".repeat(10_000));
        let mut out = Vec::new();
        let fault = compact(text.as_bytes(), &mut out, &After(Cell::new(0))).expect_err("stopped");
        assert_eq!(fault.what, "the run was stopped");
        assert!(out.len() < 2000);
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            proptest::strategy::Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<String>().prop_map(Value::String),
        ];
        leaf.prop_recursive(5, 60, 6, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
                proptest::collection::vec((any::<String>(), inner), 0..6)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest::proptest! {
        #[test]
        fn agrees_with_serde_json_on_what_values_say(value in value()) {
            let pretty = serde_json::to_vec_pretty(&value).expect("serializes");
            let want = serde_json::to_vec(&value).expect("serializes");
            proptest::prop_assert_eq!(compacted(&pretty).expect("is JSON"), want);
        }

        #[test]
        fn agrees_with_serde_json_on_what_json_is(text in r#"[\[\]{}:,"0-9a-z\\ eE.+-]{0,12}"#) {
            let ours = compacted(text.as_bytes()).is_ok();
            let theirs = serde_json::from_str::<Value>(&text).is_ok();
            proptest::prop_assert_eq!(ours, theirs, "{}", text);
        }

        #[test]
        fn never_panics(text in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = compacted(&text);
            let _ = scan::skip(&text, 0);
        }
    }
}
