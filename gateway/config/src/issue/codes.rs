//! Every code of this crate's issues, with the paragraph that `moongate explain CODE` prints.
//!
//! One table per part of the crate (the import's is `openapi/codes.rs`): a constant cannot be written without its
//! explanation. Ranges: `E00x` reading files, `E01x` decoding, `E02x`..`E04x` and `W00x` checks that need no compiling;
//! `E1xx` belong to compilation, `L0xx` to scripts, `E2xx` and `W2xx` to the OpenAPI import.

use crate::openapi;

/// A code and what it means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code {
    /// The code, such as `E014`.
    pub code: &'static str,
    /// One paragraph: what the problem is, why it is one, what to do.
    pub explanation: &'static str,
}

/// What a code of this crate means, the import's included; `None` for codes of other crates.
pub fn explain(code: &str) -> Option<&'static str> {
    CODES.iter().chain(openapi::codes::CODES).find(|entry| entry.code == code).map(|entry| entry.explanation)
}

/// Declares the constants and the table from the same lines, so that they cannot differ.
macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal: $explanation:literal;)*) => {
        $($(#[$doc])* pub const $name: &str = $code;)*

        /// The codes in order.
        pub const CODES: &[Code] = &[$(Code { code: $name, explanation: $explanation },)*];
    };
}

pub(crate) use codes;

codes! {
    /// The text is not YAML or JSON.
    SYNTAX = "E001": "The text cannot be read as YAML 1.2 (or, in a `.json` file, as JSON). The caret shows where reading \
        stopped; the cause is often on the line above: a missing quote or bracket, a tab used for indentation, a `:` \
        followed by a space inside an unquoted text. A file holds exactly one document.";
    /// A limit of the reader.
    LIMIT = "E002": "The document is larger, deeper or more repetitive than what is read: 64 MiB of text, 128 levels of \
        nesting, 8 million values, and anchors and aliases that make it more than ten times as large as its text. A number \
        without a finite value, such as 1e999 or .inf, is refused with the same code; in quotes it is a text.";
    /// More problems than are listed.
    TOO_MANY = "E003": "The document has more problems than are listed at once. Mend some of those shown and check again; \
        one cause often stands behind many of them.";
    /// The document is of no kind we know.
    UNKNOWN_DOCUMENT = "E004": "Every file under `apis/` must be a mapping with one of these keys at its top: `api:` for an \
        API in Moongate's own format, `domain:` for a custom domain, `upstream:` for an upstream, `openapi:` or `swagger:` for \
        an OpenAPI description; and every `function.yaml` under `functions/` has `function:`.";
    /// Nothing to load.
    EMPTY_PROJECT = "E005": "The project declares nothing. Its documents are looked for in `apis/` (files that end in \
        `.yaml`, `.yml` or `.json`, in folders below it too) and, next to that folder, in files that end in `.openapi.yaml`, \
        `.openapi.yml` or `.openapi.json`; functions are `function.yaml` files in folders of `functions/`.";
    /// Two documents declare the same thing.
    DECLARED_TWICE = "E006": "Two documents declare an API with the same id, or a domain, an upstream or a function with the \
        same name. Ids and names are addresses, so each can lead to one place only. The help names the first document.";
    /// A value of the wrong type.
    WRONG_TYPE = "E010": "A value has another type than its field: a text where a number belongs, a single value where a \
        list belongs. In YAML an unquoted `1.0`, `true` or `null` is a number, a truth value or nothing; in quotes it is \
        a text.";
    /// A word that is not one of the allowed ones.
    UNKNOWN_VALUE = "E011": "The field takes one of a few words and this is none of them. Words are written exactly as \
        listed, in the same case.";
    /// A required field is missing.
    MISSING_FIELD = "E012": "A required field is missing. The caret shows the mapping it belongs into.";
    /// A field that does not exist.
    UNKNOWN_FIELD = "E014": "The mapping has no field of this name. Unknown fields are refused rather than ignored, since a \
        misspelled `authorizer` that is silently ignored leaves a route open.";
    /// A key stands twice.
    DUPLICATE_KEY = "E015": "A key stands twice in the same mapping. YAML and JSON do not say which one would count, so \
        neither does.";
    /// A value of the right type that is not allowed.
    REFUSED_VALUE = "E016": "The value has the right type but not the right form; the message says which form it must have.";
    /// A name that refers to nothing.
    UNKNOWN_NAME = "E020": "The name refers to something that is not declared: an authorizer, a model, a request validator, \
        a stage, an API, an upstream. Names are case-sensitive. A route without an authorizer says `authorizer: none`.";
    /// Two routes that match the same requests.
    SAME_ROUTE = "E021": "Two routes of an API match exactly the same requests: the same method, and paths that differ at \
        most in the names of their parameters (`/orders/{id}` and `/orders/{order}`). Only one could ever answer.";
    /// A name used twice.
    NAME_TWICE = "E022": "Two things of the same kind in one list have the same name: routes, stages, API keys, or the base \
        paths of a domain. Each must be reachable under its own name.";
    /// A script that does not exist.
    NO_SUCH_FILE = "E023": "The project has no file of this name. Paths are relative to the project's folder, not to the \
        document that names them.";
    /// A path that leads out of the project.
    BAD_PATH = "E024": "Scripts are named by a path relative to the project's folder, with `/` between folders: \
        `lua/auth.lua`. Absolute paths, `.` and `..`, and backslashes are refused, so that a configuration can neither read \
        what is outside the project nor mean different files on different machines.";
    /// Fields that exclude each other.
    EXACTLY_ONE = "E025": "Exactly one of the named fields must be set: they are different ways to say the same thing, and \
        without any of them nothing is said.";
    /// A field that this kind needs.
    FIELD_NEEDED = "E026": "An integration or authorizer of this type cannot work without the named field.";
    /// Not an address of an upstream.
    BAD_URL = "E027": "An upstream is an absolute `http://` or `https://` URL with a host and without user name or fragment. \
        `{name}` stands for a mapped path parameter and `${stageVariables.name}` for a stage variable. `upstream://NAME` and a \
        path lead to the upstream that a document `upstream: NAME` declares. A target of such a document has no path.";
    /// A number out of its range.
    OUT_OF_RANGE = "E028": "The number is outside of the range that the field allows; the message names the range.";
    /// Cross-origin rules that browsers refuse.
    BAD_CORS = "E029": "The cross-origin rules cannot work in a browser. An origin is a scheme and a host, perhaps a port, \
        without a path (`https://app.example.com`), or `*`, or a scheme with any host (`https://*`). Credentials cannot be \
        allowed together with `*` (Fetch standard, section 3.2.5).";
    /// A stage variable beyond its limits.
    BAD_STAGE_VARIABLE = "E030": "A stage has at most 100 variables. Their names consist of letters, digits and `_` and have \
        at most 64 bytes, their values at most 512 bytes, as in AWS API Gateway.";
    /// A domain or base path that no request can have.
    BAD_DOMAIN = "E031": "A domain is a host name in lower case without a port, or `*.` and a host name; a base path is `/` \
        or segments such as `/orders/v2` without a slash at the end. Requests could not match anything else.";
    /// An API key that is neither a reference nor a hash.
    BAD_API_KEY = "E032": "An API key's value never stands in a configuration: `value` says where the gateway finds it \
        (`env:NAME` or `file:PATH`), `sha256` is its SHA-256 as 64 hexadecimal digits.";
    /// A name with a meaning of its own.
    RESERVED_NAME = "E033": "The name already means something else: `authorizer: none` opens a route, so no authorizer can \
        be called `none`.";
    /// A route that nothing guards.
    OPEN_ROUTE = "W007": "The API declares authorizers, this route names none, and there is no `default_authorizer`: anyone \
        can call it. When that is meant, say so with `authorizer: none`.";
    /// A field without effect.
    NO_EFFECT = "W008": "The field does nothing on an integration or authorizer of this type. Remove it, or change the type.";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    #[test]
    fn every_code_is_explained_once_and_in_whole_sentences() {
        let all: Vec<&Code> = CODES.iter().chain(openapi::codes::CODES).collect();
        let distinct: BTreeSet<&str> = all.iter().map(|entry| entry.code).collect();
        assert_eq!(distinct.len(), all.len(), "a code is declared twice");
        for Code { code, explanation } in all {
            assert!(code.len() == 4 && code[1..].bytes().all(|b| b.is_ascii_digit()), "{code}");
            assert!(explanation.ends_with('.') && !explanation.contains("  "), "{code}: {explanation}");
            assert_eq!(explain(code), Some(*explanation));
        }
        assert_eq!(explain("E999"), None);
    }

    /// Codes are named by their constants; a literal elsewhere would be one that nobody explains.
    #[test]
    fn no_source_of_this_crate_uses_a_code_that_is_not_explained() {
        let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).expect("a readable folder") {
                let path = entry.expect("a readable entry").path();
                if path.is_dir() {
                    folders.push(path);
                } else if !path.ends_with("codes.rs") {
                    let text = std::fs::read_to_string(&path).expect("a readable source");
                    for literal in text.split('"').filter(|text| is_code(text)) {
                        assert!(explain(literal).is_some(), "{} uses {literal}", path.display());
                    }
                }
            }
        }
    }

    fn is_code(text: &str) -> bool {
        text.len() == 4 && text.starts_with(['E', 'W', 'L']) && text[1..].bytes().all(|b| b.is_ascii_digit())
    }
}
