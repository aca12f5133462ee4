use std::fmt;

/// Why a stored record does not fit its entity: which required fields are missing, which leaves no field claims, and
/// which values could not be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InvalidRecord {
    /// The record's path.
    pub path: String,
    /// Required fields without a leaf.
    pub missing: Vec<String>,
    /// Leaves that no field of the entity claims.
    pub unrecognised: Vec<String>,
    /// Fields whose value could not be read, with the reason.
    pub undecodable: Vec<(String, String)>,
}

impl InvalidRecord {
    /// Whether anything keeps the record from being read. Unrecognised leaves alone do not.
    pub fn is_invalid(&self) -> bool {
        !self.missing.is_empty() || !self.undecodable.is_empty()
    }

    /// An error when anything keeps the record from being read.
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
        for (field, reason) in &self.undecodable {
            write!(f, "; `{field}`: {reason}")?;
        }
        if !self.unrecognised.is_empty() {
            write!(f, "; unrecognised: {}", self.unrecognised.join(", "))?;
        }
        Ok(())
    }
}

impl std::error::Error for InvalidRecord {}
