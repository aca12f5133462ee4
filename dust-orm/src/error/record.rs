use std::error::Error;
use std::fmt;
use std::sync::Arc;

use super::Cause;

/// A stored record that does not fit its entity: the required fields that are missing, the leaves that no field claims,
/// and the values that could not be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct InvalidRecord {
    /// The record's path.
    pub path: String,
    /// Required fields without a leaf.
    pub missing: Vec<String>,
    /// Leaves that no field of the entity claims.
    pub unrecognised: Vec<String>,
    /// Fields whose value could not be read.
    pub undecodable: Vec<Undecodable>,
}

/// A field whose stored value could not be read.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Undecodable {
    /// The name of the field; `key` or `record` for the record as a whole.
    pub field: String,
    /// The reason.
    pub reason: String,
    /// Serde's error, where it was one.
    pub source: Option<Cause>,
}

/// Compares the field and the reason.
impl PartialEq for Undecodable {
    fn eq(&self, other: &Undecodable) -> bool {
        (&self.field, &self.reason) == (&other.field, &other.reason)
    }
}

impl Eq for Undecodable {}

impl Undecodable {
    pub(crate) fn new(field: impl Into<String>, reason: impl Into<String>) -> Undecodable {
        Undecodable { field: field.into(), reason: reason.into(), source: None }
    }

    pub(crate) fn with_source(self, source: impl Error + Send + Sync + 'static) -> Undecodable {
        Undecodable { source: Some(Arc::new(source)), ..self }
    }
}

impl InvalidRecord {
    /// A record with one field that could not be read.
    pub(crate) fn undecodable(path: impl Into<String>, field: Undecodable) -> InvalidRecord {
        InvalidRecord { path: path.into(), undecodable: vec![field], ..InvalidRecord::default() }
    }

    /// True if the record cannot be read. Unrecognised leaves alone do not make it invalid.
    pub(crate) fn is_invalid(&self) -> bool {
        !self.missing.is_empty() || !self.undecodable.is_empty()
    }

    /// Returns the record as an error if it cannot be read.
    pub(crate) fn into_result(self) -> Result<(), InvalidRecord> {
        if self.is_invalid() { Err(self) } else { Ok(()) }
    }
}

impl fmt::Display for InvalidRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the record at `{}` does not fit the entity", self.path)?;
        if !self.missing.is_empty() {
            write!(f, "; missing: {}", self.missing.join(", "))?;
        }
        for Undecodable { field, reason, .. } in &self.undecodable {
            write!(f, "; `{field}`: {reason}")?;
        }
        if !self.unrecognised.is_empty() {
            write!(f, "; unrecognised: {}", self.unrecognised.join(", "))?;
        }
        Ok(())
    }
}

impl Error for InvalidRecord {
    /// The error of the first field that has one.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        let cause = self.undecodable.iter().find_map(|field| field.source.as_deref())?;
        Some(cause)
    }
}
