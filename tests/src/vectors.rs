//! Recorded behaviour that is kept outside the repository.

use std::env;
use std::path::PathBuf;

/// The folder of the test vectors: `MOONGATE_VECTORS`, else `../shared/vectors/open` beside the repository. `None`, said
/// aloud, when it is not there: the caller then returns, and the test counts as passed.
pub fn folder(test: &str) -> Option<PathBuf> {
    let default = || crate::binary::repository().join("../shared/vectors/open");
    let folder = env::var_os("MOONGATE_VECTORS").map(PathBuf::from).unwrap_or_else(default);
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("SKIPPED {test}: no test vectors at {} (set MOONGATE_VECTORS)", folder.display());
    None
}
