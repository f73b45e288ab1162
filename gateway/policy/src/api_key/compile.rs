//! From settings to a policy: every check, all problems at once.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use http::HeaderName;
use moongate_config::authorizer::ApiKeyConfig;
use serde_json::Value;

use super::policy::{ApiKeyPolicy, Key, KeyHash, Keys, Source};
use super::{Config, KEY_BYTES_MAX, KEY_BYTES_MIN, KEYS_MAX, SourceConfig};
use crate::{CompileContext, Compiled};

pub(super) fn compile(config: &Value, cx: &mut CompileContext<'_>) -> Option<Compiled> {
    let config: Config = cx.decode(config)?;
    let source = compile_source(&config.source, &mut cx.below("/source"));
    if config.keys.is_empty() {
        cx.issue("/keys", "must list at least one key: without any, every caller is refused");
        return None;
    }
    let keys = compile_keys(&config.keys, &mut cx.below("/keys"));
    Some(Compiled::Authorize(Arc::new(ApiKeyPolicy::new(source?, keys?))))
}

fn compile_source(config: &SourceConfig, cx: &mut CompileContext<'_>) -> Option<Source> {
    match config {
        SourceConfig::Header(name) => match HeaderName::from_bytes(name.as_bytes()) {
            Ok(name) => Some(Source::Header(name)),
            Err(_) => {
                cx.issue("/header", "is not the name of a header field");
                None
            }
        },
        SourceConfig::Query(name) if name.is_empty() => {
            cx.issue("/query", "must name a query parameter");
            None
        }
        SourceConfig::Query(name) => Some(Source::Query(name.as_str().into())),
    }
}

/// Reads a list of keys: the policy's own, or those that an API declares for its routes. `cx` points at the list.
///
/// Reports every problem, and returns `None` when there is one. An empty list is fine here: it refuses every caller.
pub fn compile_keys(configs: &[ApiKeyConfig], cx: &mut CompileContext<'_>) -> Option<Keys> {
    if configs.len() > KEYS_MAX {
        cx.issue("", format!("must list at most {KEYS_MAX} keys"));
        return None;
    }
    let mut places: HashMap<&str, usize> = HashMap::with_capacity(configs.len());
    let mut keys: HashMap<KeyHash, Key> = HashMap::with_capacity(configs.len());
    let mut is_complete = true;
    for (index, config) in configs.iter().enumerate() {
        let mut cx = cx.below(&format!("/{index}"));
        let is_named = check_id(&config.id, index, &mut places, &mut cx);
        let hash = compile_hash(config, &mut cx);
        is_complete &= is_named && hash.is_some();
        let Some(hash) = hash else { continue };
        match keys.entry(hash) {
            Entry::Vacant(entry) => {
                entry.insert(Key { id: config.id.as_str().into(), is_enabled: config.enabled });
            }
            Entry::Occupied(entry) => {
                cx.issue("", format!("is the same key as `{}`", entry.get().id));
                is_complete = false;
            }
        }
    }
    is_complete.then(|| Keys::new(keys))
}

fn check_id<'a>(id: &'a str, index: usize, places: &mut HashMap<&'a str, usize>, cx: &mut CompileContext<'_>) -> bool {
    if id.is_empty() {
        cx.issue("/id", "must not be empty");
        return false;
    }
    if let Some(first) = places.insert(id, index) {
        cx.issue("/id", format!("is the id of key {first} already: logs could not tell them apart"));
        return false;
    }
    true
}

fn compile_hash(config: &ApiKeyConfig, cx: &mut CompileContext<'_>) -> Option<KeyHash> {
    match (&config.value, &config.sha256) {
        (Some(reference), None) => {
            let secret = cx.secret("/value", reference)?;
            match check_value(secret.expose()) {
                Ok(()) => Some(KeyHash::of(secret.expose().as_bytes())),
                Err(problem) => {
                    cx.issue("/value", problem);
                    None
                }
            }
        }
        (None, Some(digits)) => {
            let hash = KeyHash::from_hexadecimal(digits);
            if hash.is_none() {
                cx.issue("/sha256", "is not a SHA-256: 64 hexadecimal digits");
            }
            hash
        }
        _ => {
            cx.issue("", "must have either `value` or `sha256`");
            None
        }
    }
}

/// Checks a key that was looked up. The messages say nothing about it but its length.
fn check_value(value: &str) -> Result<(), String> {
    match value.len() {
        ..KEY_BYTES_MIN => {
            Err(format!("names a key of {} characters, and fewer than {KEY_BYTES_MIN} can be guessed", value.len()))
        }
        KEY_BYTES_MIN..=KEY_BYTES_MAX if value.bytes().all(|byte| byte.is_ascii_graphic()) => Ok(()),
        KEY_BYTES_MIN..=KEY_BYTES_MAX => {
            Err("names a key with characters that callers cannot send: only visible ASCII is allowed".to_owned())
        }
        longer => Err(format!("names a key of {longer} characters, more than {KEY_BYTES_MAX}")),
    }
}
