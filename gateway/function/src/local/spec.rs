//! What a function is: where its code lies, how it is started, what it may use.

use std::ffi::OsString;
use std::fmt;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The client of the Runtime API for Python, used where `awslambdaric` is not installed.
const PYTHON: &str = include_str!("../../bootstrap/bootstrap.py");
/// The client of the Runtime API for Node.
const NODE: &str = include_str!("../../bootstrap/bootstrap.mjs");

/// A function, ready to be started. Two equal ones are the same function: its processes can be kept.
#[derive(Clone, PartialEq, Eq)]
pub struct Spec {
    /// The name it is invoked by.
    pub name: Arc<str>,
    /// The folder of its code, absolute: the processes' working folder.
    pub folder: PathBuf,
    /// What starts a process.
    pub runtime: Runtime,
    /// What a runtime client calls: `index.handler`.
    pub handler: String,
    /// Most memory a process and its children may have resident, in bytes.
    pub memory_bytes_max: u64,
    /// Longest time until a process asks for its first event, and from a result to the next such request.
    pub start_timeout: Duration,
    /// Longest run, from the moment a process takes the event.
    pub timeout: Duration,
    /// Most processes, and so most events at the same time.
    pub concurrency: NonZeroU32,
    /// How long a process without events is kept.
    pub idle: Duration,
    /// Variables of the processes' environment beside those of the Runtime API. Values may be secrets.
    pub environment: Vec<(String, String)>,
    /// Changes when the code changes: processes of another version are not kept.
    pub version: String,
}

/// What starts a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Runtime {
    /// `python3` with a Lambda handler in Python.
    Python,
    /// `node` with a Lambda handler in JavaScript.
    Node,
    /// An executable that speaks the Runtime API itself: `bootstrap` in the function's folder.
    Provided,
    /// Any command that does: a runtime client of the user's choice.
    Command(Vec<String>),
}

/// Why a function cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum SpecError {
    /// No such folder.
    #[error("the function's folder `{0}` does not exist")]
    Folder(PathBuf),
    /// No such file.
    #[error("`{0}` is not an executable file")]
    Bootstrap(PathBuf),
    /// An empty command.
    #[error("`command` is empty")]
    Command,
}

impl Spec {
    /// Checks that what is to be started is there.
    ///
    /// # Errors
    ///
    /// See [`SpecError`]. Whether the code is any good shows when it is invoked.
    ///
    /// Blocks on the file system.
    pub fn check(&self) -> Result<(), SpecError> {
        if !self.folder.is_dir() {
            return Err(SpecError::Folder(self.folder.clone()));
        }
        match &self.runtime {
            Runtime::Provided => {
                let bootstrap = self.folder.join("bootstrap");
                if is_executable(&bootstrap) { Ok(()) } else { Err(SpecError::Bootstrap(bootstrap)) }
            }
            Runtime::Command(words) if words.is_empty() => Err(SpecError::Command),
            Runtime::Python | Runtime::Node | Runtime::Command(_) => Ok(()),
        }
    }

    /// The program and its arguments.
    pub(super) fn command(&self) -> (OsString, Vec<OsString>) {
        match &self.runtime {
            Runtime::Python => {
                ("python3".into(), vec!["-u".into(), "-c".into(), PYTHON.into(), (&self.handler).into()])
            }
            Runtime::Node => {
                let code = ["--input-type=module", "-e", NODE, "--", &self.handler];
                ("node".into(), code.into_iter().map(OsString::from).collect())
            }
            Runtime::Provided => (self.folder.join("bootstrap").into(), Vec::new()),
            Runtime::Command(words) => {
                let word = |word: &String| OsString::from(word.replace("{handler}", &self.handler));
                let mut words = words.iter().map(word);
                (words.next().unwrap_or_default(), words.collect())
            }
        }
    }
}

/// Without the environment's values, which may be secrets.
impl fmt::Debug for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.environment.iter().map(|(name, _)| &**name).collect();
        f.debug_struct("Spec")
            .field("name", &self.name)
            .field("folder", &self.folder)
            .field("runtime", &self.runtime)
            .field("handler", &self.handler)
            .field("environment", &names)
            .finish_non_exhaustive()
    }
}

fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}
