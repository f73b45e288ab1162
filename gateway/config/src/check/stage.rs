//! Checks of stages and their variables.

use std::collections::HashMap;

use crate::api::{ApiConfig, Protocol};
use crate::check::Report;
use crate::ids::StageName;
use crate::issue::{codes, quote};
use crate::source::pointer_to;
use crate::stage::StageConfig;

/// Most variables of a stage (source: API Gateway quotas).
const VARIABLES_MAX: usize = 100;
/// Longest name of a stage variable, in bytes (source: API Gateway quotas).
const VARIABLE_NAME_BYTES_MAX: usize = 64;
/// Longest value of a stage variable, in bytes (source: API Gateway quotas).
const VARIABLE_VALUE_BYTES_MAX: usize = 512;

/// The stage of REST APIs that declare none.
const REST_STAGE: &str = "dev";

/// The names of the stages an API is served on.
pub(super) fn names(api: &ApiConfig) -> impl Iterator<Item = &str> + Clone {
    let implied = match api.protocol {
        Protocol::Http => StageName::DEFAULT,
        Protocol::Rest => REST_STAGE,
    };
    let implied = api.stages.is_empty().then_some(implied);
    api.stages.iter().map(|stage| stage.name.as_str()).chain(implied)
}

pub(super) fn check(api: &ApiConfig, report: &mut Report<'_>) {
    let mut first: HashMap<&str, usize> = HashMap::with_capacity(api.stages.len());
    for (at, stage) in api.stages.iter().enumerate() {
        let pointer = format!("/stages/{at}");
        if let Some(first) = first.insert(stage.name.as_str(), at) {
            let issue = report.error(
                codes::NAME_TWICE,
                format!("{pointer}/name"),
                format!("there are two stages `{}`", stage.name),
            );
            let place = report.on_line(&format!("/stages/{first}/name"));
            report.push(issue.help(format!("the other is{place}")));
        }
        check_variables(stage, &pointer, report);
        check_routes(api, stage, &pointer, report);
    }
    if let Some(name) = &api.default_stage
        && !names(api).any(|known| known == name.as_str())
    {
        report.push_unknown_name("stage", name.as_str(), "/default_stage".to_owned(), names(api));
    }
}

/// What a stage changes must be routes that the API has.
fn check_routes(api: &ApiConfig, stage: &StageConfig, pointer: &str, report: &mut Report<'_>) {
    if stage.routes.is_empty() {
        return;
    }
    let keys: Vec<String> = api.routes.iter().map(|route| route.key.to_string()).collect();
    for key in stage.routes.keys().filter(|key| !keys.contains(key)) {
        let pointer = pointer_to(&format!("{pointer}/routes"), key);
        report.push_unknown_name("route", key, pointer, keys.iter().map(String::as_str));
    }
}

fn check_variables(stage: &StageConfig, pointer: &str, report: &mut Report<'_>) {
    let pointer = format!("{pointer}/variables");
    if stage.variables.len() > VARIABLES_MAX {
        let message = format!("a stage has at most {VARIABLES_MAX} variables; this one has {}", stage.variables.len());
        report.push(report.error(codes::BAD_STAGE_VARIABLE, &*pointer, message));
    }
    for (name, value) in &stage.variables {
        let is_name = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        let problem = if name.is_empty() || name.len() > VARIABLE_NAME_BYTES_MAX || !name.bytes().all(is_name) {
            format!(
                "{} is no name of a stage variable: 1 to {VARIABLE_NAME_BYTES_MAX} letters, digits and `_`",
                quote(name)
            )
        } else if value.len() > VARIABLE_VALUE_BYTES_MAX {
            let bytes = value.len();
            format!("a stage variable has at most {VARIABLE_VALUE_BYTES_MAX} bytes; the value of `{name}` has {bytes}")
        } else {
            continue;
        };
        let mut issue = report.error(codes::BAD_STAGE_VARIABLE, pointer_to(&pointer, name), problem);
        issue.span = report.key_place(&pointer, name);
        report.push(issue);
    }
}
