//! Every folder of `deploy/examples` is served, and what its README shows is run.

use std::fs;

use moongate_tests::{Control, Gateway, binary, console};

#[test]
fn every_example_does_what_its_readme_shows() {
    let folder = binary::repository().join("deploy/examples");
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("cannot read {}: {error}", folder.display()));
    let mut examples: Vec<_> =
        entries.map(|entry| entry.expect("a readable entry").path()).filter(|path| path.is_dir()).collect();
    examples.sort();
    assert!(!examples.is_empty(), "there are no examples in {}", folder.display());
    for example in examples {
        let name = example.file_name().unwrap_or_default().display().to_string();
        let mut builder = Gateway::builder().copy_of(&format!("deploy/examples/{name}"));
        let has_control = name == "control-plane";
        if has_control {
            builder = builder.with_admin();
        }
        let gateway = builder.start();
        if has_control {
            // Its README speaks to the management API.
            Control::of(&gateway);
        }
        let readme = example.join("README.md");
        assert!(readme.is_file(), "{name} has no README.md");
        assert!(console::run(&readme, &gateway) > 0, "{} shows no request", readme.display());
    }
}
