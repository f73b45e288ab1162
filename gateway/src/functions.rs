//! The project's functions: from their documents to what can be started.

use std::fs;
use std::num::NonZeroU32;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use moongate_config::function::{EnvironmentValue, FunctionConfig, FunctionRuntime};
use moongate_config::project::Declared;
use moongate_config::{Issue, Project};
use moongate_function::local::{Runtime, Spec};
use moongate_policy::{LocalSecrets, Secrets};
use sha2::{Digest, Sha256};

use crate::explain::{FUNCTION_CODE, FUNCTION_SECRET};
use crate::folder;

/// Most files of a function's folder that are looked at to tell versions apart.
const FILES_MAX: usize = 20_000;

/// What every function needs to be started. Functions that cannot be are reported.
///
/// Blocks on the file system.
pub(crate) fn specs(root: &Path, project: &Project, secrets: &LocalSecrets, issues: &mut Vec<Issue>) -> Vec<Spec> {
    project.functions.iter().filter_map(|declared| spec(root, declared, secrets, issues)).collect()
}

fn spec(
    root: &Path,
    declared: &Declared<FunctionConfig>,
    secrets: &LocalSecrets,
    issues: &mut Vec<Issue>,
) -> Option<Spec> {
    let Declared { file, config, .. } = declared;
    let folder = root.join(file).parent()?.to_owned();
    let mut environment = Vec::with_capacity(config.environment.len());
    for (name, value) in &config.environment {
        let value = match value {
            EnvironmentValue::Text(text) => text.clone(),
            EnvironmentValue::Secret(secret) => match secrets.resolve(&secret.secret) {
                Ok(value) => value.expose().to_owned(),
                Err(error) => {
                    let pointer = format!("/environment/{name}/secret");
                    issues.push(Issue::error(FUNCTION_SECRET, file.as_str(), pointer, error.to_string()));
                    continue;
                }
            },
        };
        environment.push((name.clone(), value));
    }
    let runtime = match config.runtime {
        _ if !config.command.is_empty() => Runtime::Command(config.command.clone()),
        FunctionRuntime::Python => Runtime::Python,
        FunctionRuntime::Nodejs => Runtime::Node,
        FunctionRuntime::Provided => Runtime::Provided,
    };
    let spec = Spec {
        name: config.function.as_str().into(),
        version: version(&folder),
        folder,
        runtime,
        handler: config.handler.clone(),
        memory_bytes_max: u64::from(config.memory_mb) << 20,
        start_timeout: Duration::from_millis(config.start_timeout_ms.into()),
        timeout: Duration::from_millis(config.timeout_ms.into()),
        concurrency: NonZeroU32::new(config.concurrency).unwrap_or(NonZeroU32::MIN),
        idle: Duration::from_secs(config.idle_seconds.into()),
        environment,
    };
    match spec.check() {
        Ok(()) => Some(spec),
        Err(error) => {
            issues.push(Issue::error(FUNCTION_CODE, file.as_str(), "/runtime", error.to_string()));
            None
        }
    }
}

/// A text that is another one after any change to the code: made of names, sizes and times of all files.
fn version(folder: &Path) -> String {
    let mut hash = Sha256::new();
    let mut open = vec![folder.to_owned()];
    let mut files = 0;
    while let Some(next) = open.pop() {
        let Ok(entries) = fs::read_dir(&next) else { continue };
        let mut paths: Vec<_> = entries.filter_map(Result::ok).map(|entry| entry.path()).collect();
        paths.sort_unstable();
        for path in paths.into_iter().filter(|path| !folder::is_passed_over(path)) {
            files += 1;
            let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
            if files > FILES_MAX {
                return format!("{:x}", hash.finalize());
            }
            if metadata.is_dir() {
                open.push(path);
                continue;
            }
            let modified = metadata.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
            hash.update(path.as_os_str().as_encoded_bytes());
            hash.update(metadata.len().to_le_bytes());
            hash.update(modified.map_or(0, |at| at.as_nanos()).to_le_bytes());
        }
    }
    format!("{:x}", hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_changes_with_any_file() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir_all(folder.path().join("lib/__pycache__")).expect("folders");
        fs::write(folder.path().join("lib/a.py"), "1").expect("a file");
        let before = version(folder.path());
        assert_eq!(version(folder.path()), before);
        fs::write(folder.path().join("lib/__pycache__/a.pyc"), "1").expect("a file");
        assert_eq!(version(folder.path()), before, "what an interpreter leaves behind is no change");
        fs::write(folder.path().join("lib/a.py"), "22").expect("a file");
        assert_ne!(version(folder.path()), before);
    }
}
