//! A client of the management API: for the command line, and for gateways that follow a control plane on another machine.
//!
//! It blocks, and is used on threads of its own only, never on a worker.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use serde::de::DeserializeOwned;
use serde_json::Value;
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};
use ureq::{Agent, Body, RequestExt as _};

/// Where the management API begins.
const API: &str = "/api/v1";
/// Longest an ordinary call may take.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Largest answer: a whole project.
const ANSWER_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// A control plane and how to talk to it.
pub(crate) struct Client {
    base: String,
    token: String,
    agent: Agent,
}

/// What a call came to, where it did not come to an answer that was wanted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    /// Nobody answers, or not in HTTP.
    #[error("{url} cannot be reached: {reason}")]
    Unreachable { url: String, reason: String },
    /// The control plane says no.
    #[error("{detail}")]
    Refused { status: u16, detail: String, problem: Value },
    /// The answer is of another form than this version knows.
    #[error("the answer of {url} cannot be read: {reason}")]
    Unreadable { url: String, reason: String },
}

impl Client {
    /// A client of the control plane at `url`. `ca_file` holds the certificate authorities to trust instead of the system's.
    ///
    /// # Errors
    ///
    /// When the certificates cannot be read.
    pub(crate) fn new(url: &str, token: &str, ca_file: Option<&Path>) -> anyhow::Result<Self> {
        let base = url.trim_end_matches('/').trim_end_matches(API).to_owned();
        let roots = match ca_file {
            None => RootCerts::PlatformVerifier,
            Some(path) => {
                let text = std::fs::read(path).with_context(|| format!("the certificates `{}`", path.display()))?;
                let items = ureq::tls::parse_pem(&text).filter_map(|item| match item {
                    Ok(ureq::tls::PemItem::Certificate(certificate)) => Some(certificate),
                    _ => None,
                });
                let certificates: Vec<Certificate<'static>> = items.collect();
                anyhow::ensure!(!certificates.is_empty(), "`{}` holds no certificate in PEM form", path.display());
                RootCerts::Specific(Arc::new(certificates))
            }
        };
        let tls = TlsConfig::builder().provider(TlsProvider::NativeTls).root_certs(roots).build();
        let config = Agent::config_builder()
            .tls_config(tls)
            .http_status_as_error(false)
            .timeout_connect(Some(Duration::from_secs(10)))
            // A redirect would take the token somewhere else.
            .max_redirects(0)
            .proxy(None)
            .build();
        Ok(Self { base, token: token.to_owned(), agent: config.into() })
    }

    /// `GET`; `None` for 204.
    ///
    /// # Errors
    ///
    /// See [`CallError`].
    pub(crate) fn get<T: DeserializeOwned>(&self, path: &str, wait: Duration) -> Result<Option<T>, CallError> {
        let text = self.call("GET", path, None, TIMEOUT + wait)?;
        text.map(|text| self.read(path, &text)).transpose()
    }

    /// Any method, with a body of JSON.
    ///
    /// # Errors
    ///
    /// See [`CallError`].
    pub(crate) fn send(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value, CallError> {
        let text = self.call(method, path, body, TIMEOUT)?;
        text.map_or(Ok(Value::Null), |text| self.read(path, &text))
    }

    fn read<T: DeserializeOwned>(&self, path: &str, text: &str) -> Result<T, CallError> {
        let unreadable =
            |error: serde_json::Error| CallError::Unreadable { url: self.full(path), reason: error.to_string() };
        serde_json::from_str(text).map_err(unreadable)
    }

    fn full(&self, path: &str) -> String {
        format!("{}{API}{path}", self.base)
    }

    fn call(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
        timeout: Duration,
    ) -> Result<Option<String>, CallError> {
        let url = self.full(path);
        let unreachable = |reason: String| CallError::Unreachable { url: self.base.clone(), reason };
        let mut request = ureq::http::Request::builder()
            .method(method)
            .uri(&url)
            .header("authorization", format!("Bearer {}", self.token));
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let body = body.map_or_else(String::new, Value::to_string);
        let request = request.body(body).map_err(|error| unreachable(error.to_string()))?;
        let request = request.with_agent(&self.agent).configure().timeout_global(Some(timeout)).build();
        let mut response = request.run().map_err(|error| unreachable(error.to_string()))?;
        let status = response.status().as_u16();
        if status == 204 {
            return Ok(None);
        }
        let text = text(response.body_mut()).map_err(|error| unreachable(error.to_string()))?;
        if (200..300).contains(&status) {
            return Ok(Some(text));
        }
        let problem: Value = serde_json::from_str(&text).unwrap_or_default();
        let detail = problem.get("detail").and_then(Value::as_str);
        let detail = detail.map_or_else(|| format!("{url} answers {status}"), str::to_owned);
        Err(CallError::Refused { status, detail, problem })
    }
}

fn text(body: &mut Body) -> Result<String, ureq::Error> {
    body.with_config().limit(ANSWER_BYTES_MAX).read_to_string()
}

/// A text as part of a URL's path or query (RFC 3986 section 2.3: what is unreserved stays).
pub(crate) fn encoded(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
