//! Runs the example as a reader does, and checks its output.

use std::process::Command;

#[test]
fn both_processes_end_equal_after_server_kill() {
    let output = Command::new(env!("CARGO_BIN_EXE_realtime")).output().unwrap();
    let (printed, complaints) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{printed}\n{complaints}");
    for line in [
        "bob    sees ada: hello from Ada",
        "ada    sees bob: hello from Bob",
        "ada    offline",
        "bob    sees ada: written while the server was away",
        "ada    sees bob: welcome back",
        "yes: the same four notes",
    ] {
        assert_eq!(printed.matches(line).count(), 1, "{line:?} once in\n{printed}");
    }
}
