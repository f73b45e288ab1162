//! Running scripts on the request path: what a failed script means for the request.

use http::StatusCode;
use moongate_exchange::{Kind, Rejection};
use moongate_lua::{Bank, ErrorKind, ScriptError, VmGuard};

use crate::plan::RoutePlan;

/// The virtual machine of this thread, for scripts that do not wait.
pub(super) fn vm(route: &RoutePlan) -> Result<VmGuard<'_>, Rejection> {
    bank(route).map(Bank::vm)
}

/// The virtual machines of the route's scripts.
pub(super) fn bank(route: &RoutePlan) -> Result<&Bank, Rejection> {
    route
        .scripts
        .as_deref()
        .ok_or_else(|| Rejection::new(Kind::ApiConfigurationError, "the route names a script but has none compiled"))
}

/// The rejection of a request whose mapping template, plugin or function failed.
pub(super) fn failed(error: ScriptError) -> Rejection {
    let rejection = match error.kind {
        ErrorKind::Busy => {
            Rejection::new(Kind::ApiConfigurationError, describe(&error)).status(StatusCode::SERVICE_UNAVAILABLE)
        }
        ErrorKind::BodyNotJson => {
            Rejection::new(Kind::BadRequestBody, describe(&error)).status(StatusCode::BAD_REQUEST)
        }
        _ => Rejection::new(Kind::ApiConfigurationError, describe(&error)),
    };
    rejection.source(error)
}

/// The rejection of a request whose authorizer failed.
pub(super) fn authorizer_failed(error: ScriptError) -> Rejection {
    let kind = match error.kind {
        // Source: API Gateway, "Configure a Lambda authorizer": raising exactly this answers 401.
        ErrorKind::Raised if error.message == "Unauthorized" => Kind::Unauthorized,
        ErrorKind::BadResult => Kind::AuthorizerConfigurationError,
        _ => Kind::AuthorizerFailure,
    };
    Rejection::new(kind, describe(&error)).source(error)
}

/// Script, line, and what was exceeded or raised.
fn describe(error: &ScriptError) -> String {
    match error.line {
        Some(line) => format!("{}:{line}: {}", error.script, error.message),
        None => format!("{}: {}", error.script, error.message),
    }
}
