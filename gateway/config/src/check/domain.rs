//! Checks of custom domains: their names, their base paths, and that they lead somewhere.

use std::collections::{BTreeMap, HashMap};

use crate::api::ApiConfig;
use crate::check::{Report, Unread, stage};
use crate::domain::{BasePathMapping, DomainConfig};
use crate::issue::{codes, quote};
use crate::project::Project;

/// Longest host name, in bytes (RFC 1035 section 2.3.4, without the root's length byte and dot).
const HOST_BYTES_MAX: usize = 253;
/// Longest label of a host name, in bytes (RFC 1035 section 2.3.4).
const LABEL_BYTES_MAX: usize = 63;
/// The base path of mappings that name none.
const ROOT: &str = "/";

/// What base paths can lead to.
pub(super) struct Targets<'a> {
    apis: BTreeMap<&'a str, &'a ApiConfig>,
    unread: &'a Unread,
}

impl<'a> Targets<'a> {
    pub(super) fn new(project: &'a Project, unread: &'a Unread) -> Self {
        let apis = project.apis.iter().map(|declared| (declared.config.api.as_str(), &declared.config));
        Self { apis: apis.collect(), unread }
    }
}

pub(super) fn check(domain: &DomainConfig, targets: &Targets<'_>, report: &mut Report<'_>) {
    if !is_host(domain.domain.strip_prefix("*.").unwrap_or(&domain.domain)) {
        let message = format!("{} is not a domain", quote(&domain.domain));
        let issue = report.error(codes::BAD_DOMAIN, "/domain", message);
        report.push(issue.help("write a host name in lower case without a port, `api.example.com` or `*.example.com`"));
    }
    let mut first: HashMap<&str, usize> = HashMap::with_capacity(domain.mappings.len());
    for (at, mapping) in domain.mappings.iter().enumerate() {
        let pointer = format!("/mappings/{at}");
        let base_path = mapping.base_path.as_deref().unwrap_or(ROOT);
        if !is_base_path(base_path) {
            let message = format!("{} is not a base path", quote(base_path));
            let issue = report.error(codes::BAD_DOMAIN, format!("{pointer}/base_path"), message);
            report.push(issue.help("write `/`, or segments such as `/orders/v2` without a slash at the end"));
        }
        if let Some(first) = first.insert(base_path, at) {
            let place = report.on_line(&format!("/mappings/{first}"));
            let message = format!("the base path {} is mapped twice", quote(base_path));
            let issue = report.error(codes::NAME_TWICE, format!("{pointer}/base_path"), message);
            report.push(issue.help(format!("the other mapping is{place}")));
        }
        check_target(mapping, &pointer, targets, report);
    }
}

fn check_target(mapping: &BasePathMapping, pointer: &str, targets: &Targets<'_>, report: &mut Report<'_>) {
    let id = mapping.api.as_str();
    let Some(api) = targets.apis.get(id) else {
        if !targets.unread.is_incomplete && !targets.unread.apis.contains(id) {
            report.push_unknown_name("API", id, format!("{pointer}/api"), targets.apis.keys().copied());
        }
        return;
    };
    if let Some(name) = &mapping.stage
        && !stage::names(api).any(|known| known == name.as_str())
    {
        let noun = format!("stage of `{id}` called");
        report.push_unknown_name(&noun, name.as_str(), format!("{pointer}/stage"), stage::names(api));
    }
}

/// Labels of lower-case letters, digits and inner hyphens (RFC 952, RFC 1123 section 2.1).
fn is_host(host: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty()
            && label.len() <= LABEL_BYTES_MAX
            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    host.len() <= HOST_BYTES_MAX && host.split('.').all(is_label)
}

/// `/`, or segments of characters that need no encoding (source: API Gateway `CreateBasePathMapping`).
fn is_base_path(path: &str) -> bool {
    let is_segment = |segment: &str| {
        !matches!(segment, "" | "." | "..")
            && segment.bytes().all(|b| b.is_ascii_alphanumeric() || b"$-_.+!*'()".contains(&b))
    };
    path == ROOT || path.strip_prefix('/').is_some_and(|segments| segments.split('/').all(is_segment))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_lower_case_names() {
        for host in ["localhost", "api.example.com", "a-b.c", "10.0.0.1", "xn--bcher-kva.example"] {
            assert!(is_host(host), "{host}");
        }
        for host in
            ["", "API.example.com", "a..b", "a.", "-a.b", "a_b", "a:80", "a/b", "*", &"a".repeat(64), &"a.".repeat(200)]
        {
            assert!(!is_host(host), "{host}");
        }
    }

    #[test]
    fn base_paths_are_whole_segments() {
        for path in ["/", "/orders", "/orders/v2", "/a.b/(c)"] {
            assert!(is_base_path(path), "{path}");
        }
        for path in ["", "orders", "/orders/", "//", "/a//b", "/a/../b", "/a b", "/é", "/{id}", "/a?b"] {
            assert!(!is_base_path(path), "{path}");
        }
    }
}
