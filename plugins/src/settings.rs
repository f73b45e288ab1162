//! A plugin's settings: checked against its schema, and completed with the schema's defaults.
//!
//! Both happen when a configuration is compiled; requests see completed settings only. `$ref` is refused in a plugin's
//! schema: without it a check costs at most schema times settings, the defaults have an end, and a form can be made from
//! the schema by walking it.

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{JsonType, PatternOptions, ValidationError, Validator};
use serde_json::{Map, Value};

use crate::plugin::Plugin;

#[cfg(test)]
mod tests;

/// Most problems reported about one attachment: more are not read.
const PROBLEMS_MAX: usize = 20;

/// Longest list in a message, in entries.
const LISTED_MAX: usize = 20;

/// Longest message, in characters.
const MESSAGE_CHARS_MAX: usize = 300;

/// Deepest nesting of objects and lists that defaults are filled into. The parser of the schema stops before.
const DEPTH_MAX: usize = 128;

/// Keywords by which a schema leads to another place.
const REFERENCES: [&str; 3] = ["$ref", "$dynamicRef", "$recursiveRef"];

/// One thing that is wrong with a plugin's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where, as a JSON pointer (RFC 6901) into the settings; empty for the settings as a whole. The last token may be one
    /// that the settings do hold but should not.
    pub pointer: String,
    /// What, as one lower-case fragment. It never holds a value of the settings, which may be a secret.
    pub message: String,
}

impl Plugin {
    /// Checks settings against the schema and reports everything that does not fit, at most 20 problems. `null`, for
    /// settings that are not there, counts as an empty object.
    ///
    /// Cost: compiles the schema, for configurations and never for requests.
    pub fn check_config(&self, config: &Value) -> Vec<Problem> {
        let empty = Value::Object(Map::new());
        let config = if config.is_null() { &empty } else { config };
        let whole = |message: String| vec![Problem { pointer: String::new(), message }];
        if !config.is_object() {
            return whole("must be an object".to_owned());
        }
        let validator = match validator(&self.schema) {
            Ok(validator) => validator,
            Err(message) => return whole(message),
        };
        let errors = validator.iter_errors(config).take(PROBLEMS_MAX);
        errors.flat_map(|error| problems(&self.schema, &error)).take(PROBLEMS_MAX).collect()
    }

    /// The places of completed settings whose schema says `"format": "secret"`, as JSON pointers, with the references they
    /// hold: `env:NAME` or `file:PATH`.
    pub fn secrets<'value>(&self, settings: &'value Value) -> Vec<(String, &'value str)> {
        let mut found = Vec::new();
        secrets(&self.schema, settings, "", DEPTH_MAX, &mut found);
        found
    }

    /// Settings with the `default` of every property that is absent: at the top, in nested objects, and in objects in lists.
    /// `null`, for settings that are not there, counts as an empty object.
    ///
    /// A nested object that is absent itself stays absent unless its own schema has a `default`; `"default": {}` makes it
    /// one that is filled.
    pub fn with_defaults(&self, config: &Value) -> Value {
        let mut config = if config.is_null() { Value::Object(Map::new()) } else { config.clone() };
        fill(&self.schema, &mut config, DEPTH_MAX);
        config
    }
}

/// The format of settings that name a secret.
const SECRET_FORMAT: &str = "secret";

/// Adds the places of settings that name secrets, with what they hold.
fn secrets<'value>(
    schema: &Value,
    value: &'value Value,
    pointer: &str,
    depth: usize,
    found: &mut Vec<(String, &'value str)>,
) {
    let Some(depth) = depth.checked_sub(1) else { return };
    match value {
        Value::String(text) if schema.get("format").and_then(Value::as_str) == Some(SECRET_FORMAT) => {
            found.push((pointer.to_owned(), text));
        }
        Value::Object(members) => {
            let properties = schema.get("properties").and_then(Value::as_object);
            for (name, value) in members {
                let property = properties.and_then(|known| known.get(name)).or(schema.get("additionalProperties"));
                let Some(property) = property else { continue };
                let pointer = format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"));
                secrets(property, value, &pointer, depth, found);
            }
        }
        Value::Array(items) => {
            let Some(schema) = schema.get("items") else { return };
            for (index, item) in items.iter().enumerate() {
                secrets(schema, item, &format!("{pointer}/{index}"), depth, found);
            }
        }
        _ => {}
    }
}

/// Reads a schema. An error has a line, counted from 1, where it is known, and a message.
pub(crate) fn parse_schema(text: &str) -> Result<Value, (Option<u32>, String)> {
    let schema: Value = serde_json::from_str(text).map_err(|error| {
        let message = error.to_string();
        let message = message.split(" at line ").next().unwrap_or_default();
        (u32::try_from(error.line()).ok(), message.to_owned())
    })?;
    validator(&schema).map_err(|message| (None, message))?;
    Ok(schema)
}

/// Compiles a schema, without reading anything from anywhere.
fn validator(schema: &Value) -> Result<Validator, String> {
    if !schema.is_object() {
        return Err("the schema must be an object".to_owned());
    }
    if let Some(keyword) = reference(schema) {
        return Err(format!(
            "the schema of a plugin's settings must not use `{keyword}`: write out what it stands for"
        ));
    }
    // The regular expressions of this engine take linear time, and the settings may be anything.
    let options =
        jsonschema::options().offline().with_pattern_options(PatternOptions::regex()).should_validate_formats(true);
    options.build(schema).map_err(|error| {
        let (place, message) = (error.instance_path().as_str(), clip(&error.to_string()));
        if place.is_empty() {
            format!("the schema is not valid: {message}")
        } else {
            format!("the schema is not valid at `{place}`: {message}")
        }
    })
}

/// The first keyword in a schema that refers elsewhere. Property names count too, so that nothing needs to know where a
/// schema may hold data.
fn reference(schema: &Value) -> Option<&'static str> {
    let mut rest = vec![schema];
    while let Some(value) = rest.pop() {
        match value {
            Value::Array(items) => rest.extend(items),
            Value::Object(members) => {
                if let Some(keyword) = REFERENCES.into_iter().find(|keyword| members.contains_key(*keyword)) {
                    return Some(keyword);
                }
                rest.extend(members.values());
            }
            _ => {}
        }
    }
    None
}

/// Puts defaults into a value that a schema describes.
fn fill(schema: &Value, value: &mut Value, depth: usize) {
    let Some(depth) = depth.checked_sub(1) else { return };
    match value {
        Value::Object(members) => {
            let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return };
            for (name, property) in properties {
                if !members.contains_key(name) {
                    let Some(default) = property.get("default") else { continue };
                    members.insert(name.clone(), default.clone());
                }
                if let Some(member) = members.get_mut(name) {
                    fill(property, member, depth);
                }
            }
        }
        Value::Array(items) => {
            let Some(schema) = schema.get("items") else { return };
            for item in items {
                fill(schema, item, depth);
            }
        }
        _ => {}
    }
}

/// What a validator's error says, for people who write settings.
fn problems(schema: &Value, error: &ValidationError<'_>) -> Vec<Problem> {
    let pointer = error.instance_path().as_str();
    let message = match error.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected }
        | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
            let known = known_settings(schema, error.schema_path().as_str());
            let unknown = |name: &String| Problem {
                pointer: format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1")),
                message: clip(&format!("there is no setting `{name}`{known}")),
            };
            return unexpected.iter().take(PROBLEMS_MAX).map(unknown).collect();
        }
        ValidationErrorKind::Required { property } => format!("`{}` is needed", property.as_str().unwrap_or_default()),
        ValidationErrorKind::Type { kind: TypeKind::Single(kind) } => format!("must be {}", type_name(*kind)),
        ValidationErrorKind::Type { kind: TypeKind::Multiple(kinds) } => {
            format!("must be {}", kinds.iter().map(type_name).collect::<Vec<_>>().join(" or "))
        }
        ValidationErrorKind::Enum { options } => {
            let options = options.as_array().into_iter().flatten().take(LISTED_MAX).map(Value::to_string);
            format!("must be one of {}", options.collect::<Vec<_>>().join(", "))
        }
        ValidationErrorKind::Constant { expected_value } => format!("must be {expected_value}"),
        ValidationErrorKind::Minimum { limit } => format!("must be at least {limit}"),
        ValidationErrorKind::Maximum { limit } => format!("must be at most {limit}"),
        ValidationErrorKind::ExclusiveMinimum { limit } => format!("must be more than {limit}"),
        ValidationErrorKind::ExclusiveMaximum { limit } => format!("must be less than {limit}"),
        ValidationErrorKind::MinLength { limit: 1 } => "must not be empty".to_owned(),
        ValidationErrorKind::MinLength { limit } => format!("must have at least {limit} characters"),
        ValidationErrorKind::MaxLength { limit } => format!("must have at most {limit} characters"),
        ValidationErrorKind::MinItems { limit: 1 } => "must not be an empty list".to_owned(),
        ValidationErrorKind::MinItems { limit } => format!("must have at least {limit} items"),
        ValidationErrorKind::MaxItems { limit } => format!("must have at most {limit} items"),
        ValidationErrorKind::UniqueItems => "must not hold the same item twice".to_owned(),
        ValidationErrorKind::Pattern { pattern } => format!("does not match the pattern `{pattern}`"),
        ValidationErrorKind::Format { format } => format!("has not the format `{format}`"),
        ValidationErrorKind::Not { schema } => match schema.get("pattern").and_then(Value::as_str) {
            Some(pattern) => format!("must not match the pattern `{pattern}`"),
            None => "is not allowed".to_owned(),
        },
        _ => error.masked().to_string(),
    };
    vec![Problem { pointer: pointer.to_owned(), message: clip(&message) }]
}

/// The settings there are beside one there is not: `; there are ...`.
fn known_settings(schema: &Value, keyword: &str) -> String {
    let place = keyword.rsplit_once('/').map_or("", |(parent, _)| parent);
    let properties = schema.pointer(place).and_then(|schema| schema.get("properties")).and_then(Value::as_object);
    let names: Vec<String> =
        properties.into_iter().flatten().take(LISTED_MAX).map(|(name, _)| format!("`{name}`")).collect();
    if names.is_empty() { String::new() } else { format!("; there are {}", names.join(", ")) }
}

fn type_name(kind: JsonType) -> &'static str {
    match kind {
        JsonType::Array => "a list",
        JsonType::Boolean => "true or false",
        JsonType::Integer => "a whole number",
        JsonType::Null => "null",
        JsonType::Number => "a number",
        JsonType::Object => "an object",
        JsonType::String => "a text",
    }
}

/// A message, cut to what fits a line or two.
fn clip(message: &str) -> String {
    match message.char_indices().nth(MESSAGE_CHARS_MAX) {
        None => message.to_owned(),
        Some((at, _)) => format!("{}...", &message[..at]),
    }
}
