//! Expressions and references.

use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::java;
use crate::syntax::{Accessor, Expression, Operator, Reference};

use super::value::{self, LoopState, Map, Value};
use super::{Error, Renderer, Scope};

/// Longest range.
const RANGE_MAX: i128 = 100_000;

type In<'a, 't> = Option<&'a Rc<Scope<'t>>>;

impl<'t> Renderer<'t, '_> {
    pub(super) fn value(&mut self, expression: &'t Expression, scope: In<'_, 't>) -> Result<Value<'t>, Error> {
        self.step()?;
        Ok(match expression {
            Expression::Text(text) => Value::text(&**text),
            Expression::Interpolated(nodes) => Value::text(self.captured(nodes, scope)?),
            Expression::Integer(number) => Value::Integer((*number).into()),
            Expression::Double(number) => Value::Double(*number),
            Expression::Boolean(value) => Value::Boolean(*value),
            Expression::Reference(reference) => self.reference(reference, scope)?,
            Expression::List(items) => {
                let items: Result<_, _> = items.iter().map(|item| self.value(item, scope).map(Value::kept)).collect();
                Value::list(items?, false)
            }
            Expression::Map(pairs) => {
                let mut map = Map::default();
                for (key, value) in pairs {
                    let key = self.value(key, scope)?;
                    let key = self.text(&key)?;
                    map.insert(key, self.value(value, scope)?.kept());
                }
                Value::map(map)
            }
            Expression::Range(first, last) => match (self.value(first, scope)?, self.value(last, scope)?) {
                (Value::Integer(first), Value::Integer(last)) if (first - last).abs() < RANGE_MAX => {
                    let numbers: Vec<i128> =
                        if first <= last { (first..=last).collect() } else { (last..=first).rev().collect() };
                    Value::list(numbers.into_iter().map(Value::Integer).collect(), false)
                }
                (Value::Integer(_), Value::Integer(_)) => return Err(Error::TooMuch("makes a range that is too long")),
                _ => Value::NOTHING,
            },
            Expression::Not(_) => Value::Boolean(self.is_true(expression, scope)?),
            Expression::Binary(operator, left, right) => match operator {
                Operator::Add | Operator::Subtract | Operator::Multiply | Operator::Divide | Operator::Remainder => {
                    let (left, right) = (self.value(left, scope)?, self.value(right, scope)?);
                    self.calculate(*operator, &left, &right)?
                }
                _ => Value::Boolean(self.is_true(expression, scope)?),
            },
        })
    }

    fn calculate(&mut self, operator: Operator, left: &Value<'t>, right: &Value<'t>) -> Result<Value<'t>, Error> {
        let is_number = |value: &Value<'_>| matches!(value, Value::Integer(_) | Value::Double(_));
        let is_text = |value: &Value<'_>| matches!(value, Value::Text(_) | Value::Null { .. });
        if operator == Operator::Add && (is_text(left) || is_text(right)) {
            let (left, right) = (self.text(left)?, self.text(right)?);
            return Ok(Value::text(format!("{left}{right}")));
        }
        if !is_number(left) || !is_number(right) {
            return Ok(Value::NOTHING);
        }
        let sign = match operator {
            Operator::Add => '+',
            Operator::Subtract => '-',
            Operator::Multiply => '*',
            Operator::Divide => '/',
            _ => '%',
        };
        let result = java::calculate(sign, &value::plain_text(left), &value::plain_text(right));
        Ok(result.map_or(Value::NOTHING, |text| match text.parse() {
            Ok(whole) => Value::Integer(whole),
            Err(_) => Value::Double(match &*text {
                "Infinity" => f64::INFINITY,
                "-Infinity" => f64::NEG_INFINITY,
                text => text.parse().unwrap_or(f64::NAN),
            }),
        }))
    }

    pub(super) fn is_true(&mut self, expression: &'t Expression, scope: In<'_, 't>) -> Result<bool, Error> {
        self.step()?;
        let Expression::Binary(operator, left, right) = expression else {
            return match expression {
                Expression::Not(inner) => Ok(!self.is_true(inner, scope)?),
                other => Ok(!matches!(self.value(other, scope)?, Value::Boolean(false))),
            };
        };
        match operator {
            Operator::And => return Ok(self.is_true(left, scope)? && self.is_true(right, scope)?),
            Operator::Or => return Ok(self.is_true(left, scope)? || self.is_true(right, scope)?),
            _ => {}
        }
        let (left, right) = (self.value(left, scope)?, self.value(right, scope)?);
        let order = match (&left, &right) {
            (Value::Integer(left), Value::Integer(right)) => Some(left.cmp(right)),
            (Value::Integer(left), Value::Double(right)) => (*left as f64).partial_cmp(right),
            (Value::Double(left), Value::Integer(right)) => left.partial_cmp(&(*right as f64)),
            (Value::Double(left), Value::Double(right)) => left.partial_cmp(right),
            _ => None,
        };
        Ok(match operator {
            Operator::Equal => value::is_equal(&left, &right),
            Operator::NotEqual => !value::is_equal(&left, &right),
            Operator::Less => order.is_some_and(std::cmp::Ordering::is_lt),
            Operator::LessOrEqual => order.is_some_and(std::cmp::Ordering::is_le),
            Operator::Greater => order.is_some_and(std::cmp::Ordering::is_gt),
            Operator::GreaterOrEqual => order.is_some_and(std::cmp::Ordering::is_ge),
            _ => !matches!(self.calculate(*operator, &left, &right)?, Value::Boolean(false)),
        })
    }

    /// A value as it prints.
    pub(super) fn text(&mut self, value: &Value<'t>) -> Result<String, Error> {
        match value {
            Value::Block(nodes, scope) => self.captured(nodes, scope.as_ref()),
            other => Ok(value::plain_text(other)),
        }
    }

    pub(super) fn reference(&mut self, reference: &'t Reference, scope: In<'_, 't>) -> Result<Value<'t>, Error> {
        let mut accessors = &reference.accessors[..];
        let bound = scope.and_then(|scope| scope.parameters.get(&*reference.name).cloned());
        let mut value = match bound {
            Some(bound) => match (bound.expression, bound.body) {
                (Some(expression), _) => self.value(expression, bound.scope.as_ref())?,
                (None, Some(body)) => Value::Block(body, bound.scope),
                (None, None) => Value::NOTHING,
            },
            None => match (self.variables.get(&reference.name), &*reference.name) {
                (Some(value), _) => value.clone(),
                (None, "input") => self.input(&mut accessors, scope)?,
                (None, "util") => self.util(&mut accessors, scope)?,
                (None, "context") => Value::Map(Rc::clone(&self.context)),
                (None, "stageVariables") => texts(&self.sample.stage_variables),
                (None, _) => Value::NOTHING,
            },
        };
        for accessor in accessors {
            value = self.access(&value, accessor, scope)?;
        }
        Ok(value)
    }

    fn access(&mut self, value: &Value<'t>, accessor: &'t Accessor, scope: In<'_, 't>) -> Result<Value<'t>, Error> {
        match accessor {
            Accessor::Property(name) => Ok(property(value, name)),
            Accessor::Index(index) => {
                let index = self.value(index, scope)?;
                self.at(value, &index)
            }
            Accessor::Method { name, arguments } => {
                let arguments: Result<Vec<_>, _> =
                    arguments.iter().map(|argument| self.value(argument, scope)).collect();
                self.method(value, name, &arguments?)
            }
        }
    }

    pub(super) fn at(&mut self, value: &Value<'t>, index: &Value<'t>) -> Result<Value<'t>, Error> {
        match (value, index) {
            (Value::List { items, .. }, Value::Integer(place)) => {
                let items = items.borrow();
                Ok(position(*place, items.len()).map_or(Value::NOTHING, |place| items[place].clone()))
            }
            (Value::Map(map), index) => {
                let key = self.text(index)?;
                Ok(map.borrow().get(&key).cloned().unwrap_or(Value::NOTHING))
            }
            _ => Ok(Value::NOTHING),
        }
    }

    fn input(&mut self, accessors: &mut &'t [Accessor], scope: In<'_, 't>) -> Result<Value<'t>, Error> {
        let Some((first, rest)) = accessors.split_first() else { return Ok(Value::NOTHING) };
        *accessors = rest;
        let body = if self.sample.body.is_empty() { "{}" } else { &self.sample.body };
        let (name, argument) = match first {
            Accessor::Property(name) => (&**name, None),
            Accessor::Method { name, arguments } => (&**name, arguments.first()),
            Accessor::Index(_) => return Ok(Value::NOTHING),
        };
        let argument = match argument {
            Some(argument) => {
                let argument = self.value(argument, scope)?;
                Some(self.text(&argument)?)
            }
            None => None,
        };
        let sample = self.sample;
        Ok(match (name, argument) {
            ("body" | "getBody", None) => Value::text(body),
            // Names of headers are found in any case where they stand in the template.
            ("params", None) if header_name(accessors).is_some() => {
                let name = header_name(accessors).unwrap_or_default();
                *accessors = &accessors[2..];
                let found = sample.header.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
                found.map_or(Value::NOTHING, |(_, value)| Value::text(&**value))
            }
            ("params", None) => {
                let places = [("path", &sample.path), ("querystring", &sample.querystring), ("header", &sample.header)];
                Value::map(places.into_iter().map(|(place, map)| (place.to_owned(), texts(map))).collect())
            }
            ("params", Some(name)) => {
                let header = || sample.header.iter().find(|(known, _)| known.eq_ignore_ascii_case(&name));
                let found = sample.path.get(&name).or_else(|| sample.querystring.get(&name));
                let found = found.or_else(|| header().map(|(_, value)| value));
                found.map_or(Value::NOTHING, |text| Value::text(&**text))
            }
            ("path", Some(path)) => match self.find(body, &path)? {
                Some(json) => value::from_json(&json),
                None => Value::NOTHING,
            },
            ("json", Some(path)) => match self.find(body, &path)? {
                Some(json) => Value::text(json.to_string()),
                None => Value::text("\"\""),
            },
            _ => Value::NOTHING,
        })
    }

    /// A body that does not look like JSON is a text.
    fn find(&mut self, body: &str, path: &str) -> Result<Option<serde_json::Value>, Error> {
        match (self.find_path)(body, path) {
            Ok(Some(json)) => serde_json::from_str(&json).map(Some).map_err(|error| Error::Failed(error.to_string())),
            Ok(None) => Ok(None),
            Err(_) if !body.trim_start().starts_with(['{', '[', '"', '\'']) => {
                Ok((path == "$").then(|| serde_json::Value::from(body)))
            }
            Err(why) => Err(Error::Failed(why)),
        }
    }

    fn util(&mut self, accessors: &mut &'t [Accessor], scope: In<'_, 't>) -> Result<Value<'t>, Error> {
        let [Accessor::Method { name, arguments }, rest @ ..] = *accessors else { return Ok(Value::NOTHING) };
        *accessors = rest;
        let Some(argument) = arguments.first() else { return Ok(Value::NOTHING) };
        let value = self.value(argument, scope)?;
        let text = match &value {
            Value::Null { is_json: true } if name == "escapeJavaScript" => "null".to_owned(),
            value => self.text(value)?,
        };
        Ok(match &**name {
            "escapeJavaScript" => Value::text(escape(&text)),
            "urlEncode" => Value::text(url_encode(&text)),
            "urlDecode" => Value::text(url_decode(&text)?),
            "base64Encode" => Value::text(STANDARD.encode(text)),
            "base64Decode" => {
                let bytes = STANDARD.decode(text).map_err(|error| Error::Failed(error.to_string()))?;
                Value::text(String::from_utf8_lossy(&bytes))
            }
            "parseJson" if text.is_empty() => Value::NOTHING,
            "parseJson" => {
                let json = serde_json::from_str(&text).map_err(|error| Error::Failed(error.to_string()))?;
                value::from_json(&json)
            }
            _ => Value::NOTHING,
        })
    }

    pub(super) fn assign(&mut self, target: &'t Reference, value: Value<'t>, scope: In<'_, 't>) -> Result<(), Error> {
        let Some((last, before)) = target.accessors.split_last() else {
            self.variables.insert(target.name.clone(), value);
            return Ok(());
        };
        let mut base = match (self.variables.get(&target.name), &*target.name) {
            (Some(base), _) => base.clone(),
            (None, "context") => Value::Map(Rc::clone(&self.context)),
            (None, _) => Value::NOTHING,
        };
        for accessor in before {
            base = self.access(&base, accessor, scope)?;
        }
        match (&base, last) {
            (Value::Map(map), Accessor::Property(name)) => drop(map.borrow_mut().insert(name.clone(), value.kept())),
            (Value::Map(map), Accessor::Index(index)) => {
                let key = self.value(index, scope)?;
                let key = self.text(&key)?;
                map.borrow_mut().insert(key, value.kept());
            }
            (Value::List { items, .. }, Accessor::Index(index)) => {
                if let Value::Integer(place) = self.value(index, scope)? {
                    let mut items = items.borrow_mut();
                    let length = items.len();
                    if let Some(item) = position(place, length).and_then(|place| items.get_mut(place)) {
                        *item = value.kept();
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// The name in `.header.name`, `.header['name']` and `.header.get('name')`.
fn header_name(accessors: &[Accessor]) -> Option<&str> {
    let [place, member, ..] = accessors else { return None };
    if place.fixed_name()? == "header" { member.fixed_name() } else { None }
}

/// A place in a list; from the end when it is negative.
pub(super) fn position(place: i128, length: usize) -> Option<usize> {
    let place = if place < 0 { place + length as i128 } else { place };
    usize::try_from(place).ok().filter(|place| *place < length)
}

fn texts<'t>(texts: &indexmap::IndexMap<String, String>) -> Value<'t> {
    Value::map(texts.iter().map(|(name, text)| (name.clone(), Value::text(&**text))).collect())
}

/// `.name`
fn property<'t>(value: &Value<'t>, name: &str) -> Value<'t> {
    match (value, name) {
        (Value::Map(map), name) => map.borrow().get(name).cloned().unwrap_or(Value::NOTHING),
        (Value::Entry(entry), "key") => Value::text(&*entry.0),
        (Value::Entry(entry), "value") => entry.1.clone(),
        (Value::List { items, .. }, "empty") => Value::Boolean(items.borrow().is_empty()),
        (Value::Text(text), "empty") => Value::Boolean(text.is_empty()),
        (Value::Loop(state), name) => about(state, name),
        _ => Value::NOTHING,
    }
}

/// `$foreach.name`
pub(super) fn about<'t>(state: &Rc<LoopState>, name: &str) -> Value<'t> {
    match name {
        "index" | "getIndex" => Value::Integer(state.index as i128),
        "count" | "getCount" => Value::Integer(state.index as i128 + 1),
        "hasNext" | "getHasNext" => Value::Boolean(state.index + 1 < state.count),
        "first" | "isFirst" => Value::Boolean(state.index == 0),
        "last" | "isLast" => Value::Boolean(state.index + 1 == state.count),
        "parent" => state.parent.clone().map_or(Value::NOTHING, Value::Loop),
        "topmost" => {
            let mut top = Rc::clone(state);
            while let Some(parent) = &top.parent {
                top = Rc::clone(parent);
            }
            Value::Loop(top)
        }
        _ => Value::NOTHING,
    }
}

fn escape(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '\'' | '"' | '\\' | '/' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            ' '..='~' => out.push(c),
            c => c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| out.push_str(&format!("\\u{unit:04X}"))),
        }
    }
    out
}

fn url_encode(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'*' | b'_' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

fn url_decode(text: &str) -> Result<String, Error> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        match first {
            b'+' => bytes.push(b' '),
            b'%' => {
                let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
                let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
                bytes.push(byte.ok_or_else(|| Error::Failed("a `%` without two digits".to_owned()))?);
                rest = &after[2..];
            }
            byte => bytes.push(*byte),
        }
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
