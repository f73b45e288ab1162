//! URLs of upstreams, taken apart once.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use indexmap::IndexMap;

use crate::plan::UriPart;
use crate::upstream::{self, Upstream, UpstreamSpec};

/// Upstreams by what distinguishes them, so that an upstream that did not change keeps its id, and with it its connections,
/// when a configuration is compiled again.
#[derive(Default)]
pub(super) struct Interner(HashMap<UpstreamSpec, Weak<Upstream>>);

/// A URL taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Url<'text> {
    pub(super) is_tls: bool,
    pub(super) host: &'text str,
    pub(super) port: u16,
    /// Path and query, starting with `/`, or empty.
    pub(super) rest: &'text str,
}

impl Interner {
    pub(super) fn get(&mut self, spec: UpstreamSpec) -> Arc<Upstream> {
        if let Some(known) = self.0.get(&spec).and_then(Weak::upgrade) {
            return known;
        }
        let made = Arc::new(Upstream { id: upstream::next_id(), spec: spec.clone() });
        self.0.insert(spec, Arc::downgrade(&made));
        made
    }

    /// Lets go of upstreams that no snapshot uses any more.
    pub(super) fn forget_unused(&mut self) {
        self.0.retain(|_, upstream| upstream.strong_count() > 0);
    }
}

/// Replaces `${stageVariables.NAME}` by the stage's value, an unknown one by nothing (source: recorded AWS behaviour).
pub(super) fn with_variables(text: &str, variables: &IndexMap<String, String>) -> String {
    const START: &str = "${stageVariables.";
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(START) {
        let name_at = start + START.len();
        let Some(length) = rest[name_at..].find('}') else { break };
        filled.push_str(&rest[..start]);
        filled.push_str(variables.get(&rest[name_at..name_at + length]).map_or("", String::as_str));
        rest = &rest[name_at + length + 1..];
    }
    filled.push_str(rest);
    filled
}

/// The name of the Lambda function that a URI means: an integration's or a function's ARN, or the bare name. An alias or version
/// behind the name is not part of it.
pub(super) fn function_name(uri: &str) -> Option<&str> {
    let function = match uri.split_once("/functions/") {
        Some((_, rest)) => rest.strip_suffix("/invocations").unwrap_or(rest),
        None => uri,
    };
    let name = match function.split_once(":function:") {
        Some((_, name)) => name,
        None if function.contains('/') => return None,
        None => function,
    };
    let name = name.split(':').next()?;
    (!name.is_empty()).then_some(name)
}

/// The first `${stageVariables.NAME}` of which the stage knows nothing.
pub(super) fn missing_variable<'text>(text: &'text str, variables: &IndexMap<String, String>) -> Option<&'text str> {
    let names = text.split("${stageVariables.").skip(1).filter_map(|rest| rest.split_once('}').map(|(name, _)| name));
    names.into_iter().find(|name| !variables.contains_key(*name))
}

/// Takes a URL apart.
///
/// # Errors
///
/// A fragment that says what is wrong with it.
pub(super) fn split(text: &str) -> Result<Url<'_>, String> {
    let (is_tls, rest) = match text.split_once("://") {
        Some(("http", rest)) => (false, rest),
        Some(("https", rest)) => (true, rest),
        _ => return Err(format!("`{text}` is not a URL with `http://` or `https://`")),
    };
    let authority_end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at(authority_end);
    let (host, port) = match authority.strip_prefix('[') {
        Some(address) => {
            let (host, port) =
                address.split_once(']').ok_or_else(|| format!("`{text}` has an address without its `]`"))?;
            let is_address = host.parse::<std::net::Ipv6Addr>().is_ok();
            let port = if port.is_empty() { Some("") } else { port.strip_prefix(':') };
            match port {
                Some(port) if is_address => (host, port),
                _ => return Err(format!("`{authority}` is not an address and a port")),
            }
        }
        None => authority.split_once(':').unwrap_or((authority, "")),
    };
    if host.contains(['{', '}']) {
        return Err(format!("the host in `{text}` depends on the request; only stage variables may stand there"));
    }
    let is_name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':');
    if host.is_empty() || !host.bytes().all(is_name) {
        return Err(format!("`{text}` has no usable host name"));
    }
    let port = match port {
        "" if is_tls => 443,
        "" => 80,
        digits => match digits.parse::<u16>() {
            Ok(port) if port > 0 => port,
            _ => return Err(format!("`{digits}` in `{text}` is not a port from 1 to 65535")),
        },
    };
    Ok(Url { is_tls, host, port, rest })
}

/// Takes a path and query with `{name}` holes apart. An empty one is `/`.
pub(super) fn template(rest: &str) -> Box<[UriPart]> {
    let mut parts = Vec::new();
    let mut text = String::new();
    if !rest.starts_with('/') {
        text.push('/');
    }
    let mut rest = rest.split('#').next().unwrap_or_default();
    while let Some(open) = rest.find('{') {
        let Some(length) = rest[open..].find('}') else { break };
        let name = rest[open + 1..open + length].trim_end_matches('+');
        text.push_str(&rest[..open]);
        if !text.is_empty() {
            parts.push(UriPart::Text(std::mem::take(&mut text).into()));
        }
        parts.push(UriPart::Parameter(name.into()));
        rest = &rest[open + length + 1..];
    }
    text.push_str(rest);
    if !text.is_empty() {
        parts.push(UriPart::Text(text.into()));
    }
    parts.into()
}

#[cfg(test)]
mod tests {
    use moongate_config::integration::HttpVersion;
    use moongate_config::upstream::BalancePolicy;

    use super::*;
    use crate::upstream::{PoolLimits, Target};

    #[test]
    fn urls_are_taken_apart() {
        let url = |is_tls, host, port, rest| Ok(Url { is_tls, host, port, rest });
        let cases = [
            ("http://orders:9000", url(false, "orders", 9000, "")),
            ("https://api.example.com/v2?x=1", url(true, "api.example.com", 443, "/v2?x=1")),
            ("http://127.0.0.1/", url(false, "127.0.0.1", 80, "/")),
            ("http://[::1]:8080/a", url(false, "::1", 8080, "/a")),
            ("http://x?y", url(false, "x", 80, "?y")),
        ];
        for (text, want) in cases {
            assert_eq!(split(text), want, "{text}");
        }
        for bad in [
            "",
            "orders:9000",
            "ftp://x",
            "http://",
            "http://x:0",
            "http://x:99999",
            "http://{h}/",
            "http://a b/",
            "http://[::1",
            "http://u@x/",
        ] {
            assert!(split(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn stage_variables_fill_urls() {
        let variables = IndexMap::from([("host".to_owned(), "blue.example.com".to_owned())]);
        let cases = [
            ("http://${stageVariables.host}/x", "http://blue.example.com/x"),
            ("http://a/${stageVariables.none}b/${path}", "http://a/b/${path}"),
            ("http://a/${stageVariables.open", "http://a/${stageVariables.open"),
        ];
        for (text, want) in cases {
            assert_eq!(with_variables(text, &variables), want);
        }
    }

    #[test]
    fn an_unchanged_upstream_keeps_its_identity() {
        let mut interner = Interner::default();
        let spec = |port| UpstreamSpec {
            name: None,
            targets: [Target {
                host: "a".into(),
                port,
                is_srv: false,
                weight: 1,
                authority: http::HeaderValue::from_static("a"),
                tls: None,
                reach: None,
            }]
            .into(),
            version: HttpVersion::Auto,
            balance: BalancePolicy::RoundRobin,
            pool: PoolLimits::default(),
            health_check: None,
            outliers: None,
            breaker: None,
        };
        let first = interner.get(spec(80));
        assert_eq!(interner.get(spec(80)).id, first.id);
        assert_ne!(interner.get(spec(81)).id, first.id);
        drop(first);
        interner.forget_unused();
        assert!(interner.0.is_empty());
    }
}
