//! Checks of functions.

use crate::check::Report;
use crate::function::{CONCURRENCY, FUNCTION_NAME_BYTES_MAX, FunctionConfig, FunctionRuntime, MEMORY_MB, TIMEOUT_MS};
use crate::issue::codes;

pub(super) fn check(config: &FunctionConfig, report: &mut Report<'_>) {
    let is_name = |name: &str| {
        (1..=FUNCTION_NAME_BYTES_MAX).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    if !is_name(&config.function) {
        let message = "a function's name is 1 to 64 letters, digits, `-` and `_`";
        report.push(report.error(codes::REFUSED_VALUE, "/function", message));
    }
    let ranges = [
        ("/memory_mb", config.memory_mb, *MEMORY_MB.start(), *MEMORY_MB.end()),
        ("/timeout_ms", config.timeout_ms, *TIMEOUT_MS.start(), *TIMEOUT_MS.end()),
        ("/start_timeout_ms", config.start_timeout_ms, *TIMEOUT_MS.start(), *TIMEOUT_MS.end()),
        ("/concurrency", config.concurrency, *CONCURRENCY.start(), *CONCURRENCY.end()),
        ("/idle_seconds", config.idle_seconds, 1, 86_400),
    ];
    for (pointer, value, low, high) in ranges {
        report.check_range(value.into(), low.into(), high.into(), || pointer.to_owned());
    }
    if config.command.is_empty() && config.runtime != FunctionRuntime::Provided && !config.handler.contains('.') {
        let issue =
            report.error(codes::REFUSED_VALUE, "/handler", "a handler is a file and a function: `index.handler`");
        report.push(issue.help("`index.handler` is the function `handler` in `index.py` or `index.mjs`"));
    }
    for name in config.environment.keys() {
        let is_variable = !name.is_empty()
            && !name.starts_with(|first: char| first.is_ascii_digit())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !is_variable {
            let pointer = format!("/environment/{}", name.replace('~', "~0").replace('/', "~1"));
            let message = format!("`{name}` cannot be the name of an environment variable");
            report.push(report.error(codes::REFUSED_VALUE, pointer, message));
        } else if name.starts_with("AWS_LAMBDA_") || matches!(&**name, "_HANDLER" | "LAMBDA_TASK_ROOT") {
            let message = format!("`{name}` is set by the gateway");
            report.push(report.error(codes::REFUSED_VALUE, format!("/environment/{name}"), message));
        }
    }
}
