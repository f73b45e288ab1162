//! Secrets: values that a configuration names and never holds.
//!
//! Configurations are versioned, shown in the admin and copied between machines, so they say where a secret is
//! (`env:NAME`, `file:PATH`), and the gateway looks it up when it compiles. Messages here name the place, never the value,
//! and a text that is no reference is not repeated either: it may be the secret itself.

use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Largest secret, in bytes. Keys and certificates are far smaller; it keeps `file:` from reading a disk into memory.
pub const SECRET_BYTES_MAX: usize = 64 * 1024;

/// Longest name of an environment variable, in bytes.
const NAME_BYTES_MAX: usize = 128;

/// Looks up secrets by reference.
pub trait Secrets {
    /// The secret that a reference names. May read files: not for the request path.
    ///
    /// # Errors
    ///
    /// When the text is no reference, or there is no such secret.
    fn resolve(&self, reference: &str) -> Result<Secret, SecretError>;
}

/// A secret's value. Debugging shows that it is there, and nothing else does.
pub struct Secret(Box<str>);

impl Secret {
    /// Wraps a value.
    pub fn new(value: impl Into<Box<str>>) -> Self {
        Self(value.into())
    }

    /// The value, for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Why a secret cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The text is not of the form of a reference. It is not shown.
    #[error("a secret is named by `env:NAME` or `file:PATH`")]
    NotAReference,
    /// The environment has no such variable.
    #[error("environment variable `{name}` is not set")]
    Unset {
        /// The variable.
        name: Box<str>,
    },
    /// The file cannot be read.
    #[error("file `{path}` cannot be read: {reason}")]
    Unreadable {
        /// The file, as the reference names it.
        path: Box<str>,
        /// Why: `permission denied` and the like.
        reason: io::ErrorKind,
    },
    /// Not a file, but a folder or device.
    #[error("`{path}` is not a file")]
    NotAFile {
        /// The file, as the reference names it.
        path: Box<str>,
    },
    /// Larger than [`SECRET_BYTES_MAX`].
    #[error("`{reference}` is larger than {SECRET_BYTES_MAX} bytes")]
    TooLarge {
        /// The reference.
        reference: Box<str>,
    },
    /// Not UTF-8.
    #[error("`{reference}` does not hold text")]
    NotText {
        /// The reference.
        reference: Box<str>,
    },
    /// Nothing there, apart from line ends.
    #[error("`{reference}` is empty")]
    Empty {
        /// The reference.
        reference: Box<str>,
    },
}

/// Secrets in this process's environment and on this machine's disk.
#[derive(Clone, Debug)]
pub struct LocalSecrets {
    folder: PathBuf,
}

impl LocalSecrets {
    /// Paths in `file:` references are relative to the folder given, unless they are absolute.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }
}

impl Secrets for LocalSecrets {
    fn resolve(&self, reference: &str) -> Result<Secret, SecretError> {
        let bytes = match reference.split_once(':') {
            Some(("env", name)) if is_variable(name) => variable(name)?,
            Some(("file", path)) if !path.is_empty() => contents(&self.folder.join(path), path)?,
            _ => return Err(SecretError::NotAReference),
        };
        if bytes.len() > SECRET_BYTES_MAX {
            return Err(SecretError::TooLarge { reference: reference.into() });
        }
        let Ok(text) = String::from_utf8(bytes) else {
            return Err(SecretError::NotText { reference: reference.into() });
        };
        // Editors and `echo` end files with a line end that is no part of the secret.
        let value = text.strip_suffix('\n').unwrap_or(&text);
        let value = value.strip_suffix('\r').unwrap_or(value);
        if value.is_empty() {
            return Err(SecretError::Empty { reference: reference.into() });
        }
        Ok(Secret::new(value))
    }
}

/// Whether a text can be a variable's name (POSIX.1-2024 section 8.1, lower case allowed too).
fn is_variable(name: &str) -> bool {
    let is_word = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    is_word
        && !name.is_empty()
        && name.len() <= NAME_BYTES_MAX
        && !name.starts_with(|first: char| first.is_ascii_digit())
}

fn variable(name: &str) -> Result<Vec<u8>, SecretError> {
    let value = std::env::var_os(name).ok_or_else(|| SecretError::Unset { name: name.into() })?;
    Ok(OsString::into_encoded_bytes(value))
}

/// Up to one byte more than a secret may have, so that the caller sees when there is more.
fn contents(path: &Path, shown: &str) -> Result<Vec<u8>, SecretError> {
    let unreadable = |error: io::Error| SecretError::Unreadable { path: shown.into(), reason: error.kind() };
    // Opening a named pipe would wait for its writer, and devices have no end.
    if !fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(SecretError::NotAFile { path: shown.into() });
    }
    let mut bytes = Vec::new();
    File::open(path)
        .map_err(unreadable)?
        .take(SECRET_BYTES_MAX as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_found_by_name() {
        let secrets = LocalSecrets::new(".");
        let secret = secrets.resolve("env:CARGO_PKG_NAME").expect("cargo sets it for tests");
        assert_eq!(secret.expose(), "moongate-policy");
        let error = secrets.resolve("env:MOONGATE_TEST_NOT_SET").expect_err("nobody sets it");
        assert_eq!(error.to_string(), "environment variable `MOONGATE_TEST_NOT_SET` is not set");
    }

    #[test]
    fn files_are_found_below_the_folder() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).expect("a file");
        write("plain", b"hunter2");
        write("unix", b"hunter2\n");
        write("windows", b"hunter2\r\n");
        write("inner", b"hunter\n2\n\n");
        write("empty", b"\n");
        write("binary", b"\xff\xfe");
        write("exact", &[b'x'; SECRET_BYTES_MAX]);
        write("large", &[b'x'; SECRET_BYTES_MAX + 1]);
        let secrets = LocalSecrets::new(folder.path());
        for (name, want) in
            [("plain", "hunter2"), ("unix", "hunter2"), ("windows", "hunter2"), ("inner", "hunter\n2\n")]
        {
            assert_eq!(secrets.resolve(&format!("file:{name}")).expect(name).expose(), want, "{name}");
        }
        assert_eq!(secrets.resolve("file:exact").expect("just fits").expose().len(), SECRET_BYTES_MAX);
        let absolute = format!("file:{}", folder.path().join("plain").display());
        assert_eq!(secrets.resolve(&absolute).expect("an absolute path").expose(), "hunter2");
        let cases = [
            ("file:empty", "`file:empty` is empty"),
            ("file:binary", "`file:binary` does not hold text"),
            ("file:large", "`file:large` is larger than 65536 bytes"),
            ("file:missing", "file `missing` cannot be read: entity not found"),
            ("file:.", "`.` is not a file"),
            ("file:/dev/zero", "`/dev/zero` is not a file"),
        ];
        for (reference, want) in cases {
            assert_eq!(secrets.resolve(reference).expect_err(reference).to_string(), want);
        }
    }

    #[test]
    fn what_is_no_reference_is_not_repeated() {
        let secrets = LocalSecrets::new(".");
        for text in ["", "hunter2", "env:", "env:hunter-2", "env:2hunter", "file:", "vault:hunter2", "Env:hunter2"] {
            let error = secrets.resolve(text).expect_err(text);
            assert_eq!(error.to_string(), "a secret is named by `env:NAME` or `file:PATH`", "{text}");
        }
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "Secret(..)");
    }
}
