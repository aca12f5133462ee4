use std::fmt;
use std::sync::Arc;

/// An access token that no log and no error shows.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Token(Arc<str>);

impl Token {
    pub(crate) fn new(token: &str) -> Token {
        Token(token.into())
    }

    /// The token itself, for the `Authorization` header only.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }

    /// The text without the token. A response may repeat the request, and its text is part of errors.
    pub(crate) fn redact(&self, text: String) -> String {
        // A shorter token is not a secret, and its letters may occur in any word of the text.
        const SECRET_FROM: usize = 8;
        let hide = self.0.len() >= SECRET_FROM && text.contains(&*self.0);
        if hide { text.replace(&*self.0, "[token]") } else { text }
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}
