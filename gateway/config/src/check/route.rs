//! Checks of routes: what they refer to, and that no two of them match the same requests.

use std::collections::HashMap;

use indexmap::IndexMap;

use crate::api::ApiConfig;
use crate::check::api::OPEN;
use crate::check::{Report, integration};
use crate::issue::{codes, quote};
use crate::project::Sources;
use crate::route::{RouteConfig, RouteKey};
use crate::source::pointer_to;

pub(super) fn check(api: &ApiConfig, sources: &Sources, report: &mut Report<'_>) {
    let mut first_of_shape: HashMap<String, usize> = HashMap::with_capacity(api.routes.len());
    let mut first_of_name: HashMap<&str, usize> = HashMap::new();
    for (at, route) in api.routes.iter().enumerate() {
        let pointer = format!("/routes/{at}");
        if let Some(first) = insert_first(&mut first_of_shape, shape(&route.key), at) {
            let issue =
                report.error(codes::SAME_ROUTE, format!("{pointer}/match"), format!("`{}` is routed twice", route.key));
            let place = report.on_line(&format!("/routes/{first}/match"));
            let other = &api.routes[first].key;
            report.push(issue.help(format!("`{other}`{place} matches the same requests")));
        }
        if let Some(name) = &route.name
            && let Some(first) = insert_first(&mut first_of_name, name.as_str(), at)
        {
            let issue = report.error(
                codes::NAME_TWICE,
                format!("{pointer}/name"),
                format!("there are two routes {}", quote(name)),
            );
            let place = report.on_line(&format!("/routes/{first}/name"));
            report.push(issue.help(format!("the other is{place}")));
        }
        check_references(api, route, &pointer, report);
        check_target(route, &pointer, sources, report);
    }
}

/// Remembers the first place of a key; the first place when there was one before.
fn insert_first<K: std::hash::Hash + Eq>(places: &mut HashMap<K, usize>, key: K, at: usize) -> Option<usize> {
    let first = *places.entry(key).or_insert(at);
    (first != at).then_some(first)
}

/// Which requests a route takes, the same text for routes that take the same ones: parameters lose their names.
fn shape(key: &RouteKey) -> String {
    let RouteKey::On { method, path } = key else { return key.to_string() };
    let mut shape = method.as_ref().map_or("ANY", http::Method::as_str).to_owned();
    for segment in path.split('/').skip(1) {
        shape.push('/');
        // Route keys are parsed: a brace opens a parameter that fills its segment.
        shape.push_str(match segment.starts_with('{') {
            true if segment.ends_with("+}") => "{+}",
            true => "{}",
            false => segment,
        });
    }
    shape
}

fn check_references(api: &ApiConfig, route: &RouteConfig, pointer: &str, report: &mut Report<'_>) {
    match &route.authorizer {
        Some(name) if name == OPEN => {}
        Some(name) => check_name("authorizer", name, &api.authorizers, || format!("{pointer}/authorizer"), report),
        None if api.default_authorizer.is_none() && !api.authorizers.is_empty() => {
            let issue = report.warning(
                codes::OPEN_ROUTE,
                format!("{pointer}/match"),
                format!("route `{}` has no authorizer", route.key),
            );
            report.push(issue.help("write `authorizer: none` if anyone may call it"));
        }
        None => {}
    }
    if let Some(name) = &route.request_validator {
        let pointer = || format!("{pointer}/request_validator");
        check_name("request validator", name, &api.request_validators, pointer, report);
    }
    for (media_type, name) in &route.request_models {
        let pointer = || pointer_to(&format!("{pointer}/request_models"), media_type);
        check_name("model", name, &api.models, pointer, report);
    }
    for (status, response) in &route.method_responses {
        let place = pointer_to(&format!("{pointer}/method_responses"), status);
        for (media_type, name) in &response.response_models {
            let pointer = || pointer_to(&format!("{place}/response_models"), media_type);
            check_name("model", name, &api.models, pointer, report);
        }
    }
}

fn check_name<T>(
    noun: &str,
    name: &str,
    known: &IndexMap<String, T>,
    pointer: impl FnOnce() -> String,
    report: &mut Report<'_>,
) {
    if !known.contains_key(name) {
        report.push_unknown_name(noun, name, pointer(), known.keys().map(String::as_str));
    }
}

fn check_target(route: &RouteConfig, pointer: &str, sources: &Sources, report: &mut Report<'_>) {
    if let Some(upstream) = &route.upstream {
        // HTTP/2 without TLS: the rest is a URL like any other.
        let url = upstream.strip_prefix("h2c://").map(|rest| format!("http://{rest}"));
        integration::check_uri(url.as_deref().unwrap_or(upstream), &format!("{pointer}/upstream"), report);
    }
    if let Some(integration) = &route.integration {
        integration::check(integration, &format!("{pointer}/integration"), sources, report);
    }
    let targets = [
        ("`upstream`", route.upstream.is_some()),
        ("`function`", route.function.is_some()),
        ("`integration`", route.integration.is_some()),
    ];
    let found: Vec<&str> = targets.iter().filter(|(_, is_there)| *is_there).map(|(name, _)| *name).collect();
    let found = match &*found {
        [_] => return,
        [] => "none".to_owned(),
        several => several.join(" and "),
    };
    let message =
        format!("a route has exactly one of `upstream`, `function` and `integration`; `{}` has {found}", route.key);
    report.push(report.error(codes::EXACTLY_ONE, pointer, message));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_that_match_the_same_requests_have_the_same_shape() {
        let key = |text: &str| RouteKey::try_from(text.to_owned()).expect(text);
        let cases = [
            ("GET /orders/{id}", "GET /orders/{order}", true),
            ("ANY /f/{path+}", "ANY /f/{rest+}", true),
            ("$default", "$default", true),
            ("GET /", "GET /", true),
            ("GET /orders/{id}", "POST /orders/{id}", false),
            ("GET /orders/{id}", "ANY /orders/{id}", false),
            ("GET /orders/{id}", "GET /orders/{id+}", false),
            ("GET /orders/{id}", "GET /orders/{id}/", false),
            ("GET /orders/{id}", "GET /orders/me", false),
            ("GET /a", "GET /A", false),
        ];
        for (a, b, want) in cases {
            assert_eq!(shape(&key(a)) == shape(&key(b)), want, "{a} {b}");
        }
    }
}
