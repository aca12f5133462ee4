//! What can go wrong before an emulator answers anything.

use std::fmt;
use std::path::{Path, PathBuf};

use dust_store::StoreError;

/// Why an emulator could not start, or could not do what a test asked of it.
///
/// `Debug` is the text, so that a `main` that answers it prints a sentence.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum EmulatorError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}; choose another port, or 0 for any that is free")]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The name is none a store can have.
    #[error(
        "`{0}` is not the name of a store: write org/name, such as acme/main, in lower-case letters, digits and `-`"
    )]
    StoreName(String),
    /// A file or a directory failed.
    #[error("{}: {source}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// What is to be imported is not what an import takes.
    #[error("{0}")]
    Import(String),
    /// A store failed or refused a write.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl fmt::Debug for EmulatorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl EmulatorError {
    /// The error of what a file holds.
    pub(crate) fn in_file(self, file: &Path) -> EmulatorError {
        match self {
            EmulatorError::Import(reason) => EmulatorError::Import(format!("{}: {reason}", file.display())),
            other => other,
        }
    }

    pub(crate) fn file(file: &Path, source: std::io::Error) -> EmulatorError {
        EmulatorError::File { file: file.to_owned(), source }
    }
}
