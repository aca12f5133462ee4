use serde::Deserialize;

use crate::JsonObject;
use crate::excerpt::excerpt;

/// The reason why a server refused a request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Refusal {
    /// The server's name for it (`conflict`, `missing_scope`, …), or the text of an exception in the server.
    pub reason: String,
    /// A sentence for people.
    pub message: Option<String>,
    /// The missing scope of the token.
    pub scope: Option<String>,
    /// The time to wait, in milliseconds: always the full window.
    pub retry_after_ms: Option<u64>,
    /// The name of the plan's limit that is reached, such as `keys`.
    pub dimension: Option<String>,
    /// The value of that limit.
    pub limit: Option<u64>,
}

impl Refusal {
    /// Parses the body of an error reply. The text of any other body is the reason.
    pub(in crate::channel) fn read(body: &str) -> Refusal {
        serde_json::from_str(body)
            .map_or_else(|_| Refusal { reason: body.to_owned(), ..Refusal::default() }, |JsonObject(refusal)| refusal)
    }

    /// The same with its texts changed by a function.
    pub fn map(self, change: impl Fn(String) -> String) -> Refusal {
        Refusal {
            reason: change(self.reason),
            message: self.message.map(&change),
            scope: self.scope.map(&change),
            dimension: self.dimension.map(&change),
            ..self
        }
    }

    /// True if the channel was not joined, so that the request had no effect.
    pub fn is_not_joined(&self) -> bool {
        self.reason == "unmatched topic"
    }

    /// True if another join soon would be refused too.
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
