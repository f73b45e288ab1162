//! What a JSON path finds in a body, for the gateway's own mappings: no script is involved.

use super::Stop;
use super::path::{self, Found};

/// Nobody stops a mapping: what it can cost is bounded by the body's size.
struct Never;

impl Stop for Never {
    fn is_due(&self) -> bool {
        false
    }
}

/// The value a JSON path finds in a body, as mappings use it: a text without its quotes, anything else as JSON. `None` when there
/// is no such value, or it is null.
///
/// # Errors
///
/// What is wrong with the path or the body, as a fragment.
pub fn json_text(body: &[u8], path: &str) -> Result<Option<String>, String> {
    let mut list = Vec::new();
    let found = path::follow(path.as_bytes(), body, &mut list, &Never).map_err(|error| error.to_string())?;
    let json = match found {
        Found::Nothing => return Ok(None),
        Found::One(range) => &body[range],
        Found::Many => &list,
    };
    let value = serde_json::from_slice(json).map_err(|error| error.to_string())?;
    Ok(match value {
        serde_json::Value::Null => None,
        serde_json::Value::String(text) => Some(text),
        other => Some(other.to_string()),
    })
}

/// The JSON text of what a JSON path finds in a body, as templates read it; `None` where there is nothing.
///
/// # Errors
///
/// What is wrong with the path or the body, as a fragment.
pub fn json_at(body: &[u8], path: &str) -> Result<Option<String>, String> {
    let mut list = Vec::new();
    let found = path::follow(path.as_bytes(), body, &mut list, &Never).map_err(|error| error.to_string())?;
    let json = match found {
        Found::Nothing => return Ok(None),
        Found::One(range) => &body[range],
        Found::Many => &list,
    };
    String::from_utf8(json.to_vec()).map(Some).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_as_mappings_use_them() {
        let body = br#"{"a": {"b": [1, "x\u00e9", null, {"c": true}]}}"#;
        let cases = [
            ("$.a.b[0]", Some("1")),
            ("$.a.b[1]", Some("x\u{e9}")),
            ("$.a.b[2]", None),
            ("$.a.b[3]", Some(r#"{"c":true}"#)),
            ("$.none", None),
        ];
        for (path, want) in cases {
            assert_eq!(json_text(body, path), Ok(want.map(str::to_owned)), "{path}");
        }
        assert!(json_text(b"no json", "$.a").is_err());
        assert!(json_text(body, "$.a[?(@..x)]").is_err());
    }
}
