//! The names of extensions: which `x-moongate-*` and `x-amazon-apigateway-*` keys there are, and where they belong.

use crate::issue::quote;
use crate::source::Key;
use crate::suggest;

use super::codes;
use super::context::{At, Import};

/// What extensions of ours begin with.
const OURS: &str = "x-moongate-";
/// What AWS's begin with.
const AWS: &str = "x-amazon-apigateway-";

/// A kind of object that carries extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bearer {
    Document,
    PathItem,
    Operation,
    SecurityScheme,
    /// A place that carries none of ours.
    Other,
}

use Bearer::{Document, Operation, PathItem, SecurityScheme};

/// Our extensions and where each may stand.
const KNOWN: [(&str, &[Bearer]); 18] = [
    ("x-moongate-any-method", &[PathItem]),
    ("x-moongate-api", &[Document]),
    ("x-moongate-api-keys", &[Document]),
    ("x-moongate-authorizer", &[Document, PathItem, Operation, SecurityScheme]),
    ("x-moongate-authorizers", &[Document]),
    ("x-moongate-compat", &[Document]),
    ("x-moongate-cors", &[Document]),
    ("x-moongate-default-stage", &[Document]),
    ("x-moongate-document", &[Document]),
    ("x-moongate-gateway-responses", &[Document]),
    ("x-moongate-integration", &[Document, PathItem, Operation]),
    ("x-moongate-limits", &[Document]),
    ("x-moongate-plugins", &[Document, PathItem, Operation]),
    ("x-moongate-policies", &[Document, PathItem, Operation]),
    ("x-moongate-protocol", &[Document]),
    ("x-moongate-route", &[Operation]),
    ("x-moongate-stages", &[Document]),
    ("x-moongate-upstream", &[Document, PathItem, Operation]),
];

/// AWS's extensions (source: "OpenAPI extensions for API Gateway").
const KNOWN_AWS: [&str; 20] = [
    "x-amazon-apigateway-any-method",
    "x-amazon-apigateway-api-key-source",
    "x-amazon-apigateway-auth",
    "x-amazon-apigateway-authorizer",
    "x-amazon-apigateway-authtype",
    "x-amazon-apigateway-binary-media-types",
    "x-amazon-apigateway-cors",
    "x-amazon-apigateway-documentation",
    "x-amazon-apigateway-endpoint-access-mode",
    "x-amazon-apigateway-endpoint-configuration",
    "x-amazon-apigateway-gateway-responses",
    "x-amazon-apigateway-importexport-version",
    "x-amazon-apigateway-integration",
    "x-amazon-apigateway-integrations",
    "x-amazon-apigateway-minimum-compression-size",
    "x-amazon-apigateway-policy",
    "x-amazon-apigateway-request-validator",
    "x-amazon-apigateway-request-validators",
    "x-amazon-apigateway-security-policy",
    "x-amazon-apigateway-tag-value",
];

/// Whether a key is one of AWS's extensions.
pub(super) fn is_aws(key: &str) -> bool {
    key.starts_with(AWS)
}

/// Reports an object's key if it is an extension that nobody knows, or ours and out of place.
///
/// A misspelt extension of ours is an error: `x-moongate-authoriser` must not leave a route open. One of AWS's is a warning,
/// since AWS itself ignores it.
pub(super) fn check(import: &mut Import<'_>, bearer: Bearer, key: &Key, at: &At<'_>) {
    let name = &*key.text;
    let at = at.key(name);
    if name.starts_with(OURS) {
        let Some((_, bearers)) = KNOWN.iter().find(|(known, _)| *known == name) else {
            let message = format!("there is no extension {}", quote(name));
            let mut issue = import.error(codes::EXTENSION_UNKNOWN, &at, key.span, message);
            let here = KNOWN.iter().filter(|(_, bearers)| bearers.contains(&bearer)).map(|(known, _)| *known);
            if let Some(near) = closest(name, OURS, here) {
                issue = issue.label(format!("did you mean `{near}`?"));
            }
            import.push(issue);
            return;
        };
        if !bearers.contains(&bearer) {
            let places: Vec<&str> = bearers.iter().map(|bearer| bearer.as_str()).collect();
            let message = format!("`{name}` does not belong on {}", bearer.as_str());
            let help = format!("it belongs on {}", places.join(" or "));
            import.push(import.error(codes::EXTENSION_PLACE, &at, key.span, message).help(help));
        }
    } else if is_aws(name) && !KNOWN_AWS.contains(&name) {
        let message = format!("there is no extension {}; it has no effect", quote(name));
        let mut issue = import.warning(codes::EXTENSION_AWS_UNKNOWN, &at, key.span, message);
        if let Some(near) = closest(name, AWS, KNOWN_AWS.into_iter()) {
            issue = issue.label(format!("did you mean `{near}`?"));
        }
        import.push(issue);
    }
}

impl Bearer {
    fn as_str(self) -> &'static str {
        match self {
            Document => "the document's top level",
            PathItem => "a path",
            Operation => "an operation",
            SecurityScheme => "a security scheme",
            Bearer::Other => "this part of the document",
        }
    }
}

/// The known extension that a misspelt one was probably meant to be. Their common beginning says nothing.
fn closest<'c>(name: &str, prefix: &str, known: impl Iterator<Item = &'c str>) -> Option<&'c str> {
    let known: Vec<&'c str> = known.collect();
    let endings = known.iter().filter_map(|known| known.strip_prefix(prefix));
    let near = suggest::closest(name.strip_prefix(prefix)?, endings)?;
    known.into_iter().find(|known| known.strip_prefix(prefix) == Some(near))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misspelt_extensions_find_the_one_that_was_meant() {
        let cases = [
            ("x-moongate-authoriser", Some("x-moongate-authorizer")),
            ("x-moongate-upsteam", Some("x-moongate-upstream")),
            ("x-moongate-plugin", Some("x-moongate-plugins")),
            ("x-moongate-zebra", None),
            ("x-moongate-", None),
        ];
        for (name, want) in cases {
            assert_eq!(closest(name, OURS, KNOWN.iter().map(|(known, _)| *known)), want, "{name}");
        }
    }
}
