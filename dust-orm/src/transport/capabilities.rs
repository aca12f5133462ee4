use crate::error::DustErr;

/// What a transport can do beyond reading, `set`, `delete` and atomic batches, which all of them can.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// Whether a `set` may carry [`IfVacant`](dust_protocol::Precondition::IfVacant). A Dust server knows only
    /// `IfAbsent` of a single leaf, and ignores even that in a batch without a word.
    pub if_vacant: bool,
    /// Whether writes may carry a [`Fence`](dust_protocol::Fence).
    pub fences: bool,
    /// Whether any batch may carry a fence. Where single writes may and batches may not, a batch that sets the fields of one
    /// record without conditions still may.
    pub fenced_batches: bool,
    /// Whether a batch that sets several fields of one record may be committed as one op, with one `store_seq`.
    pub merges_fields: bool,
    /// Whether `merge`, `increment`, `add`, `remove`, leases and files can be written.
    pub typed_ops: bool,
    /// Whether any JSON value can be written. With [MessagePack frames](dust_protocol::channel::Frames) integers beyond 64 bits
    /// and decimal envelopes cannot.
    pub every_value: bool,
    /// Whether committed ops can be subscribed to.
    pub subscribe: bool,
    /// Whether a call crosses a network, so that it pays to ask for the next page ahead of time.
    pub remote: bool,
    /// How many bytes of paths and values one batch may hold at the most, with some room for what stands around them.
    pub batch_bytes: usize,
}

impl Capabilities {
    /// The error for an operation that `transport` lacks.
    pub fn refuse(self, transport: &'static str, operation: &str) -> DustErr {
        DustErr::NotSupported {
            operation: operation.to_owned(),
            transport,
            hint: "use the realtime client, or the embedded store for tests and development".to_owned(),
        }
    }
}
