//! A document as a tree that remembers where every value stands.
//!
//! YAML 1.2 and JSON are read into [`Node`]s under limits (size, depth, number of nodes after alias expansion), so that a
//! small hostile file cannot become a large tree. Everything later (OpenAPI import, typed decoding, semantic checks) works
//! on nodes, which is why each problem can name its line.
//!
//! [`parse`] chooses the reader: `json.rs` for `.json` files, `yaml.rs` for everything else. Both build the same tree.

mod json;
pub(crate) mod locate;
mod scalar;
mod write;
mod yaml;

#[cfg(test)]
mod tests;

use crate::issue::{Issue, Span, codes};

pub use locate::Locator;
pub use write::to_yaml;

/// Largest text that is read, in bytes: 64 MiB.
///
/// The largest published OpenAPI descriptions are about half of that; positions then fit `u32` with room to spare.
pub const TEXT_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Deepest nesting of sequences and mappings.
///
/// Whatever walks a tree (decoding, conversion, dropping it) recurses once per level; 128 levels fit the smallest thread
/// stack, and no configuration written by people comes near (`serde_json` has the same limit).
pub const DEPTH_MAX: usize = 128;

/// Most values of one document, alias expansion included.
///
/// A value costs 40 bytes and up: 8 million are about half a gigabyte, more than any document under [`TEXT_BYTES_MAX`]
/// that is not made of one-byte values needs.
pub const NODES_MAX: usize = 8_000_000;

/// How many times the size of its text a document may grow by anchors and aliases.
///
/// Aliases that share settings between routes stay below 2; the "billion laughs" document is at millions.
pub const ALIAS_GROWTH_MAX: usize = 10;

/// Growth by anchors and aliases that is always allowed, in bytes, so that small documents may repeat a block often.
pub const ALIAS_GROWTH_BYTES_MIN: usize = 1024 * 1024;

/// Most problems reported for one document; one more issue then says that there are more.
pub const ISSUES_MAX: usize = 200;

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Where the value stands in its text.
    pub span: Span,
    /// The value.
    pub value: Value,
}

/// A value of a document.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `null`, `~` or nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// Any other number; always finite when it comes from [`parse`].
    Float(f64),
    /// A text.
    String(Box<str>),
    /// A sequence.
    Sequence(Vec<Node>),
    /// A mapping, in the order written. Keys are unique.
    Mapping(Vec<(Key, Node)>),
}

/// A mapping's key and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Key {
    /// Where the key stands in its text.
    pub span: Span,
    /// The key. Keys that are not texts (`200:`) are read as the text they were written as.
    pub text: Box<str>,
}

/// Reads a document: JSON when `file` ends in `.json` and the text starts with `{` or `[`, YAML 1.2 otherwise.
///
/// Plain YAML scalars follow the core schema (YAML 1.2.2 section 10.3), so `no` and `1_000` are texts; merge keys
/// (`<<: *base`) are applied, the mapping's own keys win. JSON is RFC 8259 without extensions.
///
/// # Errors
///
/// Bad syntax and more than one document in a file (E001), a limit of this module or a number that has no finite value
/// (E002), and every key that stands twice in its mapping (E015).
pub fn parse(text: &str, file: &str) -> Result<Node, Vec<Issue>> {
    if text.len() > TEXT_BYTES_MAX {
        let message = format!("the file has {} bytes; at most {TEXT_BYTES_MAX} are read", text.len());
        return Err(vec![Issue::error(codes::LIMIT, file, "", message)]);
    }
    // A byte order mark carries no meaning in UTF-8 (RFC 8259 section 8.1 lets parsers ignore it).
    let body = text.strip_prefix('\u{feff}').unwrap_or(text).trim_start_matches([' ', '\t', '\r', '\n']);
    if file.ends_with(".json") && body.starts_with(['{', '[']) {
        json::read(text, file)
    } else {
        yaml::read(text, file)
    }
}

impl Node {
    /// A value that stands at `span`.
    pub fn new(span: Span, value: Value) -> Self {
        Self { span, value }
    }

    /// A text that stands at `span`.
    pub fn string(span: Span, text: impl Into<Box<str>>) -> Self {
        Self::new(span, Value::String(text.into()))
    }

    /// The value under a key, when this is a mapping that has it. Cost: the number of keys.
    pub fn get(&self, name: &str) -> Option<&Node> {
        self.entry(name).map(|(_, node)| node)
    }

    /// Where a key of this mapping stands.
    pub fn span_of_key(&self, name: &str) -> Option<Span> {
        self.entry(name).map(|(key, _)| key.span)
    }

    /// A key of this mapping and its value.
    pub fn entry(&self, name: &str) -> Option<&(Key, Node)> {
        self.entries().iter().find(|(key, _)| &*key.text == name)
    }

    /// The mapping's entries in the order written; empty when this is no mapping.
    pub fn entries(&self) -> &[(Key, Node)] {
        match &self.value {
            Value::Mapping(entries) => entries,
            _ => &[],
        }
    }

    /// The sequence's items; empty when this is no sequence.
    pub fn items(&self) -> &[Node] {
        match &self.value {
            Value::Sequence(items) => items,
            _ => &[],
        }
    }

    /// The text, when this is one.
    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// The truth value, when this is one.
    pub fn as_bool(&self) -> Option<bool> {
        match self.value {
            Value::Bool(value) => Some(value),
            _ => None,
        }
    }

    /// The whole number, when this is one.
    pub fn as_i64(&self) -> Option<i64> {
        match self.value {
            Value::Integer(value) => Some(value),
            _ => None,
        }
    }

    /// The value a JSON pointer (RFC 6901) leads to: `""` is this node, `/a/0/b~1c` the key `b/c` of the first item of `a`.
    pub fn pointer(&self, pointer: &str) -> Option<&Node> {
        if pointer.is_empty() {
            return Some(self);
        }
        pointer.strip_prefix('/')?.split('/').try_fold(self, |node, segment| match &node.value {
            Value::Mapping(_) => node.get(&locate::unescape(segment)),
            Value::Sequence(items) => items.get(locate::index(segment)?),
            _ => None,
        })
    }

    /// The value without positions.
    ///
    /// A number that is not finite (which [`parse`] never makes) becomes `null`.
    pub fn to_json(&self) -> serde_json::Value {
        match &self.value {
            Value::Null => serde_json::Value::Null,
            Value::Bool(value) => serde_json::Value::Bool(*value),
            Value::Integer(value) => serde_json::Value::from(*value),
            Value::Float(value) => serde_json::Value::from(*value),
            Value::String(text) => serde_json::Value::String(text.to_string()),
            Value::Sequence(items) => items.iter().map(Node::to_json).collect(),
            Value::Mapping(entries) => {
                entries.iter().map(|(key, node)| (key.text.to_string(), node.to_json())).collect()
            }
        }
    }
}

impl Key {
    /// A key that stands at `span`.
    pub fn new(span: Span, text: impl Into<Box<str>>) -> Self {
        Self { span, text: text.into() }
    }
}

/// A pointer one level deeper, the segment escaped as RFC 6901 section 3 asks.
pub fn pointer_to(parent: &str, segment: &str) -> String {
    format!("{parent}/{}", segment.replace('~', "~0").replace('/', "~1"))
}

/// The span from one byte to another of a text within [`TEXT_BYTES_MAX`].
fn span(start: usize, end: usize) -> Span {
    debug_assert!(start <= end && end <= TEXT_BYTES_MAX);
    Span { start: u32::try_from(start).unwrap_or(u32::MAX), end: u32::try_from(end).unwrap_or(u32::MAX) }
}

/// Reports every key that stands twice, at its second place. Cost: linear.
fn find_duplicates(entries: &[(Key, Node)], file: &str, text: &str, issues: &mut Vec<Issue>) {
    /// Up to here comparing each with each is quicker than hashing.
    const SMALL: usize = 12;
    let first_of: Vec<(usize, usize)> = if entries.len() <= SMALL {
        let same = |at: &usize| entries[..*at].iter().position(|(key, _)| key.text == entries[*at].0.text);
        (1..entries.len()).filter_map(|at| same(&at).map(|first| (at, first))).collect()
    } else {
        let mut places = std::collections::HashMap::with_capacity(entries.len());
        let keys = entries.iter().enumerate();
        keys.filter_map(|(at, (key, _))| {
            let first = *places.entry(&*key.text).or_insert(at);
            (first != at).then_some((at, first))
        })
        .collect()
    };
    for (at, first) in first_of {
        if issues.len() > ISSUES_MAX {
            return;
        }
        let (key, first) = (&entries[at].0, &entries[first].0);
        let line = 1 + text.as_bytes()[..first.span.start as usize].iter().filter(|byte| **byte == b'\n').count();
        let message = format!("the key {} stands twice in one mapping", crate::issue::quote(&key.text));
        issues.push(
            Issue::error(codes::DUPLICATE_KEY, file, "", message).at(key.span).label(format!("first on line {line}")),
        );
    }
}
