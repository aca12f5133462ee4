//! The conformance suite, on every store that this workspace has.

use conformance::{EmbeddedFile, EmbeddedMemory, trials};
use libtest_mimic::{Arguments, run};

fn main() {
    let arguments = Arguments::from_args();
    let mut all = trials(EmbeddedMemory);
    all.extend(trials(EmbeddedFile));
    run(&arguments, all).exit();
}
