//! Where the binary under test is.

use std::env;
use std::path::PathBuf;

/// The path of `moongate`: `MOONGATE_BIN`, else the one cargo built beside this test (`target/{profile}/moongate`).
///
/// # Panics
///
/// When there is no such file, with how to make it.
pub fn moongate() -> PathBuf {
    let path = env::var_os("MOONGATE_BIN").map(PathBuf::from).unwrap_or_else(beside_this_test);
    assert!(
        path.is_file(),
        "the gateway's binary is not at {}: build it with `cargo build -p moongate`, or name it in MOONGATE_BIN",
        path.display()
    );
    path
}

/// The repository's folder.
pub fn repository() -> PathBuf {
    let tests = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    tests.parent().expect("the tests' folder lies in the repository").to_path_buf()
}

/// `target/{profile}/deps/integration-HASH` to `target/{profile}/moongate`.
fn beside_this_test() -> PathBuf {
    let test = env::current_exe().expect("a running test knows its path");
    let profile = test
        .ancestors()
        .find(|folder| folder.file_name().is_some_and(|name| name == "deps"))
        .and_then(|deps| deps.parent());
    profile.expect("cargo puts tests into target/{profile}/deps").join("moongate")
}
