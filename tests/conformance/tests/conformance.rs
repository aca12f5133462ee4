//! The conformance suite, on every store that this workspace has.

use conformance::{EmbeddedFile, EmbeddedMemory, PlainServer, trials};
use libtest_mimic::{Arguments, run};

fn main() {
    let arguments = Arguments::from_args();
    let mut all = trials(EmbeddedMemory);
    all.extend(trials(EmbeddedFile));
    all.extend(trials(PlainServer));
    run(&arguments, all).exit();
}
