//! `/apis/{api}/routes`: the routes of a draft, each as a resource of its own.
//!
//! A route is found by its name, or by one made of its `match`: `GET /orders/{id}` is `get-orders-id`. Its entity tag is the digest of the
//! route alone: two people who edit different routes of an API do not get in each other's way, and two who edit the same do.

use moongate_admin_store::Expect;
use moongate_admin_store::records::{ApiRecord, Role};
use moongate_config::{ApiConfig, Digest, RouteConfig};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::api::apis::{self, ApiInput};
use crate::call::{Call, List, Outcome, Reply};
use crate::problem::Problem;

/// A route as it is written: as in a project's document.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(transparent)]
pub(crate) struct RouteInput(RouteConfig);

/// A route as it is shown.
#[derive(Serialize, JsonSchema)]
pub(crate) struct RouteView {
    /// Its name in URLs.
    slug: String,
    /// The version for `If-Match`.
    version: String,
    /// The route.
    route: Value,
}

/// The name of a route in URLs.
pub(crate) fn slug(route: &RouteConfig) -> String {
    if let Some(name) = &route.name {
        return name.clone();
    }
    let mut slug = String::new();
    for c in route.key.to_string().chars() {
        match c {
            c if c.is_ascii_alphanumeric() => slug.push(c.to_ascii_lowercase()),
            '+' => slug.push_str("-all"),
            _ if slug.ends_with('-') || slug.is_empty() => {}
            _ => slug.push('-'),
        }
    }
    slug.trim_end_matches('-').to_owned()
}

fn view(route: &RouteConfig) -> RouteView {
    RouteView { slug: slug(route), version: tag(route), route: serde_json::to_value(route).unwrap_or_default() }
}

fn tag(route: &RouteConfig) -> String {
    Digest::of(route).map(|digest| digest.to_string()).unwrap_or_default()
}

/// A draft with its document typed.
struct Typed {
    record: ApiRecord,
    config: ApiConfig,
    version: i64,
}

async fn typed(call: &Call, role: Role) -> Result<Typed, Problem> {
    let stored = apis::draft(call, role).await?;
    let config = serde_json::from_value(stored.record.document.clone());
    let config =
        config.map_err(|error| Problem::conflict(format!("the draft cannot be read by this version: {error}")))?;
    Ok(Typed { record: stored.record, config, version: stored.version })
}

impl Typed {
    /// Where the route of the URL is.
    fn position(&self, call: &Call) -> Result<usize, Problem> {
        let wanted = call.param("route");
        let found = self.config.routes.iter().position(|route| slug(route) == wanted);
        found.ok_or_else(|| Problem::missing("route", wanted))
    }

    /// Writes the draft back. What others changed in between, in other routes, is a conflict that the caller solves by trying again.
    async fn save(self, call: &Call) -> Result<(), Problem> {
        let input = ApiInput { document: self.config, files: self.record.files };
        apis::save(call, input, Expect::Version(self.version), false).await.map(drop)
    }
}

pub(crate) async fn list(call: Call) -> Outcome {
    let typed = typed(&call, Role::Viewer).await?;
    Reply::ok(List { items: typed.config.routes.iter().map(view).collect(), next: None })
}

pub(crate) async fn show(call: Call) -> Outcome {
    let typed = typed(&call, Role::Viewer).await?;
    let route = &typed.config.routes[typed.position(&call)?];
    Ok(Reply::ok(view(route))?.etag(tag(route)))
}

pub(crate) async fn create(call: Call) -> Outcome {
    let RouteInput(route) = call.body()?;
    let mut typed = typed(&call, Role::Editor).await?;
    let name = slug(&route);
    if typed.config.routes.iter().any(|known| slug(known) == name) {
        return Err(Problem::new(http::StatusCode::CONFLICT, "exists", format!("there is already a route `{name}`")));
    }
    let (shown, location) = (view(&route), format!("{}/apis/{}/routes/{name}", crate::router::API, typed.record.id));
    let version = tag(&route);
    typed.config.routes.push(route);
    typed.save(&call).await?;
    Ok(Reply::created(shown, location)?.etag(version))
}

pub(crate) async fn put(call: Call) -> Outcome {
    let RouteInput(route) = call.body()?;
    replace(&call, |_| Ok(route)).await
}

pub(crate) async fn patch(call: Call) -> Outcome {
    replace(&call, |current| Ok(call.patched::<RouteInput>(current)?.0)).await
}

async fn replace(call: &Call, make: impl FnOnce(&RouteConfig) -> Result<RouteConfig, Problem>) -> Outcome {
    let mut typed = typed(call, Role::Editor).await?;
    let at = typed.position(call)?;
    let current = &typed.config.routes[at];
    let shown = serde_json::to_value(current).unwrap_or_default();
    call.matches(Some((&tag(current), shown)))?;
    let route = make(current)?;
    let others = typed.config.routes.iter().enumerate().filter(|(index, _)| *index != at);
    if others.into_iter().any(|(_, other)| slug(other) == slug(&route)) {
        return Err(Problem::conflict(format!("another route is called `{}`", slug(&route))));
    }
    let (shown, version) = (view(&route), tag(&route));
    typed.config.routes[at] = route;
    typed.save(call).await?;
    Ok(Reply::ok(shown)?.etag(version))
}

pub(crate) async fn delete(call: Call) -> Outcome {
    let mut typed = typed(&call, Role::Editor).await?;
    let at = typed.position(&call)?;
    let current = &typed.config.routes[at];
    call.matches(Some((&tag(current), serde_json::to_value(current).unwrap_or_default())))?;
    typed.config.routes.remove(at);
    typed.save(&call).await?;
    Reply::nothing()
}
