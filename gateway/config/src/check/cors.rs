//! Checks of cross-origin rules.

use http::{HeaderName, Method};

use crate::check::{Report, url};
use crate::cors::CorsConfig;
use crate::issue::{codes, quote};

/// Anything.
const ANY: &str = "*";
/// Forbids keeping a preflight's answer (Fetch standard, section 3.2.3).
const MAX_AGE_SECONDS_MIN: i64 = -1;
/// The longest that API Gateway takes; browsers keep preflights for at most that long or less.
const MAX_AGE_SECONDS_MAX: i64 = 86_400;

pub(super) fn check(rules: &CorsConfig, report: &mut Report<'_>) {
    for (at, origin) in rules.allow_origins.iter().enumerate() {
        if let Err(why) = url::check_origin(origin) {
            let message = format!("{} is not an origin: {why}", quote(origin));
            let issue = report.error(codes::BAD_CORS, format!("/cors/allow_origins/{at}"), message);
            report.push(
                issue.help(
                    "an origin looks like `https://app.example.com`, `http://localhost:3000`, `https://*` or `*`",
                ),
            );
        }
    }
    let methods = rules.allow_methods.iter().map(|method| (method, Method::from_bytes(method.as_bytes()).is_ok()));
    check_names("allow_methods", "a method", methods, report);
    for (field, names) in [("allow_headers", &rules.allow_headers), ("expose_headers", &rules.expose_headers)] {
        let names = names.iter().map(|name| (name, HeaderName::from_bytes(name.as_bytes()).is_ok()));
        check_names(field, "a header name", names, report);
    }
    if rules.allow_credentials {
        let lists = [
            ("allow_origins", &rules.allow_origins),
            ("allow_methods", &rules.allow_methods),
            ("allow_headers", &rules.allow_headers),
            ("expose_headers", &rules.expose_headers),
        ];
        for (field, _) in lists.into_iter().filter(|(_, list)| list.iter().any(|item| item == ANY)) {
            let message = format!("credentials cannot be allowed together with `*` in `{field}`");
            let issue = report.error(codes::BAD_CORS, "/cors/allow_credentials", message);
            report.push(issue.help(format!("list what is allowed in `{field}`, or remove `allow_credentials`")));
        }
    }
    if let Some(seconds) = rules.max_age_seconds {
        let pointer = || "/cors/max_age_seconds".to_owned();
        report.check_range(seconds.into(), MAX_AGE_SECONDS_MIN, MAX_AGE_SECONDS_MAX, pointer);
    }
}

fn check_names<'a>(field: &str, noun: &str, names: impl Iterator<Item = (&'a String, bool)>, report: &mut Report<'_>) {
    for (at, (name, _)) in names.enumerate().filter(|(_, (_, is_valid))| !is_valid) {
        let message = format!("{} is not {noun}", quote(name));
        report.push(report.error(codes::REFUSED_VALUE, format!("/cors/{field}/{at}"), message));
    }
}
