use serde::Deserialize;

use crate::JsonObject;
use crate::excerpt::excerpt;

/// Why a server refused a request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Refusal {
    /// The server's name for it (`conflict`, `missing_scope`, …), or an exception of its own as text.
    pub reason: String,
    /// A sentence.
    pub message: Option<String>,
    /// The scope that the token lacks.
    pub scope: Option<String>,
    /// How long to wait, in milliseconds: always the full window.
    pub retry_after_ms: Option<u64>,
    /// The limit of the plan that is reached, such as `keys`.
    pub dimension: Option<String>,
    /// That limit.
    pub limit: Option<u64>,
}

impl Refusal {
    /// Reads the body of an error reply. What is not one is a reason in itself.
    pub(in crate::channel) fn read(body: &str) -> Refusal {
        serde_json::from_str(body)
            .map_or_else(|_| Refusal { reason: body.to_owned(), ..Refusal::default() }, |JsonObject(refusal)| refusal)
    }

    /// The same, its texts as a function makes them.
    pub fn map(self, change: impl Fn(String) -> String) -> Refusal {
        Refusal {
            reason: change(self.reason),
            message: self.message.map(&change),
            scope: self.scope.map(&change),
            dimension: self.dimension.map(&change),
            ..self
        }
    }

    /// Whether the channel was not joined, so that nothing happened.
    pub fn is_not_joined(&self) -> bool {
        self.reason == "unmatched topic"
    }

    /// Whether joining again soon cannot help.
    pub fn is_final(&self) -> bool {
        matches!(self.reason.as_str(), "unauthorized" | "store_not_allowed" | "missing_scope" | "store_archived")
    }

    /// The reason as one short line, with the server's sentence or the limit of the plan.
    pub fn summary(&self) -> String {
        let reason = excerpt(&self.reason);
        match (&self.message, &self.dimension, self.limit) {
            (Some(message), _, _) => format!("{} ({reason})", excerpt(message)),
            (None, Some(dimension), Some(limit)) => {
                format!("{reason} (the plan allows {limit} {})", excerpt(dimension))
            }
            _ if reason.is_empty() => "refused without a reason".to_owned(),
            _ => reason,
        }
    }
}
