//! Routes that differ on one stage.

use moongate_config::revision::merge_patch;
use moongate_config::{ApiConfig, RouteConfig, StageConfig};
use serde_json::Value;

use crate::compile::context::{ApiContext, child};

/// Fields that say which route it is.
const FIXED: [&str; 2] = ["match", "name"];

/// The API as it is on a stage: every route that the stage changes is patched. Problems are reported; `None` when there was one.
pub(super) fn apply(cx: &mut ApiContext<'_>, stage: &StageConfig, index: usize) -> Option<ApiConfig> {
    let mut api = cx.api.clone();
    let mut is_broken = false;
    for (key, patch) in &stage.routes {
        let pointer = child(&format!("/stages/{index}/routes"), key);
        // A key that names no route was reported by `moongate_config::check`.
        let Some(route) = api.routes.iter_mut().find(|route| route.key.to_string() == *key) else { continue };
        match patched(route, patch) {
            Ok(changed) => *route = changed,
            Err(problem) => {
                cx.error("E150", &pointer, problem);
                is_broken = true;
            }
        }
    }
    (!is_broken).then_some(api)
}

fn patched(route: &RouteConfig, patch: &Value) -> Result<RouteConfig, String> {
    let Some(fields) = patch.as_object() else {
        return Err("what a stage changes of a route is a mapping of the route's fields".to_owned());
    };
    if let Some(name) = FIXED.iter().find(|name| fields.contains_key(**name)) {
        return Err(format!("a stage cannot change a route's `{name}`"));
    }
    let mut value = serde_json::to_value(route).map_err(|error| error.to_string())?;
    merge_patch(&mut value, patch);
    serde_json::from_value(value).map_err(|error| error.to_string())
}
