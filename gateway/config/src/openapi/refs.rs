//! `$ref`s inside the document: JSON pointers (RFC 6901) in URI fragments (OpenAPI 3.1 section 4.8.23).
//!
//! Only `#/...` is followed: reading other files is the bundler's work, and reading URLs would let a document choose what the
//! importing machine fetches.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;

use crate::issue::Span;
use crate::source::{Node, Value};

use super::tree;

/// Most references that may lead to one another.
const HOPS_MAX: usize = 32;

/// Mappings with more entries than this are searched by hash, so that 10,000 references into 10,000 schemas stay linear.
const LINEAR_ENTRIES_MAX: usize = 16;

/// Why a reference cannot be followed; each holds the reference.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum RefError {
    /// There is no such place.
    Missing(String),
    /// It leads out of the document.
    Remote(String),
    /// It leads to itself, or through more than [`HOPS_MAX`] others.
    Cycle(String),
}

/// The document's places, by pointer.
pub(super) struct Refs<'a> {
    root: &'a Node,
    /// By the address of a large mapping's node, which stays where it is while the document is borrowed.
    indexes: RefCell<HashMap<usize, HashMap<&'a str, &'a Node>>>,
}

impl<'a> Refs<'a> {
    /// The places of a document.
    pub(super) fn new(root: &'a Node) -> Self {
        Self { root, indexes: RefCell::new(HashMap::new()) }
    }

    /// Where the node's reference leads in the end; the node itself when it is none. Errors carry the reference's span.
    pub(super) fn follow(&self, node: &'a Node) -> Result<&'a Node, (Span, RefError)> {
        let mut node = node;
        for _ in 0..HOPS_MAX {
            let Some((reference, span)) = reference(node) else {
                return Ok(node);
            };
            node = self.find(reference).map_err(|error| (span, error))?;
        }
        match reference(node) {
            Some((reference, span)) => Err((span, RefError::Cycle(reference.to_owned()))),
            None => Ok(node),
        }
    }

    /// The place a reference names. A reference found there is not followed.
    pub(super) fn find(&self, reference: &str) -> Result<&'a Node, RefError> {
        let Some(fragment) = reference.strip_prefix('#') else {
            return Err(RefError::Remote(reference.to_owned()));
        };
        if fragment.is_empty() {
            return Ok(self.root);
        }
        let missing = || RefError::Missing(reference.to_owned());
        let pointer = fragment.strip_prefix('/').ok_or_else(missing)?;
        let mut node = self.root;
        for segment in pointer.split('/') {
            let segment = unescape(segment).ok_or_else(missing)?;
            node = self.child(node, &segment).ok_or_else(missing)?;
        }
        Ok(node)
    }

    fn child(&self, node: &'a Node, name: &str) -> Option<&'a Node> {
        match &node.value {
            Value::Mapping(entries) if entries.len() > LINEAR_ENTRIES_MAX => {
                let mut indexes = self.indexes.borrow_mut();
                let index = indexes
                    .entry(std::ptr::from_ref(node) as usize)
                    .or_insert_with(|| entries.iter().map(|(key, value)| (&*key.text, value)).collect());
                index.get(name).copied()
            }
            Value::Mapping(entries) => entries.iter().find(|(key, _)| &*key.text == name).map(|(_, value)| value),
            Value::Sequence(items) => items.get(name.parse::<usize>().ok()?),
            _ => None,
        }
    }
}

/// The reference that a node is, and where it is written.
pub(super) fn reference(node: &Node) -> Option<(&str, Span)> {
    let target = tree::get(node, "$ref")?;
    Some((target.as_str()?, target.span))
}

/// A pointer's segment as the key it names. `None` when its percent encoding is broken.
pub(super) fn unescape(segment: &str) -> Option<Cow<'_, str>> {
    let decoded = if segment.contains('%') { Cow::Owned(percent_decode(segment)?) } else { Cow::Borrowed(segment) };
    if !decoded.contains('~') {
        return Some(decoded);
    }
    Some(Cow::Owned(decoded.replace("~1", "/").replace("~0", "~")))
}

fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte == b'%' {
            let (digits, after) = rest.split_at_checked(2)?;
            let digits = std::str::from_utf8(digits).ok().filter(|digits| !digits.starts_with('+'))?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = after;
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::node;
    use super::*;

    #[test]
    fn pointers_lead_to_their_places() {
        let document = node(&json!({"a": {"b/c": [10, 20], "d~e": 1, "f g": 2}, "": 3}));
        let refs = Refs::new(&document);
        let cases = [
            ("#/a/b~1c/1", Value::Integer(20)),
            ("#/a/d~0e", Value::Integer(1)),
            ("#/a/f%20g", Value::Integer(2)),
            ("#/", Value::Integer(3)),
        ];
        for (pointer, want) in cases {
            assert_eq!(refs.find(pointer).map(|node| &node.value), Ok(&want), "{pointer}");
        }
        assert!(refs.find("#").is_ok_and(|found| std::ptr::eq(found, &document)));
    }

    #[test]
    fn broken_pointers_say_why() {
        let document = node(&json!({"a": {"b": 1}}));
        let refs = Refs::new(&document);
        for pointer in ["#/b", "#/a/b/c", "#a", "#/a/%2", "#/a/%zz", "#/a/%+1"] {
            assert_eq!(refs.find(pointer), Err(RefError::Missing(pointer.to_owned())), "{pointer}");
        }
        for pointer in ["other.yaml#/a", "https://example.com/a.json", "", "a"] {
            assert_eq!(refs.find(pointer), Err(RefError::Remote(pointer.to_owned())), "{pointer}");
        }
    }

    #[test]
    fn chains_are_followed_and_cycles_end() {
        let document = node(&json!({
            "start": {"$ref": "#/middle"}, "middle": {"$ref": "#/end"}, "end": {"value": 1},
            "loop": {"$ref": "#/pool"}, "pool": {"$ref": "#/loop"}, "self": {"$ref": "#/self"},
        }));
        let refs = Refs::new(&document);
        let start = refs.find("#/start").expect("there");
        assert!(refs.follow(start).is_ok_and(|end| tree::get(end, "value").is_some()));
        for name in ["#/loop", "#/self"] {
            let node = refs.find(name).expect("there");
            assert!(matches!(refs.follow(node), Err((_, RefError::Cycle(_)))), "{name}");
        }
    }
}
