//! Cross-origin rules, ready to apply.

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, VARY,
};
use http::{HeaderName, HeaderValue};
use moongate_exchange::Headers;

/// Fields that upstreams must not set where the gateway does.
const OWNED: [HeaderName; 6] = [
    ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_ALLOW_CREDENTIALS,
    ACCESS_CONTROL_EXPOSE_HEADERS,
    ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_HEADERS,
    ACCESS_CONTROL_MAX_AGE,
];

/// Cross-origin rules of an API (Fetch standard, section 3.2).
#[derive(Debug, Default)]
pub struct CorsPlan {
    /// Origins by exact name.
    pub origins: Box<[Box<str>]>,
    /// Origins by scheme: `https://` for `https://*`.
    pub schemes: Box<[Box<str>]>,
    /// Whether every origin may read answers.
    pub any_origin: bool,
    /// Whether credentials may be sent.
    pub allow_credentials: bool,
    /// `Access-Control-Allow-Methods`, as it goes on the wire. `None`: none declared.
    pub methods: Option<HeaderValue>,
    /// `Access-Control-Allow-Headers`. `None`: none declared.
    pub headers: Option<HeaderValue>,
    /// `Access-Control-Expose-Headers`. `None`: none declared.
    pub expose: Option<HeaderValue>,
    /// `Access-Control-Max-Age`. `None`: the browser's default.
    pub max_age: Option<HeaderValue>,
}

impl CorsPlan {
    /// What `Access-Control-Allow-Origin` says to an origin; `None` when it may not read answers.
    pub fn allowed_origin(&self, origin: &HeaderValue) -> Option<HeaderValue> {
        if self.any_origin {
            return Some(HeaderValue::from_static("*"));
        }
        let text = origin.to_str().ok()?;
        let is_allowed = self.origins.iter().any(|known| known.eq_ignore_ascii_case(text))
            || self
                .schemes
                .iter()
                .any(|scheme| text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)));
        is_allowed.then(|| origin.clone())
    }

    /// Removes what an upstream said about cross-origin reading.
    pub fn strip(&self, headers: &mut Headers) {
        for name in &OWNED {
            headers.remove(name);
        }
    }

    /// Puts the fields on an answer to an allowed origin.
    pub fn apply(&self, origin: Option<&HeaderValue>, headers: &mut Headers) {
        if !self.any_origin {
            // The answer differs by origin, also for caches that ask without one.
            headers.append(VARY, HeaderValue::from_static("Origin"));
        }
        let Some(origin) = origin else { return };
        headers.set(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        if self.allow_credentials {
            headers.set(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
        if let Some(expose) = &self.expose {
            headers.set(ACCESS_CONTROL_EXPOSE_HEADERS, expose.clone());
        }
    }

    /// Puts the fields on the answer to a preflight from an allowed origin.
    pub fn apply_preflight(&self, headers: &mut Headers) {
        let fields = [
            (ACCESS_CONTROL_ALLOW_METHODS, &self.methods),
            (ACCESS_CONTROL_ALLOW_HEADERS, &self.headers),
            (ACCESS_CONTROL_MAX_AGE, &self.max_age),
        ];
        for (name, value) in fields {
            if let Some(value) = value {
                headers.set(name, value.clone());
            }
        }
    }
}
