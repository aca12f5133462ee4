use crate::error::DustErr;

/// The abilities of a transport beyond reading, `set`, `delete` and atomic batches, which all transports have.
///
/// Another transport starts with the [default](Capabilities::default), the minimum, and sets its further abilities:
///
/// ```
/// use dust_orm::Capabilities;
///
/// let mut capabilities = Capabilities::default();
/// capabilities.fences = true;
/// capabilities.batch_bytes = 1 << 20;
/// assert!(!capabilities.subscribe && !capabilities.typed_ops);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// A `set` may carry [`IfSubtreeAbsent`](dust_protocol::Precondition::IfSubtreeAbsent). A Dust server knows only
    /// `IfLeafAbsent` of a single leaf, and ignores even that in a batch without an error.
    pub if_subtree_absent: bool,
    /// Writes may carry a [`Fence`](dust_protocol::Fence).
    pub fences: bool,
    /// Any batch may carry a fence. If only `fences` is set, a batch may carry one if it sets the fields of one record
    /// without conditions.
    pub fenced_batches: bool,
    /// A batch that sets several fields of one record may be committed as one op, with one `store_seq`.
    pub merges_fields: bool,
    /// `merge`, `increment`, `add`, `remove`, leases and files can be written.
    pub typed_ops: bool,
    /// Committed ops can be subscribed to: [`op_hub`](crate::Transport::op_hub) returns a hub.
    pub subscribe: bool,
    /// Calls cross a network: lists request the next page in advance.
    pub remote: bool,
    /// The size of the largest batch, in bytes of paths and values with some room for the syntax around them (default:
    /// `usize::MAX`, no limit).
    pub batch_bytes: usize,
}

impl Default for Capabilities {
    /// The minimum: batches of any size, and nothing else.
    fn default() -> Capabilities {
        Capabilities {
            if_subtree_absent: false,
            fences: false,
            fenced_batches: false,
            merges_fields: false,
            typed_ops: false,
            subscribe: false,
            remote: false,
            batch_bytes: usize::MAX,
        }
    }
}

impl Capabilities {
    /// The error for an operation that `transport` lacks.
    pub fn refuse(self, transport: &'static str, operation: &str) -> DustErr {
        DustErr::not_supported(
            operation,
            transport,
            "use the realtime client, or the embedded store for tests and development",
        )
    }
}
