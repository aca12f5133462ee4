//! Patterns that select the paths of a list or a subscription.

use std::fmt;

use super::path::{self, Path, PathError};

/// A pattern over paths: `*` is exactly one segment, `**` one or more and only as the last segment.
///
/// `\*` and `\**` are the literal segments `*` and `**`. A segment such as `1*` is literal.
///
/// ```
/// use dust_protocol::{Pattern, Path};
///
/// let titles = Pattern::parse("links/*/title")?;
/// assert!(titles.matches(&Path::parse("links/dust/title")?));
/// assert!(!titles.matches(&Path::parse("links/dust")?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Pattern {
    rendered: Box<str>,
    tokens: Box<[Token]>,
}

/// One segment of a pattern.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Token {
    /// This segment, unescaped.
    Literal(Box<str>),
    /// `*`
    One,
    /// `**`
    Many,
}

/// The reason why a string is not a [`Pattern`]. [`name`](PatternError::name) is the server's name for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PatternError {
    /// The pattern is not a path.
    #[error(transparent)]
    Path(#[from] PathError),
    /// `**` is not the last segment.
    #[error("wildcard_many_not_tail: `**` may only be the last segment of a pattern")]
    WildcardManyNotTail,
}

/// The error of a path that no pattern can name, as it has a segment `\*` or `\**`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` has a segment `\\*` or `\\**`, which no pattern can name")]
pub struct UnnameablePath(pub Path);

impl PatternError {
    /// The server's name for it, `wildcard_many_not_tail` or one of [`PathError::name`].
    pub fn name(self) -> &'static str {
        match self {
            PatternError::Path(error) => error.name(),
            PatternError::WildcardManyNotTail => "wildcard_many_not_tail",
        }
    }
}

impl Pattern {
    /// Parses a rendered pattern, such as `links/**`.
    pub fn parse(rendered: &str) -> Result<Pattern, PatternError> {
        Pattern::of(rendered.into())
    }

    fn of(rendered: Box<str>) -> Result<Pattern, PatternError> {
        path::check(&rendered)?;
        let mut tokens = Vec::with_capacity(rendered.split('/').count());
        tokens.extend(rendered.split('/').map(Token::parse));
        let many = tokens.iter().position(|token| *token == Token::Many);
        if many.is_some_and(|at| at + 1 != tokens.len()) {
            return Err(PatternError::WildcardManyNotTail);
        }
        Ok(Pattern { rendered, tokens: tokens.into() })
    }

    /// The pattern of every path below `path`: `<path>/**`, with segments `*` and `**` of the path taken literally.
    ///
    /// `None` if a segment of the path is literally `\*` or `\**`, which no pattern can name.
    pub fn below(path: &Path) -> Option<Pattern> {
        // Cannot fail: the segments are a path's, and `**` is the last one.
        Pattern::render_below(path).and_then(|rendered| Pattern::of(rendered.into()).ok())
    }

    fn render_below(path: &Path) -> Option<String> {
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
        Some(rendered)
    }

    /// As [`below`](Pattern::below), with an error that names the path.
    pub fn subtree(path: &Path) -> Result<Pattern, UnnameablePath> {
        Pattern::below(path).ok_or_else(|| UnnameablePath(path.clone()))
    }

    /// The path if this is the pattern of everything below one.
    pub fn base(&self) -> Option<Path> {
        let (Token::Many, literals) = self.tokens.split_last()? else { return None };
        let segment = |token: &'_ Token| match token {
            Token::Literal(literal) => Some(literal.clone()),
            Token::One | Token::Many => None,
        };
        let segments: Vec<Box<str>> = literals.iter().map(segment).collect::<Option<_>>()?;
        Path::from_segments(segments).ok()
    }

    /// The rendered form.
    pub fn as_str(&self) -> &str {
        &self.rendered
    }

    /// True if the pattern matches the path. Exact in case.
    pub fn matches(&self, path: &Path) -> bool {
        self.matches_rendered(path.as_str())
    }

    /// As [`matches`](Pattern::matches), for a path in its rendered form.
    pub fn matches_rendered(&self, rendered: &str) -> bool {
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

    /// True if the pattern matches any path below this one, ignoring the ASCII case of this one, as a store does when
    /// it removes a subtree.
    pub fn matches_below(&self, path: &Path) -> bool {
        let mut segments = path.segments();
        for token in &self.tokens {
            match (token, segments.next()) {
                (_, None) | (Token::Many, Some(_)) => return true,
                (Token::One, Some(_)) => {}
                (Token::Literal(literal), Some(segment)) if literal.eq_ignore_ascii_case(&segment) => {}
                (Token::Literal(_), Some(_)) => return false,
            }
        }
        false
    }

    /// The segments, each with its meaning.
    pub fn tokens(&self) -> &[Token] {
        &self.tokens
    }

    /// The rendered prefix of every matching path: the segments before the first one that contains a `*`, with a
    /// trailing `/`; empty if there are none.
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

    /// True if any segment contains a `*`. A list with a pattern that has none is always empty.
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

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rendered)
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pattern({:?})", &*self.rendered)
    }
}

impl std::str::FromStr for Pattern {
    type Err = PatternError;

    fn from_str(rendered: &str) -> Result<Pattern, PatternError> {
        Pattern::parse(rendered)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing::segment;
    use super::*;

    fn matches(pattern: &str, path: &[&str]) -> bool {
        Pattern::parse(pattern).unwrap().matches(&Path::from_segments(path).unwrap())
    }

    #[test]
    fn one_star_matches_one_segment_and_two_match_more() {
        for (pattern, path, expected) in [
            ("**", &["x"][..], true),
            ("**", &["x", "y", "z"], true),
            ("*", &["x"], true),
            ("*", &["x", "y"], false),
            ("links/*", &["links", "dust"], true),
            ("links/*", &["links"], false),
            ("links/*", &["links", "dust", "title"], false),
            ("links/**", &["links", "dust", "title"], true),
            ("links/**", &["links"], false),
            ("links/*/**", &["links", "dust"], false),
            ("links/*/title", &["links", "dust", "title"], true),
            ("links/*/title", &["links", "dust", "url"], false),
            ("x/y", &["x", "y"], true),
            ("x/y", &["x", "z"], false),
            ("X/y", &["x", "y"], false),
            ("dust.layer", &["dust.layer"], true),
            ("dust.layer", &["dust", "layer"], false),
            ("docs/img~1logo", &["docs", "img/logo"], true),
            ("x/\\*", &["x", "*"], true),
            ("x/\\*", &["x", "y"], false),
            ("x/\\**", &["x", "**"], true),
            ("x/\\**", &["x", "y", "z"], false),
            ("x/1*", &["x", "1*"], true),
            ("x/1*", &["x", "12"], false),
        ] {
            assert_eq!(matches(pattern, path), expected, "{pattern} {path:?}");
        }
    }

    #[test]
    fn invalid_pattern_has_the_name_of_the_server() {
        for (pattern, name) in [
            ("x/**/y", "wildcard_many_not_tail"),
            ("**/y", "wildcard_many_not_tail"),
            ("**/**", "wildcard_many_not_tail"),
            ("", "empty_path"),
            ("x//y", "empty_segment"),
            ("x/", "empty_segment"),
            ("x~y/*", "invalid_escape"),
        ] {
            assert_eq!(Pattern::parse(pattern).unwrap_err().name(), name, "{pattern}");
        }
    }

    #[test]
    fn literal_prefix_ends_before_first_star() {
        for (pattern, prefix, star) in [
            ("links/**", "links/", true),
            ("links/a~1b/*/x", "links/a~1b/", true),
            ("*/x", "", true),
            ("links/1*", "links/", true),
            ("links/\\*/x", "links/", true),
            ("links/dust", "links/dust", false),
        ] {
            let parsed = Pattern::parse(pattern).unwrap();
            assert_eq!((parsed.literal_prefix(), parsed.has_star()), (prefix, star), "{pattern}");
        }
    }

    #[test]
    fn below_takes_stars_literally() {
        let below = |path: &str| Pattern::below(&Path::parse(path).unwrap()).map(|parsed| parsed.to_string());
        assert_eq!(below("links/dust").as_deref(), Some("links/dust/**"));
        assert_eq!(below("links/*/**").as_deref(), Some("links/\\*/\\**/**"));
        assert_eq!(below("links/1*").as_deref(), Some("links/1*/**"));
        assert_eq!(below("links/\\*"), None);
    }

    #[test]
    fn pattern_matches_below_a_path_in_any_case() {
        for (pattern, path, expected) in [
            ("links/**", "links", true),
            ("links/**", "LINKS", true),
            ("links/**", "Links/A/title", true),
            ("links/*/title", "links/a", true),
            ("links/*/title", "links/a/TITLE", false),
            ("links/a/title", "links/A", true),
            ("links/a/title", "links/b", false),
            ("a/links/**", "a", true),
            ("a/links/**", "links", false),
            ("**", "x", true),
            ("*", "x", false),
            ("x/\\*", "x", true),
        ] {
            assert_eq!(
                Pattern::parse(pattern).unwrap().matches_below(&path.parse().unwrap()),
                expected,
                "{pattern} {path}"
            );
        }
    }

    fn naive(pattern: &[String], path: &[String]) -> bool {
        match (pattern, path) {
            ([], []) => true,
            ([], _) | (_, []) => false,
            ([many], _) if many == "**" => true,
            ([first, pattern @ ..], [segment, path @ ..]) => {
                let literal = match first.as_str() {
                    "*" => return naive(pattern, path),
                    "\\*" => "*",
                    "\\**" => "**",
                    other => other,
                };
                literal == segment && naive(pattern, path)
            }
        }
    }

    fn pattern() -> impl Strategy<Value = Vec<String>> {
        let piece = prop_oneof![3 => segment(), 2 => Just("*".to_owned()), 1 => Just("a".to_owned())];
        (prop::collection::vec(piece, 0..4), prop_oneof![Just("**".to_owned()), Just("*".to_owned()), segment()])
            .prop_map(|(mut pieces, last)| {
                pieces.retain(|piece| piece != "**");
                pieces.push(last);
                pieces
            })
    }

    proptest! {
        #[test]
        fn matching_is_that_of_a_naive_matcher(
            pattern in pattern(),
            path in prop::collection::vec(prop_oneof![Just("a".to_owned()), segment()], 1..5),
        ) {
            // A pattern's segments are escaped as a path's are.
            let rendered = Path::from_segments(&pattern).unwrap();
            let parsed = Pattern::parse(rendered.as_str()).unwrap();
            let at = Path::from_segments(&path).unwrap();
            prop_assert_eq!(parsed.matches(&at), naive(&pattern, &path));
            if parsed.matches(&at) {
                prop_assert!(!parsed.has_star() || at.as_str().starts_with(parsed.literal_prefix()));
            }
        }

        #[test]
        fn pattern_from_a_path_matches_it(
            path in prop::collection::vec(segment(), 1..5),
            holes in any::<u8>(),
        ) {
            let at = Path::from_segments(&path).unwrap();
            let pieces = path.iter().enumerate().map(|(index, segment)| {
                if holes >> index & 1 == 1 || segment.starts_with('\\') {
                    "*".to_owned()
                } else if segment == "*" || segment == "**" {
                    format!("\\{segment}")
                } else {
                    segment.clone()
                }
            });
            let rendered = Path::from_segments(pieces.collect::<Vec<_>>()).unwrap();
            prop_assert!(Pattern::parse(rendered.as_str()).unwrap().matches(&at));
        }

        #[test]
        fn below_matches_what_is_below(
            base in prop::collection::vec(segment(), 1..4),
            rest in prop::collection::vec(segment(), 1..3),
        ) {
            let base = Path::from_segments(&base).unwrap();
            let below = Path::from_segments(base.segments().map(String::from).chain(rest)).unwrap();
            if let Some(parsed) = Pattern::below(&base) {
                prop_assert!(parsed.matches(&below) && !parsed.matches(&base));
            }
        }
    }
}
