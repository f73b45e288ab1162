//! Authorizers.

use indexmap::IndexMap;
use moongate_config::authorizer::{AuthorizerConfig, AuthorizerType};
use moongate_lua::Kind;

use crate::compile::context::{ApiContext, child};
use crate::compile::scripts::Scripts;
use crate::compile::{expression, response};
use crate::plan::{AuthorizerPlan, LuaAuthorizerPlan, ValueSource};

/// The name routes use to say that they are open.
const NONE: &str = "none";

/// The authorizer a route uses, by its own word or by the API's default.
pub(super) fn compile(cx: &mut ApiContext<'_>, scripts: &Scripts, name: Option<&str>) -> Option<AuthorizerPlan> {
    let api = cx.api;
    let Some(name) = name.or(api.default_authorizer.as_deref()).filter(|name| *name != NONE) else {
        return Some(AuthorizerPlan::Open);
    };
    // A name that refers to nothing was reported by `moongate_config::check`; such a route must never be open.
    let Some(config) = api.authorizers.get(name) else {
        return Some(AuthorizerPlan::Unavailable(format!("there is no authorizer `{name}`").into()));
    };
    let pointer = child("/authorizers", name);
    if config.kind == AuthorizerType::Lua {
        return lua(cx, scripts, config, &pointer);
    }
    let reason = format!("authorizer `{name}` is of a type that cannot decide in this version");
    Some(AuthorizerPlan::Unavailable(reason.into()))
}

/// Warns once about each authorizer that cannot decide.
pub(super) fn warn_unavailable(cx: &mut ApiContext<'_>) {
    let api = cx.api;
    for (name, config) in &api.authorizers {
        if config.kind != AuthorizerType::Lua {
            let message = format!("authorizer `{name}` cannot decide in this version: its routes answer 500");
            cx.warning("W101", &child("/authorizers", name), message);
        }
    }
}

fn lua(cx: &mut ApiContext<'_>, scripts: &Scripts, config: &AuthorizerConfig, pointer: &str) -> Option<AuthorizerPlan> {
    let mut identity = Vec::new();
    for (index, text) in config.identity_source.iter().enumerate() {
        match expression::source(text, &IndexMap::new()) {
            Ok(ValueSource::Text(_)) => {
                let message = format!("`{text}` is the same for every caller and identifies none");
                cx.error("E101", &format!("{pointer}/identity_source/{index}"), message);
            }
            Ok(source) => identity.push(source),
            Err(message) => cx.error("E101", &format!("{pointer}/identity_source/{index}"), message),
        }
    }
    let validation = match &config.identity_validation_expression {
        Some(pattern) => Some(response::whole(cx, pattern, &child(pointer, "identity_validation_expression"))?),
        None => None,
    };
    let file = config.script.as_ref().and_then(|script| script.file.as_deref());
    let script = scripts.id(Kind::Authorizer, file, &child(pointer, "script"))?;
    Some(AuthorizerPlan::Lua(LuaAuthorizerPlan { script, identity: identity.into(), validation }))
}
