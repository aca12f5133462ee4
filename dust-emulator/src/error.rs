//! Errors of the emulator itself.

use std::fmt;
use std::path::{Path, PathBuf};

use dust_store::StoreError;

/// The reason why an emulator could not start or a call of a test failed.
///
/// `Debug` is the text, so that a `main` that answers it prints a sentence.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum EmulatorError {
    /// The caller is outside of a tokio runtime.
    #[error("the emulator needs a tokio runtime: start it inside of `#[tokio::main]` or `Runtime::block_on`")]
    NoRuntime,
    /// Listening on the address failed.
    #[error("cannot listen on {address}: {source}; choose another port, or 0 for any that is free")]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// The cause.
        source: std::io::Error,
    },
    /// The name is not valid for a store.
    #[error(
        "`{0}` is not the name of a store: write org/name, such as acme/main, in lower-case letters, digits and `-`"
    )]
    StoreName(String),
    /// A file or a directory failed.
    #[error("{}: {source}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// The text of an import is invalid.
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
    /// Adds the name of the file to the error of its content.
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
