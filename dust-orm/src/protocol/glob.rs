//! Patterns: which paths a list or a subscription is about.

use std::fmt;

use crate::error::DustErr;

use super::path::{self, Path, PathError};

/// A pattern over paths: `*` is exactly one segment, `**` one or more and only as the last segment.
///
/// `\*` and `\**` stand for a segment that is literally `*` or `**`. A segment such as `1*` is literal.
///
/// ```
/// use dust_orm::protocol::{Glob, Path};
///
/// let titles = Glob::parse("links/*/title")?;
/// assert!(titles.matches(&Path::parse("links/dust/title")?));
/// assert!(!titles.matches(&Path::parse("links/dust")?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Glob {
    rendered: Box<str>,
    tokens: Box<[Token]>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Token {
    Literal(Box<str>),
    One,
    Many,
}

/// Why a string is not a [`Glob`]. [`name`](GlobError::name) is the server's name for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GlobError {
    /// The pattern is not even a path.
    #[error(transparent)]
    Path(#[from] PathError),
    /// `**` stands somewhere else than at the end.
    #[error("wildcard_many_not_tail: `**` may only be the last segment of a pattern")]
    WildcardManyNotTail,
}

impl GlobError {
    /// The server's name for it, `wildcard_many_not_tail` or one of [`PathError::name`].
    pub fn name(self) -> &'static str {
        match self {
            GlobError::Path(error) => error.name(),
            GlobError::WildcardManyNotTail => "wildcard_many_not_tail",
        }
    }
}

impl Glob {
    /// Reads a rendered pattern, such as `links/**`.
    pub fn parse(rendered: &str) -> Result<Glob, GlobError> {
        Path::parse(rendered)?;
        let tokens: Box<[Token]> = rendered.split('/').map(Token::parse).collect();
        let many = tokens.iter().position(|token| *token == Token::Many);
        if many.is_some_and(|at| at + 1 != tokens.len()) {
            return Err(GlobError::WildcardManyNotTail);
        }
        Ok(Glob { rendered: rendered.into(), tokens })
    }

    /// Every path below `path`: `<path>/**`, with a segment `*` or `**` of the path taken literally.
    ///
    /// `None` when a segment of the path is literally `\*` or `\**`, which no pattern can name.
    pub fn below(path: &Path) -> Option<Glob> {
        let mut rendered = String::with_capacity(path.as_str().len() + 3);
        for segment in path.as_str().split('/') {
            match segment {
                "\\*" | "\\**" => return None,
                "*" | "**" => rendered.push('\\'),
                _ => {}
            }
            rendered.push_str(segment);
            rendered.push('/');
        }
        rendered.push_str("**");
        // Cannot fail: the segments are a path's, and `**` is the last one.
        Glob::parse(&rendered).ok()
    }

    /// The rendered form.
    pub fn as_str(&self) -> &str {
        &self.rendered
    }

    /// Whether the pattern matches the path. Exact in case.
    pub fn matches(&self, path: &Path) -> bool {
        self.matches_rendered(path.as_str())
    }

    /// As [`matches`](Glob::matches), for a path in its rendered form.
    pub(crate) fn matches_rendered(&self, rendered: &str) -> bool {
        let mut segments = rendered.split('/');
        for token in &self.tokens {
            match (token, segments.next()) {
                (_, None) => return false,
                (Token::Many, Some(_)) => return true,
                (Token::One, Some(_)) => {}
                (Token::Literal(literal), Some(segment)) if path::unescape(segment) == **literal => {}
                (Token::Literal(_), Some(_)) => return false,
            }
        }
        segments.next().is_none()
    }

    /// What every matching path begins with, in rendered form: the segments before the first one that contains a `*`,
    /// with a trailing `/`; empty when there are none.
    ///
    /// A server looks only below this prefix, which is why a pattern without any `*` lists nothing.
    pub fn literal_prefix(&self) -> &str {
        match self.rendered.find('*') {
            None => &self.rendered,
            Some(star) => {
                let end = self.rendered[..star].rfind('/').map_or(0, |slash| slash + 1);
                &self.rendered[..end]
            }
        }
    }

    /// Whether any segment contains a `*`. A list with a pattern that has none is always empty.
    pub fn has_star(&self) -> bool {
        self.rendered.contains('*')
    }
}

impl Token {
    fn parse(segment: &str) -> Token {
        match segment {
            "*" => Token::One,
            "**" => Token::Many,
            "\\*" => Token::Literal("*".into()),
            "\\**" => Token::Literal("**".into()),
            other => Token::Literal(path::unescape(other).into()),
        }
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rendered)
    }
}

impl fmt::Debug for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Glob({:?})", &*self.rendered)
    }
}

impl std::str::FromStr for Glob {
    type Err = GlobError;

    fn from_str(rendered: &str) -> Result<Glob, GlobError> {
        Glob::parse(rendered)
    }
}

impl From<GlobError> for DustErr {
    fn from(error: GlobError) -> DustErr {
        DustErr::InvalidParams(error.to_string())
    }
}
