//! XML (1.0, fifth edition) to JSON and back, as far as data goes.
//!
//! Two hundred lines of our own rather than a library: what is left of XML without document types is small, and without them
//! nothing expands, so that reading takes time and memory in proportion to the text. Names keep their prefixes; comments and
//! processing instructions are passed over.

use std::borrow::Cow;

use serde_json::{Map, Value};

/// Longest document, in bytes.
const TEXT_BYTES_MAX: usize = 2 * 1024 * 1024;

/// How deep elements may nest: two less than JSON values may, for the lists between them.
const DEPTH_MAX: usize = 62;

/// Most attributes of one element.
const ATTRIBUTES_MAX: usize = 256;

/// Why a text is no document that is read, or a value none that is written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Error {
    #[error("byte {at}: {what}")]
    Text { at: usize, what: &'static str },
    #[error("the document is longer than {TEXT_BYTES_MAX} bytes")]
    TooLong,
    #[error("{0}")]
    Value(String),
}

/// Appends a document as JSON.
pub(crate) fn to_json(text: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(Error::TooLong);
    }
    let text = std::str::from_utf8(text).map_err(|error| Error::Text { at: error.valid_up_to(), what: "no UTF-8" })?;
    let mut reader = Reader { text: text.strip_prefix('\u{feff}').unwrap_or(text), at: 0 };
    reader.misc()?;
    let (name, value) = reader.element(0)?;
    reader.misc()?;
    if reader.at < reader.text.len() {
        return Err(reader.fault("there is something behind the root element"));
    }
    let document = Value::Object(Map::from_iter([(name.to_owned(), value)]));
    out.extend_from_slice(document.to_string().as_bytes());
    Ok(())
}

struct Reader<'text> {
    text: &'text str,
    at: usize,
}

impl<'text> Reader<'text> {
    fn fault(&self, what: &'static str) -> Error {
        Error::Text { at: self.at, what }
    }

    fn rest(&self) -> &'text str {
        &self.text[self.at..]
    }

    fn take(&mut self, token: &str) -> bool {
        let is_next = self.rest().starts_with(token);
        if is_next {
            self.at += token.len();
        }
        is_next
    }

    fn space(&mut self) -> bool {
        let rest = self.rest();
        let length = rest.len() - rest.trim_start_matches([' ', '\t', '\r', '\n']).len();
        self.at += length;
        length > 0
    }

    /// Passes over everything up to and with `end`.
    fn skip_past(&mut self, end: &str, what: &'static str) -> Result<&'text str, Error> {
        let rest = self.rest();
        let length = rest.find(end).ok_or_else(|| self.fault(what))?;
        self.at += length + end.len();
        Ok(&rest[..length])
    }

    /// What may stand before and behind the root element.
    fn misc(&mut self) -> Result<(), Error> {
        loop {
            self.space();
            if self.take("<!--") {
                self.skip_past("-->", "a comment without an end")?;
            } else if self.take("<?") {
                self.skip_past("?>", "an instruction without an end")?;
            } else if self.rest().starts_with("<!DOCTYPE") {
                return Err(self.fault("document type declarations are refused"));
            } else {
                return Ok(());
            }
        }
    }

    fn name(&mut self) -> Result<&'text str, Error> {
        let rest = self.rest();
        let length = rest.find(|c: char| !is_name_character(c)).unwrap_or(rest.len());
        let name = &rest[..length];
        if !is_name(name) {
            return Err(self.fault("a name was expected"));
        }
        self.at += length;
        Ok(name)
    }

    fn element(&mut self, depth: usize) -> Result<(&'text str, Value), Error> {
        if depth > DEPTH_MAX {
            return Err(self.fault("elements nest too deep"));
        }
        if !self.take("<") {
            return Err(self.fault("an element was expected"));
        }
        let name = self.name()?;
        let mut members = Map::new();
        loop {
            let is_apart = self.space();
            if self.take("/>") {
                return Ok((name, finish(members, String::new())));
            }
            if self.take(">") {
                break;
            }
            if !is_apart {
                return Err(self.fault("attributes stand apart"));
            }
            self.attribute(&mut members)?;
        }
        let text = self.content(depth, &mut members)?;
        if self.name()? != name {
            return Err(self.fault("the element that ends is not the one that began last"));
        }
        self.space();
        if !self.take(">") {
            return Err(self.fault("`>` was expected"));
        }
        Ok((name, finish(members, text)))
    }

    fn attribute(&mut self, members: &mut Map<String, Value>) -> Result<(), Error> {
        let name = self.name()?;
        self.space();
        if !self.take("=") {
            return Err(self.fault("`=` was expected"));
        }
        self.space();
        let quote = if self.take("\"") {
            "\""
        } else if self.take("'") {
            "'"
        } else {
            return Err(self.fault("a quote was expected"));
        };
        let start = self.at;
        let raw = self.skip_past(quote, "an attribute without an end")?;
        if raw.contains('<') {
            return Err(Error::Text { at: start, what: "`<` cannot stand in an attribute" });
        }
        let value = resolve(raw, start)?;
        if members.len() >= ATTRIBUTES_MAX
            || members.insert(format!("@{name}"), Value::String(value.into_owned())).is_some()
        {
            return Err(Error::Text { at: start, what: "an attribute that is there twice, or too many" });
        }
        Ok(())
    }

    /// Reads up to and with the `</` that ends an element, and returns its own text.
    fn content(&mut self, depth: usize, members: &mut Map<String, Value>) -> Result<String, Error> {
        let mut text = String::new();
        loop {
            let start = self.at;
            let length = self.rest().find('<').ok_or_else(|| self.fault("an element without an end"))?;
            text.push_str(&resolve(&self.rest()[..length], start)?);
            self.at += length;
            if self.take("</") {
                return Ok(text.trim().to_owned());
            }
            if self.take("<!--") {
                self.skip_past("-->", "a comment without an end")?;
            } else if self.take("<![CDATA[") {
                text.push_str(self.skip_past("]]>", "a section without an end")?);
            } else if self.take("<?") {
                self.skip_past("?>", "an instruction without an end")?;
            } else {
                let (name, value) = self.element(depth + 1)?;
                add(members, name, value);
            }
        }
    }
}

/// Adds a child; a second one of a name makes a list. A list never is a child itself, so that one stands for several.
fn add(members: &mut Map<String, Value>, name: &str, value: Value) {
    match members.get_mut(name) {
        None => {
            members.insert(name.to_owned(), value);
        }
        Some(Value::Array(values)) => values.push(value),
        Some(first) => {
            let first_value = first.take();
            *first = Value::Array(vec![first_value, value]);
        }
    }
}

fn finish(mut members: Map<String, Value>, text: String) -> Value {
    if members.is_empty() {
        return Value::String(text);
    }
    if !text.is_empty() {
        members.insert("#text".to_owned(), Value::String(text));
    }
    Value::Object(members)
}

/// Text with its references resolved (sections 4.1 and 4.6).
fn resolve(raw: &str, at: usize) -> Result<Cow<'_, str>, Error> {
    if !raw.contains('&') {
        return Ok(Cow::Borrowed(raw));
    }
    let mut out = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(start) = rest.find('&') {
        out.push_str(&rest[..start]);
        let unknown = Error::Text { at: at + (raw.len() - rest.len()) + start, what: "a reference that is not known" };
        let end = rest[start..].find(';').ok_or_else(|| unknown.clone())?;
        let name = &rest[start + 1..start + end];
        let character = match name {
            "amp" => Some('&'),
            "lt" => Some('<'),
            "gt" => Some('>'),
            "quot" => Some('"'),
            "apos" => Some('\''),
            _ => number(name).and_then(char::from_u32).filter(|c| !c.is_control() || matches!(c, '\t' | '\r' | '\n')),
        };
        out.push(character.ok_or(unknown)?);
        rest = &rest[start + end + 1..];
    }
    out.push_str(rest);
    Ok(Cow::Owned(out))
}

fn number(name: &str) -> Option<u32> {
    let digits = name.strip_prefix('#')?;
    match digits.strip_prefix('x') {
        Some(hex) if hex.bytes().all(|byte| byte.is_ascii_hexdigit()) => u32::from_str_radix(hex, 16).ok(),
        None if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse().ok(),
        _ => None,
    }
}

fn is_name_character(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, ':' | '_' | '-' | '.')
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_alphabetic() || matches!(c, ':' | '_'))
}

/// Appends a JSON object with one member as a document.
pub(crate) fn from_json(json: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
    let value: Value = serde_json::from_slice(json).map_err(|error| Error::Value(error.to_string()))?;
    let roots = value.as_object().filter(|members| members.len() == 1);
    let Some((name, root)) = roots.and_then(|members| members.iter().next()) else {
        return Err(Error::Value("a document has one root element".to_owned()));
    };
    if root.is_array() {
        return Err(Error::Value("a document has one root element".to_owned()));
    }
    write(name, root, out)
}

fn write(name: &str, value: &Value, out: &mut Vec<u8>) -> Result<(), Error> {
    if !is_name(name) || !name.chars().all(is_name_character) {
        return Err(Error::Value(format!(
            "`{}` cannot be an element's name",
            crate::error::printable(name.as_bytes(), 64)
        )));
    }
    if let Value::Array(values) = value {
        return values.iter().try_for_each(|value| write(name, value, out));
    }
    out.push(b'<');
    out.extend_from_slice(name.as_bytes());
    let empty = Map::new();
    let members = value.as_object().unwrap_or(&empty);
    let mut sorted: Vec<(&String, &Value)> = members.iter().collect();
    sorted.sort_by_key(|(name, _)| name.as_str());
    for (name, value) in sorted.iter().filter_map(|(name, value)| Some((name.strip_prefix('@')?, value))) {
        if !is_name(name) || !name.chars().all(is_name_character) {
            return Err(Error::Value("an attribute has a name that XML does not know".to_owned()));
        }
        out.extend_from_slice(format!(" {name}=\"").as_bytes());
        escape(&plain(value)?, out)?;
        out.push(b'"');
    }
    let text = match (value, members.get("#text")) {
        (_, Some(text)) => plain(text)?,
        (Value::Object(_), None) => String::new(),
        (scalar, None) => plain(scalar)?,
    };
    let mut children = sorted.into_iter().filter(|(name, _)| !name.starts_with(['@', '#'])).peekable();
    if text.is_empty() && children.peek().is_none() {
        out.extend_from_slice(b"/>");
        return Ok(());
    }
    out.push(b'>');
    escape(&text, out)?;
    for (name, value) in children {
        write(name, value, out)?;
    }
    out.extend_from_slice(format!("</{name}>").as_bytes());
    Ok(())
}

fn plain(value: &Value) -> Result<String, Error> {
    match value {
        Value::Null => Ok(String::new()),
        Value::String(text) => Ok(text.clone()),
        Value::Bool(_) | Value::Number(_) => Ok(value.to_string()),
        _ => Err(Error::Value("text and attributes are strings, numbers and booleans".to_owned())),
    }
}

fn escape(text: &str, out: &mut Vec<u8>) -> Result<(), Error> {
    for c in text.chars() {
        match c {
            '&' => out.extend_from_slice(b"&amp;"),
            '<' => out.extend_from_slice(b"&lt;"),
            '>' => out.extend_from_slice(b"&gt;"),
            '"' => out.extend_from_slice(b"&quot;"),
            '\t' | '\r' | '\n' => out.extend_from_slice(format!("&#{};", u32::from(c)).as_bytes()),
            c if c.is_control() => return Err(Error::Value("a text holds a control character".to_owned())),
            c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<String, Error> {
        let mut out = Vec::new();
        to_json(text.as_bytes(), &mut out).map(|()| String::from_utf8(out).expect("JSON"))
    }

    #[test]
    fn documents_become_values() {
        let cases = [
            ("<a/>", r#"{"a":""}"#),
            ("<?xml version=\"1.0\"?>\n<!-- c --><a> x &amp; &#x41; </a>\n", r#"{"a":"x & A"}"#),
            ("<a b='1' c=\"&lt;\">t</a>", r##"{"a":{"@b":"1","@c":"<","#text":"t"}}"##),
            ("<a><b>1</b><c/><b>2</b></a>", r#"{"a":{"b":["1","2"],"c":""}}"#),
            ("<n:a xmlns:n='u'><![CDATA[<&>]]></n:a>", r##"{"n:a":{"@xmlns:n":"u","#text":"<&>"}}"##),
        ];
        for (text, want) in cases {
            assert_eq!(read(text).as_deref(), Ok(want), "{text}");
        }
    }

    #[test]
    fn what_is_no_document_says_where() {
        let deep = "<a>".repeat(100);
        let cases = [
            ("", 0, "an element was expected"),
            ("<a>", 3, "an element without an end"),
            ("<a></b>", 6, "the element that ends"),
            ("<a/><b/>", 4, "something behind"),
            ("<a b=1/>", 5, "a quote"),
            ("<a b='1'c='2'/>", 8, "attributes stand apart"),
            ("<a b='1' b='2'/>", 12, "twice"),
            ("<a>&bomb;</a>", 3, "not known"),
            ("<a>&#0;</a>", 3, "not known"),
            ("<!DOCTYPE a [<!ENTITY b 'c'>]><a/>", 0, "document type"),
            ("<1/>", 1, "a name"),
            (&deep, 189, "too deep"),
        ];
        for (text, want_at, want) in cases {
            match read(text) {
                Err(Error::Text { at, what }) => assert!(at == want_at && what.contains(want), "{text}: {at} {what}"),
                other => panic!("{text}: {other:?}"),
            }
        }
    }

    #[test]
    fn values_become_documents_that_read_back() {
        for text in ["<a b=\"&lt;&quot;\">x &amp; y</a>", "<a><b>1</b><b>2</b><c d=\"e\"/></a>"] {
            let json = read(text).expect("a document");
            let mut out = Vec::new();
            from_json(json.as_bytes(), &mut out).expect("a value");
            assert_eq!(String::from_utf8_lossy(&out), text);
        }
        for json in [
            "{}",
            "[]",
            "1",
            r#"{"a":1,"b":2}"#,
            r#"{"a b":1}"#,
            r#"{"a":[1,2]}"#,
            r#"{"a":{"@b":{}}}"#,
            r#"{"a":"\u0001"}"#,
        ] {
            assert!(from_json(json.as_bytes(), &mut Vec::new()).is_err(), "{json}");
        }
    }
}
