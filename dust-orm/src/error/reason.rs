//! Reasons on their way to an error.

use std::error::Error;
use std::sync::Arc;

use super::Cause;

/// The reason of an error: its text, and the cause where there is one.
#[derive(Clone, Debug)]
pub(crate) struct Reason {
    text: String,
    source: Option<Cause>,
}

impl Reason {
    /// An error as a reason, in its own words.
    pub(crate) fn of(error: impl Error + Send + Sync + 'static) -> Reason {
        Reason { text: error.to_string(), source: Some(Arc::new(error)) }
    }

    /// The same cause in other words.
    pub(crate) fn map(self, change: impl FnOnce(String) -> String) -> Reason {
        Reason { text: change(self.text), ..self }
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn source(&self) -> Option<Cause> {
        self.source.clone()
    }
}

impl From<&str> for Reason {
    fn from(text: &str) -> Reason {
        text.to_owned().into()
    }
}

impl From<String> for Reason {
    fn from(text: String) -> Reason {
        Reason { text, source: None }
    }
}

/// The reason of a call that finds no connection, given the reason for which the last one was lost.
#[cfg(feature = "realtime")]
pub(crate) fn no_connection(lost: Option<&Reason>) -> Reason {
    match lost {
        Some(lost) => lost.clone().map(|why| format!("there is no connection ({why})")),
        None => "there is no connection".into(),
    }
}
