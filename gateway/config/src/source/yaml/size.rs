//! What it costs to repeat a value by an alias.

use crate::source::{Node, Value};

/// What a copy of a value costs.
#[derive(Clone, Copy, Default)]
pub(super) struct Size {
    pub(super) nodes: usize,
    /// Texts and keys, and one byte for each value.
    pub(super) bytes: usize,
    /// Levels of collections; 0 for a scalar.
    pub(super) height: usize,
}

/// Measures a value. Recursion is bounded by the depth of documents.
pub(super) fn size_of(node: &Node) -> Size {
    let children: Size = match &node.value {
        Value::String(text) => return Size { nodes: 1, bytes: 1 + text.len(), height: 0 },
        Value::Sequence(items) => items.iter().map(size_of).fold(Size::default(), Size::beside),
        Value::Mapping(entries) => entries
            .iter()
            .map(|(key, value)| {
                let size = size_of(value);
                Size { bytes: size.bytes + key.text.len(), ..size }
            })
            .fold(Size::default(), Size::beside),
        _ => return Size { nodes: 1, bytes: 1, height: 0 },
    };
    Size { nodes: children.nodes + 1, bytes: children.bytes + 1, height: children.height + 1 }
}

impl Size {
    fn beside(self, other: Self) -> Self {
        Self { nodes: self.nodes + other.nodes, bytes: self.bytes + other.bytes, height: self.height.max(other.height) }
    }
}
