//! The tour in the repository's README is run as it is written, on the example it is about.

use moongate_tests::{Gateway, binary, console};

#[test]
fn the_tour_shows_what_happens() {
    let repository = binary::repository();
    let gateway = Gateway::builder().copy_of("deploy/examples/hello").start();
    assert!(console::run(&repository.join("README.md"), &gateway) > 0, "the README shows no request");
}
