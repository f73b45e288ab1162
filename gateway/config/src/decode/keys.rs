//! A serde `Deserializer` over the keys of mappings, which are always texts.

use serde::Deserializer;
use serde::de::{IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;

use crate::decode::failure::Failure;
use crate::source::{Key, Node};

/// Decodes a mapping's key.
pub(super) struct KeyDeserializer<'a> {
    pub(super) key: &'a Key,
}

/// Methods for keys that are numbers, written as text.
macro_rules! number_keys {
    ($($method:ident $visit:ident $type:ty,)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
            match self.key.text.parse::<$type>() {
                Ok(value) => visitor.$visit(value),
                Err(_) => Err(Failure::wrong_type("a whole number as key", &Node::string(self.key.span, self.key.text.clone()))),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for KeyDeserializer<'_> {
    type Error = Failure;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_str(&self.key.text)
    }

    number_keys! {
        deserialize_i8 visit_i64 i64, deserialize_i16 visit_i64 i64, deserialize_i32 visit_i64 i64, deserialize_i64 visit_i64 i64,
        deserialize_u8 visit_u64 u64, deserialize_u16 visit_u64 u64, deserialize_u32 visit_u64 u64, deserialize_u64 visit_u64 u64,
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_some(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        if !variants.contains(&&*self.key.text) {
            return Err(Failure::unknown_value(&self.key.text, variants));
        }
        visitor.visit_enum(IntoDeserializer::<Failure>::into_deserializer(&*self.key.text))
    }

    forward_to_deserialize_any! {
        bool i128 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}
