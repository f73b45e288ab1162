//! What a mock's request template said: `{"statusCode": 200}`, in JSON that need not be strict.
//!
//! AWS reads it with a tolerant parser: names without quotes or in single ones, commas before a closing brace. Tools write such
//! templates (`{statusCode: 200}`), so they are read here too (source: recorded behaviour).

/// Deepest nesting that is read.
const DEPTH_MAX: usize = 64;

/// The whole number behind `statusCode` in an object; `None` where there is none, or the text is no object.
pub(super) fn status(rendered: &[u8]) -> Option<i64> {
    if let Ok(value) = serde_json::from_slice::<serde_json::Value>(rendered) {
        return value.get("statusCode")?.as_i64();
    }
    let mut reader = Reader { rest: std::str::from_utf8(rendered).ok()? };
    let status = reader.object(0)?;
    reader.skip_space();
    if reader.rest.is_empty() { status } else { None }
}

struct Reader<'text> {
    rest: &'text str,
}

impl<'text> Reader<'text> {
    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start();
    }

    /// Takes a character, and the space before it.
    fn take(&mut self, wanted: char) -> bool {
        self.skip_space();
        match self.rest.strip_prefix(wanted) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// An object; the number of its member `statusCode`, if there is one.
    fn object(&mut self, depth: usize) -> Option<Option<i64>> {
        if depth > DEPTH_MAX || !self.take('{') {
            return None;
        }
        let mut status = None;
        while !self.take('}') {
            let name = self.name()?;
            if !self.take(':') {
                return None;
            }
            let number = self.value(depth)?;
            if name == "statusCode" {
                status = number;
            }
            if !self.take(',') {
                return self.take('}').then_some(status);
            }
        }
        Some(status)
    }

    fn name(&mut self) -> Option<&'text str> {
        self.skip_space();
        match self.rest.chars().next()? {
            quote @ ('"' | '\'') => self.quoted(quote),
            _ => self.word(),
        }
    }

    /// A value; its number when it is a whole one.
    fn value(&mut self, depth: usize) -> Option<Option<i64>> {
        self.skip_space();
        match self.rest.chars().next()? {
            '{' => self.object(depth + 1).map(|_| None),
            '[' => self.array(depth + 1).map(|()| None),
            quote @ ('"' | '\'') => self.quoted(quote).map(|_| None),
            _ => self.word().map(|word| word.parse().ok()),
        }
    }

    fn array(&mut self, depth: usize) -> Option<()> {
        if depth > DEPTH_MAX || !self.take('[') {
            return None;
        }
        while !self.take(']') {
            self.value(depth)?;
            if !self.take(',') {
                return self.take(']').then_some(());
            }
        }
        Some(())
    }

    fn quoted(&mut self, quote: char) -> Option<&'text str> {
        let inner = self.rest.strip_prefix(quote)?;
        let mut is_escaped = false;
        for (at, character) in inner.char_indices() {
            match character {
                _ if is_escaped => is_escaped = false,
                '\\' => is_escaped = true,
                _ if character == quote => {
                    self.rest = &inner[at + quote.len_utf8()..];
                    return Some(&inner[..at]);
                }
                _ => {}
            }
        }
        None
    }

    /// Letters, digits and what stands in numbers and names.
    fn word(&mut self) -> Option<&'text str> {
        let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '+' | '.' | '$');
        let length = self.rest.find(|c| !is_part(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(length);
        self.rest = rest;
        (!word.is_empty()).then_some(word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mock_takes_its_number_from_json_that_need_not_be_strict() {
        let cases = [
            (r#"{"statusCode": 200}"#, Some(200)),
            (r#"{"statusCode": 0}"#, Some(0)),
            (r#"{"statusCode": -1000}"#, Some(-1000)),
            ("{statusCode: 418}", Some(418)),
            ("{'statusCode': 201, }", Some(201)),
            ("{\n  statusCode : 202 ,\n  \"x\": [1, {a: 'b,}'},],\n}", Some(202)),
            (r#"{"a": {"statusCode": 500}, statusCode: 203}"#, Some(203)),
            (r#"{"statusCode": "200"}"#, None),
            (r#"{"statusCode": 200.5}"#, None),
            (r#"{"statusCode": 200"#, None),
            (r#"{"statusCode": 200}}"#, None),
            ("statusCode: 200", None),
            ("{statusCode 200}", None),
            ("{}", None),
            ("[]", None),
            ("", None),
        ];
        for (rendered, want) in cases {
            assert_eq!(status(rendered.as_bytes()), want, "{rendered}");
        }
        assert_eq!(status(format!("{{a: {}", "{a: ".repeat(100_000)).as_bytes()), None);
    }
}
