//! Addresses of upstreams, and origins.

use http::uri::{Authority, PathAndQuery};

use crate::ids::UpstreamName;
use crate::upstream::SCHEME;

/// What a stage variable stands as in an address.
const VARIABLE_START: &str = "${stageVariables.";

/// Why a text is not the address of an upstream: an absolute `http` or `https` URL without user name and fragment, with
/// `{name}` and `${stageVariables.name}` inside; or `upstream://` with the name of an upstream's document and a path. Under AWS's
/// habits (`is_aws`) any other `${name}` stands for itself.
pub(super) fn check_upstream(text: &str, is_aws: bool) -> Result<(), String> {
    if is_aws && text.starts_with("${") && !text.starts_with(VARIABLE_START) {
        // All of it is filled in by a deployment that has not happened yet; compiling says so.
        return Ok(());
    }
    let plain = without_placeholders(text, is_aws)?;
    let named = plain.strip_prefix(SCHEME);
    let Some(rest) = named.or_else(|| strip_scheme(&plain)) else {
        return Err("it must start with `http://` or `https://`, or with `upstream://`".to_owned());
    };
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    match named {
        Some(_) => drop(UpstreamName::try_from(authority.to_owned())?),
        None => check_authority(authority)?,
    }
    if path.contains('#') {
        return Err("a fragment (`#...`) is never sent to an upstream".to_owned());
    }
    if !path.is_empty() && (path.bytes().any(|b| !b.is_ascii_graphic()) || path.parse::<PathAndQuery>().is_err()) {
        return Err("its path or query has characters that must be percent-encoded".to_owned());
    }
    Ok(())
}

/// Why a text is not a target of an upstream: `http`, `https`, `srv+http` or `srv+https` with a host and nothing behind it.
pub(super) fn check_target(text: &str) -> Result<(), String> {
    let (is_srv, plain) = text.strip_prefix("srv+").map_or((false, text), |plain| (true, plain));
    let Some(authority) = strip_scheme(plain) else {
        return Err("it must start with `http://`, `https://`, `srv+http://` or `srv+https://`".to_owned());
    };
    let authority = authority.strip_suffix('/').unwrap_or(authority);
    if authority.contains(['/', '?', '#']) {
        return Err("a target has no path; routes say it behind the upstream's name".to_owned());
    }
    check_authority(authority)?;
    if is_srv && authority.contains(':') {
        return Err("SRV records say the port".to_owned());
    }
    Ok(())
}

/// Why a text is not an origin (RFC 6454 section 6.2), a scheme with any host, or `*`.
pub(super) fn check_origin(text: &str) -> Result<(), String> {
    if matches!(text, "*" | "http://*" | "https://*" | "null") {
        return Ok(());
    }
    let Some((scheme, authority)) = text.split_once("://") else {
        return Err("it has no scheme".to_owned());
    };
    let is_scheme_byte = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"+-.".contains(&b);
    if !scheme.starts_with(|c: char| c.is_ascii_lowercase()) || !scheme.bytes().all(is_scheme_byte) {
        return Err("its scheme is not in lower case, as browsers send it".to_owned());
    }
    if authority.contains(['/', '?', '#']) {
        return Err("an origin has no path, not even `/`".to_owned());
    }
    if authority.bytes().any(|b| b.is_ascii_uppercase()) {
        return Err("its host is not in lower case, as browsers send it".to_owned());
    }
    check_authority(authority)
}

/// `http` and `https`, in any case (RFC 3986 section 3.1).
fn strip_scheme(text: &str) -> Option<&str> {
    ["http://", "https://"].iter().find_map(|scheme| {
        let start = text.get(..scheme.len())?;
        start.eq_ignore_ascii_case(scheme).then(|| &text[scheme.len()..])
    })
}

fn check_authority(authority: &str) -> Result<(), String> {
    if authority.contains('@') {
        return Err("it must not hold a user name or password".to_owned());
    }
    let Ok(parsed) = authority.parse::<Authority>() else {
        return Err("its host is missing or malformed".to_owned());
    };
    let port = authority.strip_prefix(parsed.host()).unwrap_or_default();
    let is_port = port.is_empty()
        || port.strip_prefix(':').is_some_and(|digits| digits.parse::<u16>().is_ok_and(|port| port > 0));
    // Names, IPv4 and bracketed IPv6; RFC 3986's other characters are in no name that resolves.
    let is_host = |host: &str| host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._[]:".contains(&b));
    match (parsed.host().is_empty() || !is_host(parsed.host()), is_port) {
        (true, _) => Err("its host is missing or malformed".to_owned()),
        (false, false) => Err("its port is not a number from 1 to 65535".to_owned()),
        (false, true) => Ok(()),
    }
}

/// The text with a digit, which may stand anywhere in a URL, for every placeholder.
fn without_placeholders(text: &str, is_aws: bool) -> Result<String, String> {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}', '$']) {
        plain.push_str(&rest[..at]);
        rest = &rest[at..];
        let after = rest.strip_prefix(VARIABLE_START).or_else(|| rest.strip_prefix('{'));
        if after.is_none() && rest.starts_with('$') && !rest.starts_with("${") {
            // An ordinary character of paths.
            plain.push('$');
            rest = &rest[1..];
            continue;
        }
        let foreign =
            rest.strip_prefix("${").filter(|_| is_aws && after.is_none()).and_then(|rest| rest.split_once('}'));
        if let Some((_, after)) = foreign {
            plain.push('1');
            rest = after;
            continue;
        }
        let Some((name, after)) = after.and_then(|after| after.split_once('}')) else {
            return Err("a placeholder is `{name}` or `${stageVariables.name}`".to_owned());
        };
        let name = name.strip_suffix('+').unwrap_or(name);
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-:".contains(&b)) {
            return Err("a placeholder's name has letters, digits, `.`, `_`, `-` and `:`".to_owned());
        }
        plain.push('1');
        rest = after;
    }
    plain.push_str(rest);
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upstreams_are_absolute_urls_with_placeholders() {
        let good = [
            "http://orders:9000",
            "https://api.example.com/v2",
            "HTTPS://api.example.com",
            "http://10.0.0.1:80/a/{id}/b?x={y}&z=1",
            "http://[::1]:8080/",
            "http://${stageVariables.host}/x",
            "http://${stageVariables.host}:${stageVariables.port}/{proxy+}",
            "https://{tenant}.example.com/",
            "http://h/$metadata",
            "http://h?q=1",
            "upstream://orders/v2/{id}",
            "upstream://${stageVariables.name}",
        ];
        for text in good {
            assert_eq!(check_upstream(text, false), Ok(()), "{text}");
        }
        let bad = [
            ("", "start with"),
            ("orders:9000", "start with"),
            ("/orders", "start with"),
            ("ftp://x", "start with"),
            ("${stageVariables.url}", "start with"),
            ("http://", "host"),
            ("http:///path", "host"),
            ("http://:80", "host"),
            ("http://a b/", "host"),
            ("http://a_b\u{e9}/", "host"),
            ("http://user:pw@h/", "password"),
            ("http://h:99999", "port"),
            ("http://h:0", "port"),
            ("http://h:x", "port"),
            ("http://h/#top", "fragment"),
            ("http://h/a b", "percent-encoded"),
            ("http://h/\u{e9}", "percent-encoded"),
            ("http://h/{", "placeholder"),
            ("http://h/}", "placeholder"),
            ("http://h/{}", "name"),
            ("http://h/${context.stage}", "placeholder"),
            ("http://h/{a b}", "name"),
            ("upstream://", "name"),
            ("upstream://Orders/v1", "name"),
            ("upstream://orders:80/v1", "name"),
        ];
        for (text, why) in bad {
            let error = check_upstream(text, false).expect_err(text);
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn targets_are_hosts_without_a_path() {
        for text in
            ["http://10.0.0.1:9000", "https://a.example/", "http://[::1]:80", "srv+http://_http._tcp.orders.example"]
        {
            assert_eq!(check_target(text), Ok(()), "{text}");
        }
        let bad = [
            ("orders:9000", "start with"),
            ("http://orders/v1", "path"),
            ("http://", "host"),
            ("http://u@h", "password"),
            ("http://h:0", "port"),
            ("srv+http://_http._tcp.h:80", "port"),
            ("http://${stageVariables.h}", "host"),
        ];
        for (text, why) in bad {
            let error = check_target(text).expect_err(text);
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn origins_are_scheme_host_and_port() {
        for text in
            ["*", "https://*", "https://app.example.com", "http://localhost:3000", "capacitor://localhost", "null"]
        {
            assert_eq!(check_origin(text), Ok(()), "{text}");
        }
        let bad = [
            ("app.example.com", "scheme"),
            ("https://app.example.com/", "path"),
            ("https://App.example.com", "lower case"),
            ("HTTPS://app.example.com", "lower case"),
            ("https://*.example.com", "host"),
            ("https://", "host"),
            ("https://u@h", "password"),
            ("", "scheme"),
        ];
        for (text, why) in bad {
            let error = check_origin(text).expect_err(text);
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
