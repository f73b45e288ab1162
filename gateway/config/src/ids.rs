//! Names that look like strings but are not interchangeable.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Longest [`ApiId`] and [`StageName`], in bytes.
///
/// 63 is the longest DNS label (RFC 1035 section 2.3.4): an API's id is the first label of its
/// `{api}.execute-api.localhost` host name.
pub const API_ID_BYTES_MAX: usize = 63;

/// Longest [`StageName`], in bytes (source: API Gateway `CreateStage`).
pub const STAGE_NAME_BYTES_MAX: usize = 128;

/// Identifies an API: `[a-z0-9]` and inner `-`, 1..=63 bytes, so that it can be a host name label.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String", extend("pattern" = "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"))]
pub struct ApiId(String);

/// Names an upstream's document: `[a-z0-9]` and inner `-`, 1..=63 bytes, so that it can stand where a URL has its host.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String", extend("pattern" = "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"))]
pub struct UpstreamName(String);

/// Names a stage of an API: `[A-Za-z0-9_-]`, 1..=128 bytes, or `$default` (source: API Gateway `CreateStage`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String", extend("pattern" = "^(\\$default|[A-Za-z0-9_-]{1,128})$"))]
pub struct StageName(String);

impl ApiId {
    /// Makes an id out of free text (an API's title): lower case, other characters become single hyphens.
    ///
    /// Returns `None` when nothing usable is left.
    pub fn from_title(title: &str) -> Option<Self> {
        let mut slug = String::new();
        for c in title.chars() {
            if c.is_ascii_alphanumeric() {
                slug.push(c.to_ascii_lowercase());
            } else if !slug.ends_with('-') && !slug.is_empty() {
                slug.push('-');
            }
        }
        slug.truncate(API_ID_BYTES_MAX);
        Self::try_from(slug.trim_end_matches('-').to_owned()).ok()
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl StageName {
    /// The name of an HTTP API's stage that answers without a stage in the path.
    pub const DEFAULT: &'static str = "$default";

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ApiId {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if !is_label(&text) {
            return Err(format!("`{text}` is not an API id: 1 to 63 of a-z, 0-9 and inner hyphens"));
        }
        Ok(Self(text))
    }
}

impl UpstreamName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for UpstreamName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if !is_label(&text) {
            return Err(format!("`{text}` is not an upstream's name: 1 to 63 of a-z, 0-9 and inner hyphens"));
        }
        Ok(Self(text))
    }
}

/// Lower-case letters, digits and inner hyphens, as long as a label of a host name may be.
fn is_label(text: &str) -> bool {
    let bytes = text.as_bytes();
    (1..=API_ID_BYTES_MAX).contains(&bytes.len())
        && bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

impl TryFrom<String> for StageName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let ok = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
        if text != Self::DEFAULT && (text.is_empty() || text.len() > STAGE_NAME_BYTES_MAX || !text.bytes().all(ok)) {
            return Err(format!("`{text}` is not a stage name: 1 to 128 of A-Z, a-z, 0-9, _ and -, or $default"));
        }
        Ok(Self(text))
    }
}

impl From<ApiId> for String {
    fn from(id: ApiId) -> Self {
        id.0
    }
}

impl From<UpstreamName> for String {
    fn from(name: UpstreamName) -> Self {
        name.0
    }
}

impl From<StageName> for String {
    fn from(name: StageName) -> Self {
        name.0
    }
}

impl fmt::Display for ApiId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for UpstreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for StageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn api_ids_are_host_name_labels() {
        for good in ["a", "petstore", "orders-v2", "0a"] {
            assert!(ApiId::try_from(good.to_owned()).is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "A", "a.b", "a/b", &"a".repeat(64)] {
            assert!(ApiId::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_title_becomes_an_id() {
        assert_eq!(ApiId::from_title("Simple PetStore (OpenAPI)").expect("usable").as_str(), "simple-petstore-openapi");
        assert_eq!(ApiId::from_title("!!!"), None);
    }
}
