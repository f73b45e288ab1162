//! Values as Java has them.

use std::cell::RefCell;
use std::rc::Rc;

use indexmap::IndexMap;

use crate::java::{self, Plain};
use crate::syntax::Node;

use super::{Sample, Scope};

/// How deep values may nest when they are printed or compared.
const DEPTH_MAX: usize = 64;

pub(super) type Map<'t> = IndexMap<String, Value<'t>>;

/// A value.
#[derive(Clone)]
pub(super) enum Value<'t> {
    /// None, or JSON's null.
    Null {
        is_json: bool,
    },
    Boolean(bool),
    Integer(i128),
    Double(f64),
    Text(Rc<str>),
    /// A list; one from JSON prints as JSON.
    List {
        items: Rc<RefCell<Vec<Value<'t>>>>,
        is_json: bool,
    },
    Map(Rc<RefCell<Map<'t>>>),
    Entry(Rc<(String, Value<'t>)>),
    Loop(Rc<LoopState>),
    /// What `#define` keeps.
    Block(&'t [Node], Option<Rc<Scope<'t>>>),
}

pub(super) struct LoopState {
    pub(super) index: usize,
    pub(super) count: usize,
    pub(super) parent: Option<Rc<LoopState>>,
}

impl<'t> Value<'t> {
    pub(super) const NOTHING: Self = Self::Null { is_json: false };

    pub(super) fn text(text: impl Into<Rc<str>>) -> Self {
        Self::Text(text.into())
    }

    pub(super) fn list(items: Vec<Value<'t>>, is_json: bool) -> Self {
        Self::List { items: Rc::new(RefCell::new(items)), is_json }
    }

    pub(super) fn map(map: Map<'t>) -> Self {
        Self::Map(Rc::new(RefCell::new(map)))
    }

    pub(super) fn from_plain(plain: Plain) -> Self {
        match plain {
            Plain::Null => Value::NOTHING,
            Plain::Boolean(value) => Self::Boolean(value),
            Plain::Integer(value) => Self::Integer(value.into()),
            Plain::Double(value) => Self::Double(value),
            Plain::Text(text) => Self::text(text),
            Plain::Texts(texts) => Self::list(texts.into_iter().map(Self::text).collect(), false),
        }
    }

    /// The value as an argument of a method of a text; what has parts as it prints.
    pub(super) fn to_plain(&self) -> Plain {
        match self {
            Self::Null { .. } => Plain::Null,
            Self::Boolean(value) => Plain::Boolean(*value),
            Self::Integer(value) => {
                i64::try_from(*value).map_or_else(|_| Plain::Text(value.to_string()), Plain::Integer)
            }
            Self::Double(value) => Plain::Double(*value),
            Self::List { items, .. } => Plain::Texts(items.borrow().iter().map(inner_text).collect()),
            other => Plain::Text(plain_text(other)),
        }
    }

    /// The value as lists and maps keep it: they tell nothing from no member.
    pub(super) fn kept(self) -> Self {
        if self.is_null() { Self::Null { is_json: true } } else { self }
    }

    pub(super) fn is_null(&self) -> bool {
        matches!(self, Self::Null { .. })
    }
}

/// `$context` with room for overrides.
pub(super) fn context<'t>(sample: &Sample) -> Rc<RefCell<Map<'t>>> {
    let mut map: Map<'t> = sample.context.iter().map(|(name, value)| (name.clone(), from_json(value))).collect();
    let empty = |names: &[&str]| {
        Value::map(names.iter().map(|name| ((*name).to_owned(), Value::map(Map::default()))).collect())
    };
    map.entry("requestOverride".to_owned()).or_insert_with(|| empty(&["header", "path", "querystring"]));
    map.entry("responseOverride".to_owned()).or_insert_with(|| empty(&["header"]));
    for group in ["identity", "authorizer"] {
        map.entry(group.to_owned()).or_insert_with(|| Value::map(Map::default()));
    }
    Rc::new(RefCell::new(map))
}

pub(super) fn from_json<'t>(json: &serde_json::Value) -> Value<'t> {
    match json {
        serde_json::Value::Null => Value::Null { is_json: true },
        serde_json::Value::Bool(value) => Value::Boolean(*value),
        serde_json::Value::Number(number) => match (number.as_i128(), number.as_f64()) {
            (Some(whole), _) => Value::Integer(whole),
            (None, double) => Value::Double(double.unwrap_or(f64::NAN)),
        },
        serde_json::Value::String(text) => Value::text(&**text),
        serde_json::Value::Array(items) => Value::list(items.iter().map(from_json).collect(), true),
        serde_json::Value::Object(map) => {
            Value::map(map.iter().map(|(key, value)| (key.clone(), from_json(value))).collect())
        }
    }
}

/// A value as JSON, as far as it is any.
pub(super) fn to_json(value: &Value<'_>) -> serde_json::Value {
    serde_json::from_str(&json_text(value)).unwrap_or(serde_json::Value::Null)
}

/// The value as it prints, unless it is a block.
pub(super) fn plain_text(value: &Value<'_>) -> String {
    match value {
        Value::Null { .. } => String::new(),
        other => text_at(other, 0),
    }
}

/// The value as it prints in a list or a map.
fn inner_text(value: &Value<'_>) -> String {
    text_at(value, 1)
}

fn text_at(value: &Value<'_>, depth: usize) -> String {
    if depth > DEPTH_MAX {
        return "...".to_owned();
    }
    match value {
        Value::Null { .. } => "null".to_owned(),
        Value::Boolean(value) => value.to_string(),
        Value::Integer(value) => value.to_string(),
        Value::Double(value) => java::double_to_string(*value),
        Value::Text(text) => text.to_string(),
        Value::List { is_json: true, .. } => json_text(value),
        Value::List { items, is_json: false } => {
            let items: Vec<String> = items.borrow().iter().map(|item| text_at(item, depth + 1)).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Map(map) => {
            let map = map.borrow();
            let pairs: Vec<String> =
                map.iter().map(|(key, value)| format!("{key}={}", text_at(value, depth + 1))).collect();
            format!("{{{}}}", pairs.join(", "))
        }
        Value::Entry(entry) => format!("{}={}", entry.0, text_at(&entry.1, depth + 1)),
        Value::Loop(_) | Value::Block(..) => String::new(),
    }
}

/// A value as JSON.
pub(super) fn json_text(value: &Value<'_>) -> String {
    let mut out = String::new();
    json_at(value, &mut out, 0);
    out
}

fn json_at(value: &Value<'_>, out: &mut String, depth: usize) {
    if depth > DEPTH_MAX {
        return out.push_str("null");
    }
    match value {
        Value::Null { .. } | Value::Loop(_) | Value::Block(..) => out.push_str("null"),
        Value::Boolean(_) | Value::Integer(_) | Value::Double(_) => out.push_str(&plain_text(value)),
        Value::Text(text) => out.push_str(&serde_json::Value::String(text.to_string()).to_string()),
        Value::List { items, .. } => {
            out.push('[');
            for (place, item) in items.borrow().iter().enumerate() {
                if place > 0 {
                    out.push(',');
                }
                json_at(item, out, depth + 1);
            }
            out.push(']');
        }
        Value::Map(map) => {
            let map = map.borrow();
            json_map(map.iter().map(|(key, value)| (&**key, value)), out, depth);
        }
        Value::Entry(entry) => json_map([(&*entry.0, &entry.1)].into_iter(), out, depth),
    }
}

fn json_map<'v, 't: 'v>(pairs: impl Iterator<Item = (&'v str, &'v Value<'t>)>, out: &mut String, depth: usize) {
    out.push('{');
    for (place, (key, value)) in pairs.enumerate() {
        if place > 0 {
            out.push(',');
        }
        out.push_str(&serde_json::Value::from(key).to_string());
        out.push(':');
        json_at(value, out, depth + 1);
    }
    out.push('}');
}

/// What a loop goes over: nothing for what is no list and no map.
pub(super) fn items<'t>(value: &Value<'t>) -> Vec<Value<'t>> {
    match value {
        Value::List { items, .. } => items.borrow().clone(),
        Value::Map(map) => map.borrow().values().cloned().collect(),
        _ => Vec::new(),
    }
}

/// `==`
pub(super) fn is_equal(left: &Value<'_>, right: &Value<'_>) -> bool {
    let number = |value: &Value<'_>| match value {
        Value::Integer(whole) => Some(*whole as f64),
        Value::Double(double) => Some(*double),
        _ => None,
    };
    match (left, right) {
        (Value::Integer(left), Value::Integer(right)) => left == right,
        (Value::List { .. }, Value::List { .. }) | (Value::Map(_), Value::Map(_)) => is_same(left, right, 0),
        _ => match (number(left), number(right)) {
            (Some(left), Some(right)) => left == right,
            _ => plain_text(left) == plain_text(right),
        },
    }
}

/// Java's `equals`: without changing one kind of value into another.
pub(super) fn is_same(left: &Value<'_>, right: &Value<'_>, depth: usize) -> bool {
    if depth > DEPTH_MAX {
        return false;
    }
    match (left, right) {
        (Value::Null { .. }, Value::Null { .. }) => true,
        (Value::Null { .. }, Value::Text(text)) | (Value::Text(text), Value::Null { .. }) => text.is_empty(),
        (Value::Boolean(left), Value::Boolean(right)) => left == right,
        (Value::Integer(left), Value::Integer(right)) => left == right,
        (Value::Double(left), Value::Double(right)) => left == right,
        (Value::Text(left), Value::Text(right)) => left == right,
        (Value::List { items: left, .. }, Value::List { items: right, .. }) => {
            let (left, right) = (left.borrow(), right.borrow());
            left.len() == right.len() && left.iter().zip(right.iter()).all(|(l, r)| is_same(l, r, depth + 1))
        }
        (Value::Map(left), Value::Map(right)) => {
            let (left, right) = (left.borrow(), right.borrow());
            left.len() == right.len()
                && left.iter().all(|(key, value)| right.get(key).is_some_and(|other| is_same(value, other, depth + 1)))
        }
        (Value::Entry(left), Value::Entry(right)) => left.0 == right.0 && is_same(&left.1, &right.1, depth + 1),
        _ => false,
    }
}
