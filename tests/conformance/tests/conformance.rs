//! The conformance suite, on every store that this workspace has, and on a real server where `DUST_CONFORMANCE_URL`,
//! `DUST_CONFORMANCE_TOKEN` and `DUST_CONFORMANCE_STORE` name one: `cargo test -p conformance -- real::` over HTTP,
//! `realws::` in realtime.

use conformance::{
    EmbeddedFile, EmbeddedMemory, EmulatorHttp, EmulatorPromoted, EmulatorRealtime, PlainServer, RealServer,
    RealServerRealtime, Server, trials,
};
use libtest_mimic::{Arguments, run};

fn main() {
    let arguments = Arguments::from_args();
    let mut all = trials(EmbeddedMemory);
    all.extend(trials(EmbeddedFile));
    all.extend(trials(PlainServer));
    all.extend(trials(EmulatorHttp));
    all.extend(trials(EmulatorRealtime));
    all.extend(trials(EmulatorPromoted));
    if let Some(server) = Server::from_env() {
        all.extend(trials(RealServer(server.clone())));
        all.extend(trials(RealServerRealtime::new(server)));
    }
    run(&arguments, all).exit();
}
