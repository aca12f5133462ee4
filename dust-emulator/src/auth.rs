//! Tokens, with their scopes, stores and ends.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use crate::http::{Answer, Request};
use crate::ids;
use crate::stores::StoreName;

/// The scopes of a server.
pub const SCOPES: [&str; 12] = [
    "audit:read",
    "entries:read",
    "entries:write",
    "files:read",
    "files:write",
    "stores:clone",
    "stores:create",
    "stores:read",
    "tokens:read",
    "tokens:write",
    "webhooks:read",
    "webhooks:write",
];

/// An API token. The emulator has one without restrictions; a test adds the others that it needs.
///
/// ```
/// use dust_emulator::Token;
///
/// let token = Token::new("reader").scopes(["entries:read"]).only("acme/main").expires_at_ms(1_795_332_000_000);
/// assert!(token.has_scope("entries:read") && !token.has_scope("entries:write"));
/// ```
#[derive(Clone)]
pub struct Token {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) secret: String,
    /// `None` for every organisation.
    pub(crate) org: Option<String>,
    pub(crate) scopes: BTreeSet<String>,
    pub(crate) access: Access,
    pub(crate) expires_at_ms: Option<i64>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    All,
    Selected(BTreeSet<StoreName>),
}

impl Token {
    /// Makes a token with this secret (the text after `Bearer `), every scope, access to every store of every
    /// organisation, and no end.
    pub fn new(secret: impl Into<String>) -> Token {
        Token {
            id: ids::uuid(),
            name: "token".to_owned(),
            secret: secret.into(),
            org: None,
            scopes: SCOPES.map(str::to_owned).into(),
            access: Access::All,
            expires_at_ms: None,
        }
    }

    /// Makes a token with a random secret.
    pub fn generate() -> Token {
        Token::new(ids::secret())
    }

    /// Sets the id of the token, which is in the device id of its writes: `http:<id>` (default: a UUID).
    pub fn id(mut self, id: impl Into<String>) -> Token {
        self.id = id.into();
        self
    }

    /// Sets the scopes of the token. They are not checked: those of a server are in [`SCOPES`].
    pub fn scopes<S: Into<String>>(mut self, scopes: impl IntoIterator<Item = S>) -> Token {
        self.scopes = scopes.into_iter().map(Into::into).collect();
        self
    }

    /// Removes every scope except those for reading.
    pub fn read_only(mut self) -> Token {
        self.scopes.retain(|scope| scope.ends_with(":read") && scope != "tokens:read");
        self
    }

    /// Restricts the token to the stores of one organisation.
    pub fn org(mut self, org: impl Into<String>) -> Token {
        self.org = Some(org.into());
        self
    }

    /// Restricts the token to one store, or admits one more after the first. A name that is not `org/name` admits none.
    pub fn only(mut self, store: &str) -> Token {
        let mut stores = match self.access {
            Access::All => BTreeSet::new(),
            Access::Selected(stores) => stores,
        };
        if let Ok(store) = StoreName::parse(store) {
            self.org = Some(store.org().to_owned());
            stores.insert(store);
        }
        self.access = Access::Selected(stores);
        self
    }

    /// Ends the token at this wall time, in milliseconds since 1970.
    pub fn expires_at_ms(mut self, wall_ms: i64) -> Token {
        self.expires_at_ms = Some(wall_ms);
        self
    }

    /// The secret: the text after `Bearer `.
    pub fn secret(&self) -> &str {
        &self.secret
    }

    /// True if the token has a scope.
    pub fn has_scope(&self, scope: &str) -> bool {
        self.scopes.contains(scope)
    }

    /// True if the token may see stores of this organisation.
    pub(crate) fn sees_org(&self, org: &str) -> bool {
        self.org.as_deref().is_none_or(|own| own == org)
    }

    /// True if the token may use a store of an organisation that it sees.
    pub(crate) fn reaches(&self, store: &StoreName) -> bool {
        match &self.access {
            Access::All => true,
            Access::Selected(stores) => stores.contains(store),
        }
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("id", &self.id).field("scopes", &self.scopes).finish_non_exhaustive()
    }
}

/// The tokens of an emulator.
#[derive(Default)]
pub(crate) struct Tokens(RwLock<Vec<Arc<Token>>>);

impl Tokens {
    /// Adds a token, or replaces the one with the same secret.
    pub(crate) fn add(&self, token: Token) -> Arc<Token> {
        let token = Arc::new(token);
        let mut tokens = self.0.write().unwrap_or_else(PoisonError::into_inner);
        tokens.retain(|other| other.secret != token.secret);
        tokens.push(Arc::clone(&token));
        token
    }

    /// Removes the tokens for which `gone` returns true. Returns true if there were any.
    pub(crate) fn revoke(&self, gone: impl Fn(&Token) -> bool) -> bool {
        let mut tokens = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let before = tokens.len();
        tokens.retain(|token| !gone(token));
        tokens.len() < before
    }

    pub(crate) fn all(&self) -> Vec<Arc<Token>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The token with a secret, unless it has expired.
    pub(crate) fn by_secret(&self, secret: &str, now_ms: i64) -> Option<Arc<Token>> {
        let alive = |token: &Token| token.expires_at_ms.is_none_or(|end| now_ms < end);
        self.all().into_iter().find(|token| token.secret == secret && alive(token))
    }

    /// The token of a request: exactly `Bearer `, then the secret.
    pub(crate) fn of(&self, request: &Request, now_ms: i64) -> Result<Arc<Token>, Answer> {
        request
            .header("authorization")
            .and_then(|header| header.strip_prefix("Bearer "))
            .and_then(|secret| self.by_secret(secret, now_ms))
            .ok_or_else(|| Answer::error(401, "unauthorized"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_ends_at_its_time() {
        let tokens = Tokens::default();
        tokens.add(Token::new("s").expires_at_ms(1000));
        assert!(tokens.by_secret("s", 999).is_some());
        assert!(tokens.by_secret("s", 1000).is_none());
        assert!(tokens.by_secret("S", 0).is_none());
    }

    #[test]
    fn secret_belongs_to_one_token() {
        let tokens = Tokens::default();
        tokens.add(Token::new("s"));
        tokens.add(Token::new("s").read_only());
        assert_eq!(tokens.all().len(), 1);
        assert!(!tokens.by_secret("s", 0).unwrap().has_scope("entries:write"));
        assert!(tokens.revoke(|token| token.secret == "s") && !tokens.revoke(|token| token.secret == "s"));
    }

    #[test]
    fn token_is_restricted_to_stores() {
        let token = Token::new("s").only("acme/a").only("acme/b");
        let reaches = |name: &str| token.reaches(&StoreName::parse(name).unwrap());
        assert!(reaches("acme/a") && reaches("acme/b") && !reaches("acme/c"));
        assert!(token.sees_org("acme") && !token.sees_org("other"));
        assert!(!Token::new("s").only("nonsense").reaches(&StoreName::parse("acme/a").unwrap()));
        assert!(Token::new("s").reaches(&StoreName::parse("acme/a").unwrap()));
    }

    #[test]
    fn debug_output_hides_secrets() {
        assert!(!format!("{:?}", Token::new("dust_tok_secret")).contains("dust_tok_secret"));
    }
}
