//! Deliberate faults of the library and of the server, which the checks have to find.

/// A deliberate fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Defect {
    /// The server acknowledges a write and does not apply it.
    ServerForgetsWrite,
    /// The server applies a write twice.
    ServerWritesTwice,
    /// The server applies a write that it refuses.
    ServerRefusesWhatItWrote,
    /// The server ignores fences.
    ServerIgnoresFences,
    /// The client sends a write again when it has connected again.
    ClientSendsAgain,
    /// A write of unknown outcome is sent again over HTTP, like one that was not sent.
    FailoverSendsAgain,
    /// The client loses an op.
    ClientLosesOp,
    /// The client passes an op to subscribers twice.
    ClientDeliversTwice,
    /// The client swaps two ops.
    ClientSwapsOps,
    /// The client loses a leaf of a snapshot.
    ClientLosesLeaf,
    /// The client reports an applied write as failed.
    ClientDeniesWrite,
    /// The client does not answer.
    ClientForgetsCaller,
    /// The client answers twice.
    ClientAnswersTwice,
    /// The client answers before the mirror has the op.
    ClientAnswersEarly,
    /// The mirror has a write before it is committed.
    ClientShowsUncommitted,
    /// Subscribers do not receive an op.
    HubLosesOp,
    /// Subscribers receive no resync after the mirror was replaced.
    HubForgetsReplace,
    /// HTTP writes have no id of their own, so that a restored store looks like the one before.
    OpsShareTheirIds,
}

impl Defect {
    /// All defects.
    pub const ALL: [Defect; 18] = [
        Defect::ServerForgetsWrite,
        Defect::ServerWritesTwice,
        Defect::ServerRefusesWhatItWrote,
        Defect::ServerIgnoresFences,
        Defect::ClientSendsAgain,
        Defect::FailoverSendsAgain,
        Defect::ClientLosesOp,
        Defect::ClientDeliversTwice,
        Defect::ClientSwapsOps,
        Defect::ClientLosesLeaf,
        Defect::ClientDeniesWrite,
        Defect::ClientForgetsCaller,
        Defect::ClientAnswersTwice,
        Defect::ClientAnswersEarly,
        Defect::ClientShowsUncommitted,
        Defect::HubLosesOp,
        Defect::HubForgetsReplace,
        Defect::OpsShareTheirIds,
    ];
}
