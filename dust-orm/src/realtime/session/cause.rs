//! Why the outcome of a write is unknown.

/// Why the answer to what was sent will not come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    Connection,
    Crash,
    Closed,
    /// The channel answers nothing, although its connection is open.
    Hung,
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
            Cause::Hung => "the server did not answer it, nor anything else on its channel",
            Cause::Joined => "its answer was lost",
            Cause::Refused => "the store could not be followed any more before its answer came",
        }
    }
}
