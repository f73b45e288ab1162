//! The management API, version 1: one file per resource. Which URL leads where is in `router.rs`.

pub(crate) mod access;
pub(crate) mod apis;
pub(crate) mod applying;
pub(crate) mod audit;
pub(crate) mod deployments;
pub(crate) mod documents;
pub(crate) mod domains;
pub(crate) mod feed;
pub(crate) mod files;
pub(crate) mod keys;
pub(crate) mod nodes;
pub(crate) mod plans;
pub(crate) mod revisions;
pub(crate) mod routes;
pub(crate) mod settings;
pub(crate) mod stages;

mod openapi_export;
mod yaml;

use moongate_admin_store::now_ms;

use crate::problem::Problem;
use crate::time;

/// Longest name of anything.
const NAME_BYTES_MAX: usize = 255;

/// Checks a name that becomes part of a URL: letters, digits and `._-@`, 1 to 128.
fn check_id(kind: &str, id: &str) -> Result<(), Problem> {
    let is_fine = !id.is_empty()
        && id.len() <= 128
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-@".contains(&byte));
    let message = format!("the name of a {kind} is 1 to 128 letters, digits and `.`, `_`, `-`, `@`");
    if is_fine { Ok(()) } else { Err(Problem::field("", message)) }
}

/// Checks a name that people read.
fn check_name(name: &str, pointer: &str) -> Result<(), Problem> {
    let is_fine = !name.trim().is_empty() && name.len() <= NAME_BYTES_MAX;
    if is_fine { Ok(()) } else { Err(Problem::field(pointer, format!("a name has 1 to {NAME_BYTES_MAX} bytes"))) }
}

/// Reads when something expires: a time, or how long it lasts (`90d`).
fn expiry(text: Option<&str>) -> Result<Option<i64>, Problem> {
    let Some(text) = text else { return Ok(None) };
    let now = now_ms();
    let moment = time::duration_ms(text).and_then(|lasts| now.checked_add(lasts)).or_else(|| time::parse(text, now));
    let moment = moment.filter(|moment| *moment > now);
    let wrong = || {
        Problem::field("/expires", "an expiry is a time to come, or how long it lasts: `2027-01-01T00:00:00Z`, `90d`")
    };
    moment.map(Some).ok_or_else(wrong)
}
