//! What is inside a value: the items of a sequence, the entries of a mapping, the contents of a variant.

use serde::Deserializer;
use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeSeed, EnumAccess, IgnoredAny, IntoDeserializer, MapAccess, SeqAccess, VariantAccess, Visitor,
};

use crate::decode::deserializer::{NodeDeserializer, Path, Segment};
use crate::decode::failure::Failure;
use crate::decode::keys::KeyDeserializer;
use crate::source::{Key, Node};

/// Containers up to this size are simply looked at again in later passes.
const SMALL: usize = 16;

/// The items of a sequence.
pub(super) struct Items<'p, 'a> {
    pub(super) container: NodeDeserializer<'p, 'a>,
    pub(super) items: &'a [Node],
    pub(super) at: usize,
    /// Whether later passes may leave out the items that were fine.
    pub(super) may_skip: bool,
}

impl<'de> SeqAccess<'de> for Items<'_, '_> {
    type Error = Failure;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Failure> {
        let Self { container, items, .. } = *self;
        while items.get(self.at).is_some_and(|item| container.recorder.borrow().is_omitted(item)) {
            self.at += 1;
        }
        let Some(item) = items.get(self.at) else {
            if self.may_skip && items.len() > SMALL {
                container.recorder.borrow_mut().set_done(container.node, items.len());
            }
            return Ok(None);
        };
        match container.inner(seed, item, None, Segment::Index(self.at)) {
            Ok(value) => {
                self.at += 1;
                Ok(Some(value))
            }
            Err(failure) => {
                container.recorder.borrow_mut().set_done(container.node, self.at);
                Err(failure)
            }
        }
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len().saturating_sub(self.at))
    }
}

/// The entries of a mapping: all of them, or those that are fields of a struct.
pub(super) struct Entries<'p, 'a> {
    pub(super) container: NodeDeserializer<'p, 'a>,
    pub(super) entries: &'a [(Key, Node)],
    pub(super) at: usize,
    pub(super) fields: Option<&'static [&'static str]>,
}

impl<'de> MapAccess<'de> for Entries<'_, '_> {
    type Error = Failure;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Failure> {
        let Self { container, entries, fields, .. } = *self;
        let (key, node) = loop {
            let Some((key, node)) = entries.get(self.at) else {
                if fields.is_none() && entries.len() > SMALL {
                    container.recorder.borrow_mut().set_done(container.node, entries.len());
                }
                return Ok(None);
            };
            let is_unknown = |fields: &&'static [&'static str]| !fields.contains(&&*key.text);
            if let Some(fields) = fields.filter(is_unknown) {
                container.recorder.borrow_mut().record_unknown_field(container.node, key, fields, container.path);
            } else if !container.recorder.borrow().is_omitted(node) {
                break (key, node);
            }
            self.at += 1;
        };
        seed.deserialize(KeyDeserializer { key }).map(Some).map_err(|failure| {
            let mut recorder = container.recorder.borrow_mut();
            recorder.set_done(container.node, self.at);
            if let Failure::Found(problem) = failure {
                let path = Path { parent: Some(container.path), segment: Segment::Key(&key.text) };
                // The entry as a whole is left out, and its key is what to look at.
                recorder.record_at(*problem, node, key.span, &path);
            }
            Failure::Recorded
        })
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Failure> {
        let Self { container, entries, at, fields } = *self;
        self.at += 1;
        let Some((key, node)) = entries.get(at) else { return Err(Failure::Recorded) };
        let result = container.inner(seed, node, Some(key), Segment::Key(&key.text));
        if result.is_err() && fields.is_none() {
            container.recorder.borrow_mut().set_done(container.node, at);
        }
        result
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.entries.len().saturating_sub(self.at))
    }
}

/// A variant with contents: `name: contents`.
pub(super) struct Variant<'p, 'a> {
    pub(super) container: NodeDeserializer<'p, 'a>,
    pub(super) key: &'a Key,
    pub(super) value: &'a Node,
}

impl<'p, 'a> Variant<'p, 'a> {
    /// Lets the contents be decoded like any other value, with their own place.
    fn contents<T>(self, decode: impl FnOnce(NodeDeserializer<'_, 'a>) -> Result<T, Failure>) -> Result<T, Failure> {
        let Self { container, key, value } = self;
        let path = Path { parent: Some(container.path), segment: Segment::Key(&key.text) };
        let inner = NodeDeserializer { node: value, path: &path, recorder: container.recorder };
        decode(inner).map_err(|failure| {
            if let Failure::Found(problem) = failure {
                let mut recorder = container.recorder.borrow_mut();
                recorder.record(*problem, value, Some(key), &path);
                // There is no variant without its contents.
                recorder.omit(container.node);
            }
            Failure::Recorded
        })
    }
}

impl<'de, 'p, 'a> EnumAccess<'de> for Variant<'p, 'a> {
    type Error = Failure;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), Failure> {
        let name: StrDeserializer<'_, Failure> = (&*self.key.text).into_deserializer();
        Ok((seed.deserialize(name)?, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_, '_> {
    type Error = Failure;

    fn unit_variant(self) -> Result<(), Failure> {
        self.contents(|inner| inner.deserialize_unit(IgnoredAny).map(drop))
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Failure> {
        self.contents(|inner| seed.deserialize(inner))
    }

    fn tuple_variant<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, Failure> {
        self.contents(|inner| inner.deserialize_tuple(length, visitor))
    }

    fn struct_variant<V: Visitor<'de>>(self, fields: &'static [&'static str], visitor: V) -> Result<V::Value, Failure> {
        self.contents(|inner| inner.deserialize_struct("", fields, visitor))
    }
}
