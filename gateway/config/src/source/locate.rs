//! From JSON pointers to places in a text.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::issue::Span;
use crate::source::{Node, Value};

/// Mappings with more keys than this get an index when a pointer goes through them.
const LINEAR_KEYS_MAX: usize = 16;

/// Finds the places of many pointers in one document without walking its large mappings once per pointer.
pub struct Locator<'a> {
    root: &'a Node,
    /// Per large mapping (by address, which the borrow keeps stable): key to position.
    indexes: HashMap<*const Node, HashMap<&'a str, usize>>,
}

impl<'a> Locator<'a> {
    /// A locator for the document below `root`.
    pub fn new(root: &'a Node) -> Self {
        Self { root, indexes: HashMap::new() }
    }

    /// Where the value that `pointer` leads to stands, or, when there is no such value, the nearest parent there is.
    ///
    /// A mapping or sequence that stands under a key is shown by that key: its own span may be a hundred lines.
    pub fn span(&mut self, pointer: &str) -> Span {
        let mut node = self.root;
        let mut place = shown(node, None);
        for segment in pointer.split('/').skip(1) {
            let next = match &node.value {
                Value::Mapping(entries) => self.position(node, &unescape(segment)).map(|at| {
                    let (key, child) = &entries[at];
                    (child, shown(child, Some(key.span)))
                }),
                Value::Sequence(items) => {
                    index(segment).and_then(|at| items.get(at)).map(|child| (child, shown(child, None)))
                }
                _ => None,
            };
            let Some((child, child_place)) = next else { break };
            (node, place) = (child, child_place);
        }
        place
    }

    fn position(&mut self, node: &'a Node, name: &str) -> Option<usize> {
        let entries = node.entries();
        if entries.len() <= LINEAR_KEYS_MAX {
            return entries.iter().position(|(key, _)| &*key.text == name);
        }
        let build = || entries.iter().enumerate().map(|(at, (key, _))| (&*key.text, at)).collect();
        self.indexes.entry(std::ptr::from_ref(node)).or_insert_with(build).get(name).copied()
    }
}

/// What to underline for a value: itself when it is a scalar, its key or first key when it is larger.
pub(crate) fn shown(node: &Node, key: Option<Span>) -> Span {
    match &node.value {
        Value::Sequence(_) | Value::Mapping(_) => {
            key.or_else(|| node.entries().first().map(|(key, _)| key.span)).unwrap_or(node.span)
        }
        // `name:` with nothing behind it has no text of its own.
        Value::Null if node.span.start == node.span.end => key.unwrap_or(node.span),
        _ => node.span,
    }
}

/// A pointer's segment as the key it stands for (RFC 6901 section 4).
pub(crate) fn unescape(segment: &str) -> Cow<'_, str> {
    if segment.contains('~') { segment.replace("~1", "/").replace("~0", "~").into() } else { segment.into() }
}

/// A pointer's segment as an index: digits without a leading zero (RFC 6901 section 4).
pub(crate) fn index(segment: &str) -> Option<usize> {
    let is_canonical = segment == "0" || !segment.starts_with(['0', '+']);
    segment.parse().ok().filter(|_| is_canonical)
}
