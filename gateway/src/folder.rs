//! A project's folder: the files that make a project, read into [`Sources`].
//!
//! Read are the texts that documents can name: `.yaml`, `.yml`, `.json`, `.lua`, `.toml`, `.md`, `.pem`, `.crt`. Hidden entries, `target`,
//! `node_modules` and `__pycache__` are passed over, and links are not followed out of the folder.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use moongate_config::function::FUNCTIONS_FOLDER;
use moongate_config::{Issue, Sources};

use crate::explain::{TOO_LARGE, UNREADABLE};

/// Kinds of files that belong to a project.
const EXTENSIONS: [&str; 8] = ["yaml", "yml", "json", "lua", "toml", "md", "pem", "crt"];
/// Folders that are passed over, beside hidden ones.
const PASSED_OVER: [&str; 3] = ["target", "node_modules", "__pycache__"];
/// Most files a project may have.
const FILES_MAX: usize = 100_000;
/// Most text a project may have, in bytes.
const BYTES_MAX: u64 = 512 * 1024 * 1024;
/// How deep folders may lie in each other.
const DEPTH_MAX: usize = 32;

/// Reads a project's folder. Files that cannot be read are reported and left out.
///
/// # Errors
///
/// When the folder itself cannot be read.
pub(crate) fn read(root: &Path) -> io::Result<(Sources, Vec<Issue>)> {
    let mut reader = Reader { root, sources: Sources::default(), issues: Vec::new(), bytes: 0 };
    reader.folder(root, 0)?;
    Ok((reader.sources, reader.issues))
}

/// Whether a change to this path can matter to the project.
pub(crate) fn is_relevant(root: &Path, path: &Path) -> bool {
    let Ok(inner) = path.strip_prefix(root) else { return false };
    // A path without a known extension may be a folder that was moved in or out; any file may be a function's code.
    let matters = is_text(path) || path.extension().is_none() || inner.starts_with(FUNCTIONS_FOLDER);
    matters && !inner.iter().any(is_name_passed_over)
}

/// Whether a folder or file is none of the project's.
pub(crate) fn is_passed_over(path: &Path) -> bool {
    path.file_name().is_some_and(is_name_passed_over)
}

fn is_name_passed_over(part: &std::ffi::OsStr) -> bool {
    let part = part.to_string_lossy();
    part.starts_with('.') || PASSED_OVER.contains(&&*part)
}

fn is_text(path: &Path) -> bool {
    path.extension().is_some_and(|extension| EXTENSIONS.iter().any(|known| extension.eq_ignore_ascii_case(known)))
}

struct Reader<'root> {
    root: &'root Path,
    sources: Sources,
    issues: Vec<Issue>,
    bytes: u64,
}

impl Reader<'_> {
    fn folder(&mut self, folder: &Path, depth: usize) -> io::Result<()> {
        let mut entries: Vec<PathBuf> =
            fs::read_dir(folder)?.filter_map(Result::ok).map(|entry| entry.path()).collect();
        entries.sort_unstable();
        for path in entries {
            if !is_relevant(self.root, &path) {
                continue;
            }
            let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
            if metadata.is_dir() && depth < DEPTH_MAX {
                // A folder that vanished or is forbidden has no files for us.
                if let Err(error) = self.folder(&path, depth + 1) {
                    self.report(UNREADABLE, &path, error.to_string());
                }
            } else if is_text(&path) && !metadata.is_dir() {
                self.file(&path);
            }
        }
        Ok(())
    }

    fn file(&mut self, path: &Path) {
        let is_inside = fs::canonicalize(path).and_then(|real| Ok(real.starts_with(fs::canonicalize(self.root)?)));
        if !matches!(is_inside, Ok(true)) {
            return self.report(
                UNREADABLE,
                path,
                "the file cannot be found, or is a link out of the project".to_owned(),
            );
        }
        let length = fs::metadata(path).map_or(0, |metadata| metadata.len());
        if self.sources.files.len() >= FILES_MAX || self.bytes.saturating_add(length) > BYTES_MAX {
            if !self.issues.iter().any(|issue| issue.code == TOO_LARGE) {
                self.report(
                    TOO_LARGE,
                    path,
                    "the project holds too many or too large files, this one and more are left out".to_owned(),
                );
            }
            return;
        }
        match fs::read(path) {
            Ok(bytes) => match String::from_utf8(bytes) {
                Ok(text) => {
                    self.bytes += text.len() as u64;
                    self.sources.files.insert(self.name(path), text);
                }
                Err(error) => {
                    let at = error.utf8_error().valid_up_to();
                    self.report(UNREADABLE, path, format!("the file is not UTF-8 text: byte {at} begins no character"));
                }
            },
            Err(error) => self.report(UNREADABLE, path, error.to_string()),
        }
    }

    fn report(&mut self, code: &'static str, path: &Path, message: String) {
        let name = self.name(path);
        self.issues.push(Issue::error(code, name, "", message));
    }

    fn name(&self, path: &Path) -> String {
        let inner = path.strip_prefix(self.root).unwrap_or(path);
        inner.iter().map(|part| part.to_string_lossy()).collect::<Vec<_>>().join("/")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_and_what_is_not_one_is_reported() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path();
        fs::create_dir_all(root.join("apis/.hidden")).expect("folders");
        fs::write(root.join("apis/a.yaml"), "api: a").expect("a file");
        fs::write(root.join("apis/.hidden/b.yaml"), "api: b").expect("a file");
        fs::write(root.join("apis/photo.png"), [0, 159]).expect("a file");
        fs::write(root.join("apis/broken.lua"), [b'-', b'-', 0xff]).expect("a file");
        std::os::unix::fs::symlink("/etc/hostname", root.join("out.md")).expect("a link");
        let (sources, issues) = read(root).expect("a folder");
        assert_eq!(sources.files.keys().collect::<Vec<_>>(), ["apis/a.yaml"]);
        let files: Vec<&str> = issues.iter().map(|issue| issue.file.as_str()).collect();
        assert_eq!(files, ["apis/broken.lua", "out.md"]);
    }
}
