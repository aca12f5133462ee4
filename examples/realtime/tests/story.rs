//! Runs the example as a reader would, and holds it to its word.

use std::process::Command;

#[test]
fn both_see_each_other_and_end_equal_after_the_server_was_killed() {
    let output = Command::new(env!("CARGO_BIN_EXE_realtime")).output().unwrap();
    let (told, complaints) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{told}\n{complaints}");
    for line in [
        "bob    sees ada: hello from Ada",
        "ada    sees bob: hello from Bob",
        "ada    offline",
        "bob    sees ada: written while the server was away",
        "ada    sees bob: welcome back",
        "yes: the same four notes",
    ] {
        assert_eq!(told.matches(line).count(), 1, "{line:?} once in\n{told}");
    }
}
