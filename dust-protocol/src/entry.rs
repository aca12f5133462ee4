//! Leaves as a store returns them.

use super::json::RawJson;
use super::path::Path;

/// One leaf, or the object that a store assembles for an interior path.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// The path.
    pub path: Path,
    /// Its value.
    pub value: RawJson,
    /// The type that the store reports.
    pub kind: LeafKind,
    /// The `store_seq` of the op that last wrote it; for an assembled object the largest of its leaves'.
    pub revision: u64,
}

impl Entry {
    /// A leaf, or an assembled object.
    pub fn new(path: Path, value: RawJson, kind: LeafKind, revision: u64) -> Entry {
        Entry { path, value, kind, revision }
    }
}

/// The type a store gives a leaf (`type` on the wire).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LeafKind {
    /// A string, and also an array: the server says `string` for both.
    String,
    /// A number written without a fraction or exponent; every digit is kept.
    Integer,
    /// Any other number.
    Float,
    /// `true` or `false`.
    Boolean,
    /// `null`, which is a value: the leaf exists.
    Null,
    /// An assembled object, and also a typed envelope (decimal, datetime) that was written as one.
    Map,
    /// A number made by `increment`.
    Counter,
    /// A list made by `add` and `remove`.
    Set,
    /// A reference to a file's bytes.
    File,
    /// A lease.
    Lease,
    /// A decimal.
    Decimal,
    /// A date and time.
    Datetime,
    /// A type this version does not know.
    Other,
}

impl LeafKind {
    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            LeafKind::String => "string",
            LeafKind::Integer => "integer",
            LeafKind::Float => "float",
            LeafKind::Boolean => "boolean",
            LeafKind::Null => "null",
            LeafKind::Map => "map",
            LeafKind::Counter => "counter",
            LeafKind::Set => "set",
            LeafKind::File => "file",
            LeafKind::Lease => "lease",
            LeafKind::Decimal => "decimal",
            LeafKind::Datetime => "datetime",
            LeafKind::Other => "other",
        }
    }

    /// The type with this name on the wire; [`LeafKind::Other`] for a name this version does not know.
    pub fn from_name(name: &str) -> LeafKind {
        match name {
            "string" => LeafKind::String,
            "integer" => LeafKind::Integer,
            "float" => LeafKind::Float,
            "boolean" => LeafKind::Boolean,
            "null" => LeafKind::Null,
            "map" => LeafKind::Map,
            "counter" => LeafKind::Counter,
            "set" => LeafKind::Set,
            "file" => LeafKind::File,
            "lease" => LeafKind::Lease,
            "decimal" => LeafKind::Decimal,
            "datetime" => LeafKind::Datetime,
            _ => LeafKind::Other,
        }
    }
}
