//! The cause of an unknown outcome.

/// The reason for which a message is never answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    Connection,
    Crash,
    Closed,
    /// The channel answers nothing, although its connection is open.
    TimedOut,
    /// Later messages were answered, and the store was joined again.
    Joined,
    Refused,
}

impl Cause {
    pub(super) fn text(self) -> &'static str {
        match self {
            Cause::Connection => "the connection broke before its answer came",
            Cause::Crash => "the channel crashed before its answer came",
            Cause::Closed => "the server closed the channel before its answer came",
            Cause::TimedOut => "the server did not answer it, nor anything else on its channel",
            Cause::Joined => "its answer was lost",
            Cause::Refused => "the store was refused before its answer came",
        }
    }
}
