//! Methods of lists, maps, numbers and truth values.

use std::rc::Rc;

use crate::java::{self, Plain};

use super::expression::{about, position};
use super::value::{self, Value};
use super::{Error, Renderer};

impl<'t> Renderer<'t, '_> {
    pub(super) fn method(
        &mut self,
        receiver: &Value<'t>,
        name: &str,
        arguments: &[Value<'t>],
    ) -> Result<Value<'t>, Error> {
        match (receiver, name, arguments) {
            (Value::List { .. }, "get", [index]) => return self.at(receiver, index),
            (Value::Loop(state), name, []) => return Ok(about(state, name)),
            (Value::Entry(entry), "getKey", []) => return Ok(Value::text(&*entry.0)),
            (Value::Entry(entry), "getValue", []) => return Ok(entry.1.clone()),
            (Value::List { .. } | Value::Map(_) | Value::Entry(_), "equals", [other]) => {
                return Ok(Value::Boolean(value::is_same(receiver, other, 0)));
            }
            (Value::List { .. } | Value::Map(_) | Value::Entry(_), "toString", []) => {
                return Ok(Value::text(value::plain_text(receiver)));
            }
            _ => {}
        }
        match receiver {
            Value::List { items, .. } => Ok(self.list_method(items, name, arguments)),
            Value::Map(map) => self.map_method(map, name, arguments),
            Value::Integer(_) | Value::Double(_) | Value::Boolean(_) => self.number_method(receiver, name, arguments),
            Value::Text(_) | Value::Null { .. } | Value::Block(..) => {
                let text = self.text(receiver)?;
                self.text_method(&text, name, arguments)
            }
            Value::Entry(_) | Value::Loop(_) => Ok(Value::NOTHING),
        }
    }

    fn text_method(&mut self, text: &str, name: &str, arguments: &[Value<'t>]) -> Result<Value<'t>, Error> {
        let arguments: Vec<Plain> = arguments.iter().map(Value::to_plain).collect();
        let result = java::string_method(text, name, &arguments, &mut self.patterns);
        result.map(Value::from_plain).map_err(|error| Error::Failed(error.to_string()))
    }

    fn number_method(&mut self, receiver: &Value<'t>, name: &str, arguments: &[Value<'t>]) -> Result<Value<'t>, Error> {
        let double = match receiver {
            Value::Integer(whole) => *whole as f64,
            Value::Double(double) => *double,
            _ => 0.0,
        };
        Ok(match (receiver, name, arguments) {
            (_, "toString", []) => Value::text(value::plain_text(receiver)),
            (_, "equals", [other]) => Value::Boolean(value::is_same(receiver, other, 0)),
            (Value::Boolean(value), "booleanValue", []) => Value::Boolean(*value),
            (Value::Boolean(_), "parseBoolean" | "valueOf", [text]) => {
                Value::Boolean(value::plain_text(text).eq_ignore_ascii_case("true"))
            }
            (Value::Boolean(_), ..) => Value::NOTHING,
            (Value::Integer(_), "intValue" | "longValue", []) => receiver.clone(),
            (Value::Double(_), "intValue" | "longValue", []) => Value::Integer(double.trunc() as i128),
            (_, "doubleValue" | "floatValue", []) => Value::Double(double),
            (_, "compareTo", [Value::Integer(_) | Value::Double(_)]) => {
                let other = match &arguments[0] {
                    Value::Integer(whole) => *whole as f64,
                    Value::Double(double) => *double,
                    _ => 0.0,
                };
                Value::Integer(double.partial_cmp(&other).map_or(0, |order| order as i128))
            }
            (Value::Integer(_), "valueOf" | "parseInt" | "parseLong", [text])
            | (_, "parseInt" | "parseLong", [text]) => {
                let function = if name == "parseInt" { "parseInt" } else { "parseLong" };
                let text = Value::text(value::plain_text(text));
                self.text_method("", function, &[text])?
            }
            (_, "parseDouble" | "valueOf", [text]) => {
                let text = Value::text(value::plain_text(text));
                self.text_method("", "parseDouble", &[text])?
            }
            _ => Value::NOTHING,
        })
    }

    fn list_method(
        &mut self,
        list: &Rc<std::cell::RefCell<Vec<Value<'t>>>>,
        name: &str,
        arguments: &[Value<'t>],
    ) -> Value<'t> {
        let mut items = list.borrow_mut();
        let length = items.len();
        let number = |place: usize| Value::Integer(place as i128);
        let found =
            |items: &[Value<'t>], wanted: &Value<'t>| items.iter().position(|item| value::is_same(item, wanted, 0));
        match (name, arguments) {
            ("size", []) => number(length),
            ("isEmpty", []) => Value::Boolean(length == 0),
            ("add", [item]) => {
                items.push(item.clone().kept());
                Value::Boolean(true)
            }
            ("add", [Value::Integer(place), item]) => {
                if let Ok(place) = usize::try_from(*place)
                    && place <= length
                {
                    items.insert(place, item.clone().kept());
                }
                Value::NOTHING
            }
            ("addAll", [Value::List { items: other, .. }]) => {
                let more = if Rc::ptr_eq(list, other) { items.clone() } else { other.borrow().clone() };
                let is_any = !more.is_empty();
                items.extend(more);
                Value::Boolean(is_any)
            }
            ("set", [Value::Integer(place), item]) => match position(*place, length) {
                Some(place) => std::mem::replace(&mut items[place], item.clone().kept()),
                None => Value::NOTHING,
            },
            ("remove", [Value::Integer(place)]) => match position(*place, length) {
                Some(place) => items.remove(place),
                None => Value::NOTHING,
            },
            ("remove", [wanted]) => match found(&items, wanted) {
                Some(place) => {
                    items.remove(place);
                    Value::Boolean(true)
                }
                None => Value::Boolean(false),
            },
            ("clear", []) => {
                items.clear();
                Value::NOTHING
            }
            ("contains", [wanted]) => Value::Boolean(found(&items, wanted).is_some()),
            ("containsAll", [Value::List { items: other, .. }]) => {
                let is_all =
                    Rc::ptr_eq(list, other) || other.borrow().iter().all(|wanted| found(&items, wanted).is_some());
                Value::Boolean(is_all)
            }
            ("indexOf", [wanted]) => found(&items, wanted).map_or(Value::Integer(-1), number),
            ("lastIndexOf", [wanted]) => {
                items.iter().rposition(|item| value::is_same(item, wanted, 0)).map_or(Value::Integer(-1), number)
            }
            ("subList", [Value::Integer(from), Value::Integer(to)]) => {
                let range = usize::try_from(*from).ok().zip(usize::try_from(*to).ok());
                range
                    .and_then(|(from, to)| items.get(from..to))
                    .map_or(Value::NOTHING, |part| Value::list(part.to_vec(), false))
            }
            ("toArray" | "iterator", []) => Value::list(items.clone(), false),
            ("getFirst" | "first", []) => items.first().cloned().unwrap_or(Value::NOTHING),
            ("getLast" | "last", []) => items.last().cloned().unwrap_or(Value::NOTHING),
            _ => Value::NOTHING,
        }
    }

    fn map_method(
        &mut self,
        map: &Rc<std::cell::RefCell<value::Map<'t>>>,
        name: &str,
        arguments: &[Value<'t>],
    ) -> Result<Value<'t>, Error> {
        let key = match arguments.first() {
            Some(Value::Map(_)) | None => String::new(),
            Some(key) => self.text(key)?,
        };
        let mut entries = map.borrow_mut();
        Ok(match (name, arguments) {
            ("size", []) => Value::Integer(entries.len() as i128),
            ("isEmpty", []) => Value::Boolean(entries.is_empty()),
            ("get", [_]) => entries.get(&key).cloned().unwrap_or(Value::NOTHING),
            ("getOrDefault", [_, other]) => entries.get(&key).cloned().unwrap_or_else(|| other.clone()),
            ("put", [_, item]) => entries.insert(key, item.clone().kept()).unwrap_or(Value::NOTHING),
            ("putIfAbsent", [_, item]) => match entries.get(&key) {
                Some(known) if !known.is_null() => known.clone(),
                _ => {
                    entries.insert(key, item.clone().kept());
                    Value::NOTHING
                }
            },
            ("putAll", [Value::Map(other)]) => {
                if !Rc::ptr_eq(map, other) {
                    entries.extend(other.borrow().iter().map(|(key, item)| (key.clone(), item.clone())));
                }
                Value::NOTHING
            }
            ("remove", [_]) => entries.shift_remove(&key).unwrap_or(Value::NOTHING),
            ("clear", []) => {
                entries.clear();
                Value::NOTHING
            }
            ("containsKey", [_]) => Value::Boolean(entries.contains_key(&key)),
            ("containsValue", [wanted]) => Value::Boolean(entries.values().any(|item| value::is_same(item, wanted, 0))),
            ("keySet", []) => Value::list(entries.keys().map(|key| Value::text(&**key)).collect(), false),
            ("values", []) => Value::list(entries.values().cloned().collect(), false),
            ("entrySet", []) => {
                let entry = |(key, item): (&String, &Value<'t>)| Value::Entry(Rc::new((key.clone(), item.clone())));
                Value::list(entries.iter().map(entry).collect(), false)
            }
            _ => Value::NOTHING,
        })
    }
}
