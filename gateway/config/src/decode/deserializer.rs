//! A serde `Deserializer` over [`Node`] that records problems and passes by what is known to be wrong.

use std::cell::RefCell;

use serde::Deserializer;
use serde::de::{DeserializeSeed, IntoDeserializer, Visitor};

use crate::decode::Recorder;
use crate::decode::access::{Entries, Items, Variant};
use crate::decode::failure::{Failure, LIST, MAPPING, NOTHING, NUMBER, ONE_OF_TEXTS, TEXT, TRUTH, WHOLE, list};
use crate::source::{Key, Node, Value, pointer_to};

/// The way from the document's root to a value, as a list on the stack.
pub(super) struct Path<'p> {
    pub(super) parent: Option<&'p Path<'p>>,
    pub(super) segment: Segment<'p>,
}

/// One step of a way.
#[derive(Clone, Copy)]
pub(super) enum Segment<'p> {
    Root,
    Index(usize),
    Key(&'p str),
}

impl Path<'_> {
    pub(super) const ROOT: Path<'static> = Path { parent: None, segment: Segment::Root };

    /// The way as a JSON pointer. Recursion is bounded by the depth of documents.
    pub(super) fn pointer(&self) -> String {
        let parent = self.parent.map(Path::pointer).unwrap_or_default();
        match self.segment {
            Segment::Root => parent,
            Segment::Index(at) => format!("{parent}/{at}"),
            Segment::Key(key) => pointer_to(&parent, key),
        }
    }
}

/// Decodes one value.
#[derive(Clone, Copy)]
pub(super) struct NodeDeserializer<'p, 'a> {
    pub(super) node: &'a Node,
    pub(super) path: &'p Path<'p>,
    pub(super) recorder: &'p RefCell<Recorder<'a>>,
}

impl<'p, 'a> NodeDeserializer<'p, 'a> {
    pub(super) fn new(node: &'a Node, path: &'p Path<'p>, recorder: &'p RefCell<Recorder<'a>>) -> Self {
        Self { node, path, recorder }
    }

    fn wrong_type<T>(self, expected: &str) -> Result<T, Failure> {
        Err(Failure::wrong_type(expected, self.node))
    }

    fn items<'de, V: Visitor<'de>>(self, items: &'a [Node], visitor: V, may_skip: bool) -> Result<V::Value, Failure> {
        let at = if may_skip { self.recorder.borrow().first_item(self.node) } else { 0 };
        visitor.visit_seq(Items { container: self, items, at, may_skip })
    }

    fn entries<'de, V: Visitor<'de>>(self, entries: &'a [(Key, Node)], visitor: V) -> Result<V::Value, Failure> {
        let at = self.recorder.borrow().first_item(self.node);
        visitor.visit_map(Entries { container: self, entries, at, fields: None })
    }

    /// Decodes a value inside this one. A problem that comes back without a place is with that value.
    pub(super) fn inner<'de, S: DeserializeSeed<'de>>(
        self,
        seed: S,
        node: &'a Node,
        key: Option<&'a Key>,
        segment: Segment<'a>,
    ) -> Result<S::Value, Failure> {
        let path = Path { parent: Some(self.path), segment };
        let inner = NodeDeserializer { node, path: &path, recorder: self.recorder };
        seed.deserialize(inner).map_err(|failure| {
            if let Failure::Found(problem) = failure {
                self.recorder.borrow_mut().record(*problem, node, key, &path);
            }
            Failure::Recorded
        })
    }
}

/// Methods for the number types, which differ in nothing: visitors check the range.
macro_rules! numbers {
    ($expected:expr, $($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
            match self.node.value {
                Value::Integer(value) => visitor.visit_i64(value),
                Value::Float(value) if $expected == NUMBER => visitor.visit_f64(value),
                _ => self.wrong_type($expected),
            }
        }
    )*};
}

impl<'de, 'a> Deserializer<'de> for NodeDeserializer<'_, 'a> {
    type Error = Failure;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match &self.node.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Integer(value) => visitor.visit_i64(*value),
            Value::Float(value) => visitor.visit_f64(*value),
            Value::String(text) => visitor.visit_str(text),
            Value::Sequence(items) => self.items(items, visitor, true),
            Value::Mapping(entries) => self.entries(entries, visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match self.node.value {
            Value::Bool(value) => visitor.visit_bool(value),
            _ => self.wrong_type(TRUTH),
        }
    }

    numbers!(WHOLE, deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128);
    numbers!(WHOLE, deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128);
    numbers!(NUMBER, deserialize_f32 deserialize_f64);

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match &self.node.value {
            Value::String(text) => visitor.visit_str(text),
            _ => self.wrong_type(TEXT),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.deserialize_str(visitor)
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.deserialize_str(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.deserialize_str(visitor)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match self.node.value {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match self.node.value {
            Value::Null => visitor.visit_unit(),
            _ => self.wrong_type(NOTHING),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Failure> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match &self.node.value {
            Value::Sequence(items) => self.items(items, visitor, true),
            _ => self.wrong_type(LIST),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, Failure> {
        match &self.node.value {
            Value::Sequence(items) if items.len() == length => self.items(items, visitor, false),
            _ => self.wrong_type(&format!("{LIST} of {length} items")),
        }
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        self.deserialize_tuple(length, visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match &self.node.value {
            Value::Mapping(entries) => self.entries(entries, visitor),
            _ => self.wrong_type(MAPPING),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        match &self.node.value {
            Value::Mapping(entries) => {
                visitor.visit_map(Entries { container: self, entries, at: 0, fields: Some(fields) })
            }
            _ => self.wrong_type(MAPPING),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        match &self.node.value {
            Value::String(text) if variants.contains(&&**text) => {
                visitor.visit_enum(IntoDeserializer::<Failure>::into_deserializer(&**text))
            }
            Value::String(text) => Err(Failure::unknown_value(text, variants)),
            Value::Mapping(entries) => match &**entries {
                [(key, value)] if variants.contains(&&*key.text) => {
                    visitor.visit_enum(Variant { container: self, key, value })
                }
                [(key, _)] => Err(Failure::unknown_value(&key.text, variants)),
                _ => self.wrong_type(&format!("one of {}", list(variants))),
            },
            _ => self.wrong_type(&format!("{ONE_OF_TEXTS} {}", list(variants))),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_unit()
    }
}
