//! `/apis/{api}/files`: scripts, plugins and certificates of a draft.

use moongate_admin_store::Expect;
use moongate_admin_store::records::Role;
use moongate_config::Digest;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::apis::{self, ApiInput, check_path};
use crate::call::{Call, Outcome, Reply};
use crate::problem::Problem;

/// A file as it is written.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FileInput {
    /// What is in it.
    text: String,
}

/// A file as it is shown.
#[derive(Serialize, JsonSchema)]
pub(crate) struct FileView {
    /// Its path in the project.
    path: String,
    /// What is in it.
    text: String,
}

fn tag(text: &str) -> String {
    Digest::of(&text).map(|digest| digest.to_string()).unwrap_or_default()
}

pub(crate) async fn show(call: Call) -> Outcome {
    let stored = apis::draft(&call, Role::Viewer).await?;
    let path = call.param("path");
    let Some(text) = stored.record.files.get(path) else { return Err(Problem::missing("file", path)) };
    Ok(Reply::ok(FileView { path: path.to_owned(), text: text.clone() })?.etag(tag(text)))
}

pub(crate) async fn put(call: Call) -> Outcome {
    let FileInput { text } = call.body()?;
    let path = call.param("path").to_owned();
    check_path(&path).map_err(|why| Problem::field("", why))?;
    change(&call, Some(text.clone())).await?;
    let version = tag(&text);
    Ok(Reply::ok(FileView { path, text })?.etag(version))
}

pub(crate) async fn delete(call: Call) -> Outcome {
    change(&call, None).await?;
    Reply::nothing()
}

async fn change(call: &Call, text: Option<String>) -> Result<(), Problem> {
    let stored = apis::draft(call, Role::Editor).await?;
    let path = call.param("path");
    let mut files = stored.record.files;
    let current = files.get(path);
    call.matches(
        current.map(|text| (tag(text), text)).as_ref().map(|(tag, text)| (tag.as_str(), text.as_str().into())),
    )?;
    match text {
        Some(text) => drop(files.insert(path.to_owned(), text)),
        None if files.remove(path).is_none() => return Err(Problem::missing("file", path)),
        None => {}
    }
    let document = serde_json::from_value(stored.record.document);
    let document =
        document.map_err(|error| Problem::conflict(format!("the draft cannot be read by this version: {error}")))?;
    apis::save(call, ApiInput { document, files }, Expect::Version(stored.version), false).await.map(drop)
}
