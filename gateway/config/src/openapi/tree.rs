//! Small readers and makers of [`Node`]s, shared by every part of the import.

use crate::issue::Span;
use crate::source::{Key, Node, Value};

/// A value of a mapping. A `null` counts as absent: YAML writes it for a key with nothing behind it.
pub(super) fn get<'n>(node: &'n Node, name: &str) -> Option<&'n Node> {
    entry(node, name).map(|(_, value)| value)
}

/// A key of a mapping and its value, unless that is `null`.
pub(super) fn entry<'n>(node: &'n Node, name: &str) -> Option<(&'n Key, &'n Node)> {
    let (key, value) = node.entry(name)?;
    (value.value != Value::Null).then_some((key, value))
}

/// A scalar as the text it was meant to be: `version: 1.0` is `"1.0"`.
pub(super) fn scalar_text(node: &Node) -> Option<String> {
    match &node.value {
        Value::String(text) => Some(text.to_string()),
        Value::Integer(number) => Some(number.to_string()),
        Value::Float(number) => Some(format!("{number:?}")),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::Sequence(_) | Value::Mapping(_) => None,
    }
}

/// What a value is, for messages.
pub(super) fn kind(node: &Node) -> &'static str {
    match node.value {
        Value::Null => "nothing",
        Value::Bool(_) => "a boolean",
        Value::Integer(_) | Value::Float(_) => "a number",
        Value::String(_) => "a text",
        Value::Sequence(_) => "a list",
        Value::Mapping(_) => "a mapping",
    }
}

/// A boolean node.
pub(super) fn flag(span: Span, flag: bool) -> Node {
    Node { span, value: Value::Bool(flag) }
}

/// A sequence node.
pub(super) fn sequence(span: Span, items: Vec<Node>) -> Node {
    Node { span, value: Value::Sequence(items) }
}

/// A mapping node.
pub(super) fn mapping(map: Map, span: Span) -> Node {
    Node { span, value: Value::Mapping(map.entries) }
}

/// A mapping being made.
#[derive(Default)]
pub(super) struct Map {
    entries: Vec<(Key, Node)>,
}

impl Map {
    /// Adds a value under a name; the key stands where the value stands.
    pub(super) fn put(&mut self, name: &str, value: Node) {
        self.entries.push((Key::new(value.span, name), value));
    }

    /// Adds a value, if there is one, under a name.
    pub(super) fn put_some(&mut self, name: &str, value: Option<Node>) {
        if let Some(value) = value {
            self.put(name, value);
        }
    }

    /// Adds a value whose key stands somewhere of its own.
    pub(super) fn put_at(&mut self, key_span: Span, name: &str, value: Node) {
        self.entries.push((Key::new(key_span, name), value));
    }

    /// Adds an entry.
    pub(super) fn push(&mut self, entry: (Key, Node)) {
        self.entries.push(entry);
    }

    /// Replaces every value.
    pub(super) fn change_values(&mut self, change: impl Fn(Node) -> Node) {
        let entries = std::mem::take(&mut self.entries);
        self.entries = entries.into_iter().map(|(key, value)| (key, change(value))).collect();
    }

    /// Replaces what has the same names, and removes what is `null`.
    pub(super) fn change(&mut self, changes: &[(Key, Node)]) {
        for (key, value) in changes {
            self.entries.retain(|(known, _)| known.text != key.text);
            if value.value != Value::Null {
                self.entries.push((key.clone(), value.clone()));
            }
        }
    }

    /// Whether there is nothing in it.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The node, unless there is nothing in it.
    pub(super) fn into_some(self, span: Span) -> Option<Node> {
        (!self.is_empty()).then(|| mapping(self, span))
    }
}

impl From<Vec<(Key, Node)>> for Map {
    fn from(entries: Vec<(Key, Node)>) -> Self {
        Self { entries }
    }
}

/// About how many bytes a node takes as text: what the import's budget counts.
pub(super) fn weigh(node: &Node) -> usize {
    const NODE_BYTES: usize = 16;
    NODE_BYTES
        + match &node.value {
            Value::Null | Value::Bool(_) | Value::Integer(_) | Value::Float(_) => 0,
            Value::String(text) => text.len(),
            Value::Sequence(items) => items.iter().map(weigh).sum(),
            Value::Mapping(entries) => entries.iter().map(|(key, value)| key.text.len() + weigh(value)).sum(),
        }
}

/// Whether no value lies deeper than `depth_max`. Walks with a stack of its own, so any tree can be asked.
pub(super) fn is_within_depth(node: &Node, depth_max: usize) -> bool {
    let mut stack = vec![(node, 1)];
    while let Some((node, depth)) = stack.pop() {
        if depth > depth_max {
            return false;
        }
        match &node.value {
            Value::Sequence(items) => stack.extend(items.iter().map(|item| (item, depth + 1))),
            Value::Mapping(entries) => stack.extend(entries.iter().map(|(_, value)| (value, depth + 1))),
            _ => {}
        }
    }
    true
}

/// A name for URLs and logs out of free text: `getOrder` and `Get Order` become `get-order`. Empty when nothing is left.
pub(super) fn slug(text: &str) -> String {
    const SLUG_BYTES_MAX: usize = 63;
    let chars: Vec<char> = text.chars().take(4 * SLUG_BYTES_MAX).collect();
    let mut slug = String::new();
    for (i, &c) in chars.iter().enumerate() {
        let previous = i.checked_sub(1).map(|i| chars[i]);
        let is_word_start = c.is_ascii_uppercase()
            && previous.is_some_and(|previous| {
                let ends_acronym =
                    previous.is_ascii_uppercase() && chars.get(i + 1).is_some_and(char::is_ascii_lowercase);
                previous.is_ascii_lowercase() || previous.is_ascii_digit() || ends_acronym
            });
        if (is_word_start || !c.is_ascii_alphanumeric()) && !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
        if c.is_ascii_alphanumeric() {
            slug.push(c.to_ascii_lowercase());
        }
    }
    slug.truncate(SLUG_BYTES_MAX);
    slug.truncate(slug.trim_end_matches('-').len());
    slug
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_are_lower_case_words() {
        let cases = [
            ("getOrder", "get-order"),
            ("GET HTTP", "get-http"),
            ("listAPIKeys", "list-api-keys"),
            ("orders.v2_list", "orders-v2-list"),
            ("post /orders/{id}", "post-orders-id"),
            ("--", ""),
            ("É", ""),
        ];
        for (text, want) in cases {
            assert_eq!(slug(text), want, "{text}");
        }
        assert_eq!(slug(&"a".repeat(200)).len(), 63);
    }

    #[test]
    fn deep_trees_are_measured_without_recursion() {
        let mut node = Node::string(Span::default(), "leaf");
        for _ in 0..50 {
            node = sequence(Span::default(), vec![node]);
        }
        assert!(is_within_depth(&node, 51));
        assert!(!is_within_depth(&node, 50));
    }
}
