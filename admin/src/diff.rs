//! What is different between two revisions, in the words of those who read it: `POST /orders: rate limit 50 -> 100`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use moongate_admin_store::audit::Change;
use moongate_config::revision::{ApiManifest, StageManifest};
use moongate_config::{Deployment, Digest, Manifest};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

/// Longest value that is shown, in characters.
const SHOWN_MAX: usize = 60;

/// What became of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// It is different.
    Changed,
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Difference {
    /// What became of it.
    pub kind: Kind,
    /// The API; absent for domains.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api: Option<String>,
    /// The stage; absent where drafts are compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
    /// What it is: a route's `match`, a file, `stage`, `API`.
    pub subject: String,
    /// Which part of it, as a JSON pointer; empty for all of it.
    pub pointer: String,
    /// What it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Value>,
    /// What it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Value>,
    /// All of it in words.
    pub text: String,
}

/// Whoever has deployments by digest.
pub type Deployments<'a> = dyn Fn(&Digest) -> Option<Arc<Deployment>> + 'a;

/// The parts of two manifests that are not the same.
pub fn changed_only(before: &Manifest, after: &Manifest) -> (Manifest, Manifest) {
    let digest = |api: Option<&ApiManifest>| api.and_then(|api| Digest::of(api).ok());
    let is_changed = |id: &String| digest(before.apis.get(id)) != digest(after.apis.get(id));
    let domain =
        |manifest: &Manifest, name: &str| manifest.domains.get(name).and_then(|domain| Digest::of(domain).ok());
    let only = |manifest: &Manifest| {
        let apis = manifest.apis.iter().filter(|(id, _)| is_changed(id));
        let domains = manifest.domains.iter().filter(|(name, _)| domain(before, name) != domain(after, name));
        Manifest {
            revision: manifest.revision,
            apis: apis.map(|(id, api)| (id.clone(), api.clone())).collect(),
            domains: domains.map(|(name, domain)| (name.clone(), domain.clone())).collect(),
        }
    };
    (only(before), only(after))
}

/// What is different between two manifests. A deployment that is not there counts as an empty one.
pub fn manifests(before: &Manifest, after: &Manifest, deployments: &Deployments<'_>) -> Vec<Difference> {
    let mut found = Vec::new();
    let ids: BTreeSet<&String> = before.apis.keys().chain(after.apis.keys()).collect();
    let nothing = ApiManifest::default();
    for id in ids {
        let (old, new) = (before.apis.get(id).unwrap_or(&nothing), after.apis.get(id).unwrap_or(&nothing));
        let place = |stage: Option<&str>| Place { api: Some(id.clone()), stage: stage.map(str::to_owned) };
        let stage_of = |api: &'_ ApiManifest, name: &str| -> Option<StageManifest> {
            api.stages.iter().find(|stage| stage.settings.name.as_str() == name).cloned()
        };
        let mut names: Vec<&str> =
            old.stages.iter().chain(&new.stages).map(|stage| stage.settings.name.as_str()).collect();
        let mut seen = BTreeSet::new();
        names.retain(|name| seen.insert(*name));
        for name in names {
            stage(&place(Some(name)), stage_of(old, name), stage_of(new, name), deployments, &mut found);
        }
        if old.default_stage != new.default_stage && !old.stages.is_empty() && !new.stages.is_empty() {
            let value = |api: &ApiManifest| api.default_stage.as_ref().map(|name| Value::from(name.as_str()));
            found.push(place(None).changed("API", "/default_stage", "default stage", value(old), value(new)));
        }
    }
    let names: BTreeSet<&String> = before.domains.keys().chain(after.domains.keys()).collect();
    for name in names {
        let place = Place { api: None, stage: None };
        let value =
            |manifest: &Manifest| manifest.domains.get(name).and_then(|domain| serde_json::to_value(domain).ok());
        let subject = format!("domain {name}");
        match (value(before), value(after)) {
            (None, Some(_)) => found.push(place.whole(Kind::Added, &subject)),
            (Some(_), None) => found.push(place.whole(Kind::Removed, &subject)),
            (Some(old), Some(new)) => leaves(&place, &subject, &old, &new, &mut found),
            (None, None) => {}
        }
    }
    found
}

/// What is different between two deployments of an API.
pub fn deployments(api: &str, stage: Option<&str>, before: &Deployment, after: &Deployment) -> Vec<Difference> {
    let mut found = Vec::new();
    let place = Place { api: Some(api.to_owned()), stage: stage.map(str::to_owned) };
    documents(&place, before, after, &mut found);
    found
}

/// The values that differ between two documents.
pub fn values(before: &Value, after: &Value) -> Vec<Change> {
    let mut found = Vec::new();
    walk(before, after, &mut String::new(), &mut |pointer, from, to| {
        found.push(Change { pointer: pointer.to_owned(), from: from.cloned(), to: to.cloned() });
    });
    found
}

/// Where a difference is.
struct Place {
    api: Option<String>,
    stage: Option<String>,
}

impl Place {
    fn whole(&self, kind: Kind, subject: &str) -> Difference {
        let sign = match kind {
            Kind::Added => '+',
            Kind::Removed => '-',
            Kind::Changed => '~',
        };
        self.difference(kind, subject, "", None, None, format!("{sign} {subject}"))
    }

    fn changed(&self, subject: &str, pointer: &str, words: &str, from: Option<Value>, to: Option<Value>) -> Difference {
        let show = |value: &Option<Value>| value.as_ref().map_or_else(|| "none".to_owned(), shown);
        let text = format!("{subject}: {words} {} -> {}", show(&from), show(&to));
        self.difference(Kind::Changed, subject, pointer, from, to, text)
    }

    fn difference(
        &self,
        kind: Kind,
        subject: &str,
        pointer: &str,
        from: Option<Value>,
        to: Option<Value>,
        text: String,
    ) -> Difference {
        let (api, stage) = (self.api.clone(), self.stage.clone());
        Difference { kind, api, stage, subject: subject.to_owned(), pointer: pointer.to_owned(), from, to, text }
    }
}

fn stage(
    place: &Place,
    before: Option<StageManifest>,
    after: Option<StageManifest>,
    deployments: &Deployments<'_>,
    found: &mut Vec<Difference>,
) {
    let name = place.stage.clone().unwrap_or_default();
    let (before, after) = match (before, after) {
        (Some(before), Some(after)) => (before, after),
        (None, Some(after)) => {
            found.push(place.whole(Kind::Added, &format!("stage {name}")));
            if let Some(deployment) = deployments(&after.deployment) {
                let empty = Deployment { document: Value::Object(Map::new()), files: BTreeMap::new() };
                routes(place, &empty.document, &deployment.document, found);
            }
            return;
        }
        (Some(_), None) => return found.push(place.whole(Kind::Removed, &format!("stage {name}"))),
        (None, None) => return,
    };
    if before.deployment != after.deployment
        && let (Some(old), Some(new)) = (deployments(&before.deployment), deployments(&after.deployment))
    {
        documents(place, &old, &new, found);
    }
    let settings = |stage: &StageManifest| serde_json::to_value(&stage.settings).unwrap_or_default();
    leaves(place, &format!("stage {name}"), &settings(&before), &settings(&after), found);
    let canary = |stage: &StageManifest| stage.canary.as_ref().and_then(|canary| serde_json::to_value(canary).ok());
    match (canary(&before), canary(&after)) {
        (None, Some(new)) => {
            let share = new.get("percent").map(shown).unwrap_or_default();
            let text = format!("+ canary with {share} % of the requests");
            found.push(place.difference(Kind::Added, "canary", "", None, Some(new), text));
        }
        (Some(_), None) => found.push(place.whole(Kind::Removed, "canary")),
        (Some(old), Some(new)) => leaves(place, "canary", &old, &new, found),
        (None, None) => {}
    }
}

fn documents(place: &Place, before: &Deployment, after: &Deployment, found: &mut Vec<Difference>) {
    routes(place, &before.document, &after.document, found);
    let rest = |document: &Value| {
        let mut document = document.clone();
        if let Some(fields) = document.as_object_mut() {
            fields.shift_remove("routes");
        }
        by_policy(document)
    };
    leaves(place, "API", &rest(&before.document), &rest(&after.document), found);
    let paths: BTreeSet<&String> = before.files.keys().chain(after.files.keys()).collect();
    for path in paths {
        match (before.files.get(path), after.files.get(path)) {
            (None, Some(_)) => found.push(place.whole(Kind::Added, path)),
            (Some(_), None) => found.push(place.whole(Kind::Removed, path)),
            (Some(old), Some(new)) if old != new => {
                let (added, removed) = lines(old, new);
                let text = format!("~ {path} (+{added} -{removed})");
                found.push(place.difference(Kind::Changed, path, "", None, None, text));
            }
            _ => {}
        }
    }
}

fn routes(place: &Place, before: &Value, after: &Value, found: &mut Vec<Difference>) {
    let by_key = |document: &Value| -> BTreeMap<String, Value> {
        let routes = document.get("routes").and_then(Value::as_array).into_iter().flatten();
        let key = |route: &Value| Some(route.get("match")?.as_str()?.to_owned());
        routes.filter_map(|route| Some((key(route)?, by_policy(route.clone())))).collect()
    };
    let (before, after) = (by_key(before), by_key(after));
    let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    for key in keys {
        match (before.get(key), after.get(key)) {
            (None, Some(_)) => found.push(place.whole(Kind::Added, key)),
            (Some(_), None) => found.push(place.whole(Kind::Removed, key)),
            (Some(old), Some(new)) => leaves(place, key, old, new, found),
            (None, None) => {}
        }
    }
}

/// Lists of policies and plugins as mappings by their names, so that a change of one is told as that, wherever it stands in the list.
fn by_policy(mut document: Value) -> Value {
    for (list, name) in [("policies", "policy"), ("plugins", "plugin")] {
        let Some(items) = document.get(list).and_then(Value::as_array) else { continue };
        let mut named = Map::new();
        for item in items {
            let Some(key) = item.get(name).and_then(Value::as_str) else { continue };
            named.insert(key.to_owned(), item.get("config").cloned().unwrap_or_else(|| Value::Object(Map::new())));
        }
        // Twice the same policy: the list stays as it is.
        if named.len() == items.len() {
            document[list] = Value::Object(named);
        }
    }
    document
}

fn leaves(place: &Place, subject: &str, before: &Value, after: &Value, found: &mut Vec<Difference>) {
    walk(before, after, &mut String::new(), &mut |pointer, from, to| {
        found.push(place.changed(subject, pointer, &words(pointer), from.cloned(), to.cloned()));
    });
}

/// Hears of a place, what was there and what is there.
type Tell<'a> = dyn FnMut(&str, Option<&Value>, Option<&Value>) + 'a;

/// Calls `tell` for every place where two values differ, as deep as they have the same shape.
fn walk(before: &Value, after: &Value, pointer: &mut String, tell: &mut Tell<'_>) {
    let length = pointer.len();
    match (before, after) {
        (Value::Object(old), Value::Object(new)) => {
            for key in old.keys().chain(new.keys().filter(|key| !old.contains_key(*key))) {
                pointer.push('/');
                pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
                match (old.get(key), new.get(key)) {
                    (Some(old), Some(new)) => walk(old, new, pointer, tell),
                    (old, new) => tell(pointer, old, new),
                }
                pointer.truncate(length);
            }
        }
        (Value::Array(old), Value::Array(new)) if old.len() == new.len() => {
            for (index, (old, new)) in old.iter().zip(new).enumerate() {
                pointer.push_str(&format!("/{index}"));
                walk(old, new, pointer, tell);
                pointer.truncate(length);
            }
        }
        (old, new) if old != new => tell(pointer, Some(old), Some(new)),
        _ => {}
    }
}

/// A pointer in words: `/policies/rate_limit/requests` is `rate limit requests`.
fn words(pointer: &str) -> String {
    let parts = pointer.split('/').filter(|part| !matches!(*part, "" | "policies" | "plugins" | "config"));
    parts.map(|part| part.replace('_', " ").replace("~1", "/").replace("~0", "~")).collect::<Vec<_>>().join(" ")
}

fn shown(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number
            .as_f64()
            .filter(|float| float.fract() == 0.0)
            .map_or_else(|| number.to_string(), |float| format!("{float:.0}")),
        other => other.to_string(),
    };
    let line = text.lines().next().unwrap_or_default();
    match line.char_indices().nth(SHOWN_MAX) {
        Some((at, _)) => format!("{}...", &line[..at]),
        None if line.len() < text.trim_end().len() => format!("{line}..."),
        None => line.to_owned(),
    }
}

/// Lines that only one of two texts has, counted: added and removed.
fn lines(before: &str, after: &str) -> (usize, usize) {
    let mut counts: std::collections::HashMap<&str, i64> = std::collections::HashMap::new();
    before.lines().for_each(|line| *counts.entry(line).or_default() -= 1);
    after.lines().for_each(|line| *counts.entry(line).or_default() += 1);
    let sum = |sign: i64| counts.values().map(|count| (count * sign).max(0)).sum::<i64>();
    (usize::try_from(sum(1)).unwrap_or(0), usize::try_from(sum(-1)).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn texts(before: Value, after: Value) -> Vec<String> {
        let deployment = |document| Deployment { document, files: BTreeMap::new() };
        deployments("a", None, &deployment(before), &deployment(after)).into_iter().map(|found| found.text).collect()
    }

    #[test]
    fn changes_are_told_in_words() {
        let route = |key: &str, limit: u32| json!({"match": key, "policies": [{"policy": "rate_limit", "config": {"requests": limit}}]});
        let before = json!({"api": "a", "routes": [route("POST /orders", 50), route("GET /old", 1)]});
        let after = json!({"api": "a", "name": "A", "routes": [route("GET /new", 1), route("POST /orders", 100)]});
        let want = ["+ GET /new", "- GET /old", "POST /orders: rate limit requests 50 -> 100", "API: name none -> A"];
        assert_eq!(texts(before.clone(), after), want);
        assert_eq!(texts(before.clone(), before), [""; 0]);
    }

    #[test]
    fn long_values_are_cut() {
        let long = "x".repeat(500);
        let found = texts(json!({"name": "a\nb"}), json!({"name": long}));
        assert_eq!(found, [format!("API: name a... -> {}...", "x".repeat(60))]);
    }

    #[test]
    fn scripts_are_told_by_their_lines() {
        let deployment = |text: &str| Deployment {
            document: json!({"api": "a"}),
            files: [("lua/a.lua".to_owned(), text.to_owned())].into(),
        };
        let found = deployments("a", Some("prod"), &deployment("a\nb\nc\n"), &deployment("a\nc\nd\ne\n"));
        assert_eq!(found[0].text, "~ lua/a.lua (+2 -1)");
        assert_eq!(found[0].stage.as_deref(), Some("prod"));
    }
}
