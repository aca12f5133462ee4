//! Faults of the library and of the server, made on purpose: the checks have to find them.

/// Something that is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutation {
    /// The server acknowledges a write and forgets it.
    ServerForgetsWrite,
    /// The server does a write twice.
    ServerWritesTwice,
    /// The server does a write that it refuses.
    ServerRefusesWhatItWrote,
    /// The server does not look at fences.
    ServerIgnoresFences,
    /// The client sends a write again when it has connected again.
    ClientSendsAgain,
    /// A write of unknown outcome is written again over HTTP, as one that was not sent is.
    FailoverSendsAgain,
    /// The client loses an op.
    ClientLosesOp,
    /// The client hands an op on twice.
    ClientDeliversTwice,
    /// The client swaps two ops.
    ClientSwapsOps,
    /// The client loses a leaf of a snapshot.
    ClientLosesLeaf,
    /// The client says that a write has failed that was done.
    ClientDeniesWrite,
    /// The client does not answer.
    ClientForgetsCaller,
    /// The client answers twice.
    ClientAnswersTwice,
    /// The client answers before the mirror has the op.
    ClientAnswersEarly,
    /// The client shows what it was asked to write before it is committed.
    ClientShowsUncommitted,
    /// Subscribers are not told of an op.
    HubLosesOp,
    /// Subscribers are not told that the mirror was replaced.
    HubForgetsReplace,
    /// What is written over HTTP has no id of its own, so that nobody can tell a restored store from the one before.
    OpsShareTheirIds,
}

impl Mutation {
    /// All of them.
    pub const ALL: [Mutation; 18] = [
        Mutation::ServerForgetsWrite,
        Mutation::ServerWritesTwice,
        Mutation::ServerRefusesWhatItWrote,
        Mutation::ServerIgnoresFences,
        Mutation::ClientSendsAgain,
        Mutation::FailoverSendsAgain,
        Mutation::ClientLosesOp,
        Mutation::ClientDeliversTwice,
        Mutation::ClientSwapsOps,
        Mutation::ClientLosesLeaf,
        Mutation::ClientDeniesWrite,
        Mutation::ClientForgetsCaller,
        Mutation::ClientAnswersTwice,
        Mutation::ClientAnswersEarly,
        Mutation::ClientShowsUncommitted,
        Mutation::HubLosesOp,
        Mutation::HubForgetsReplace,
        Mutation::OpsShareTheirIds,
    ];
}
