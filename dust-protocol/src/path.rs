//! Paths: the addresses of leaves.

use std::borrow::Cow;
use std::fmt;

/// The address of a leaf or a subtree: a non-empty list of non-empty segments.
///
/// A path is kept in its *rendered* form: segments joined by `/`, with `~` written `~0` and `/` written `~1` inside a
/// segment (RFC 6901). `.` is an ordinary character. Paths order by the bytes of that form, as Dust orders them.
///
/// ```
/// use dust_protocol::Path;
///
/// let path = Path::from_segments(["links", "a/b"])?;
/// assert_eq!(path.as_str(), "links/a~1b");
/// assert_eq!(path, Path::parse("links/a~1b")?);
/// assert_eq!(path.segments().collect::<Vec<_>>(), ["links", "a/b"]);
/// # Ok::<(), dust_protocol::PathError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Path(Box<str>);

/// The reason why a string or a list of segments is not a [`Path`]. [`name`](PathError::name) is the server's name for
/// it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathError {
    /// No segment.
    #[error("empty_path: a path needs at least one segment")]
    EmptyPath,
    /// A segment without characters: a leading, trailing or doubled `/`.
    #[error("empty_segment: a path has no leading, trailing or doubled `/`")]
    EmptySegment,
    /// A `~` that is not part of `~0` or `~1`.
    #[error("invalid_escape: inside a segment `~` is written `~0` and `/` is written `~1`")]
    InvalidEscape,
}

impl PathError {
    /// The server's name: `empty_path`, `empty_segment` or `invalid_escape`.
    pub fn name(self) -> &'static str {
        match self {
            PathError::EmptyPath => "empty_path",
            PathError::EmptySegment => "empty_segment",
            PathError::InvalidEscape => "invalid_escape",
        }
    }
}

impl Path {
    /// Parses a rendered path.
    pub fn parse(rendered: &str) -> Result<Path, PathError> {
        check(rendered)?;
        Ok(Path(rendered.into()))
    }

    /// Joins segments, escaping each.
    pub fn from_segments<S: AsRef<str>>(segments: impl IntoIterator<Item = S>) -> Result<Path, PathError> {
        Path::join(String::new(), segments)
    }

    fn join<S: AsRef<str>>(mut rendered: String, segments: impl IntoIterator<Item = S>) -> Result<Path, PathError> {
        for (index, segment) in segments.into_iter().enumerate() {
            let segment = segment.as_ref();
            if segment.is_empty() {
                return Err(PathError::EmptySegment);
            }
            if index > 0 {
                rendered.push('/');
            }
            escape_into(segment, &mut rendered);
        }
        if rendered.is_empty() {
            return Err(PathError::EmptyPath);
        }
        Ok(Path(rendered.into()))
    }

    /// The path of segments below others, in one allocation if nothing is escaped.
    pub fn within<'s>(above: &[&'s str], below: impl Iterator<Item = &'s str> + Clone) -> Result<Path, PathError> {
        let len = |sum: usize, segment: &str| sum + segment.len() + 1;
        let bytes = below.clone().fold(above.iter().copied().fold(0, len), len).saturating_sub(1);
        Path::join(String::with_capacity(bytes), above.iter().copied().chain(below))
    }

    /// Keeps a rendered form that comes from a path and is not checked again.
    pub fn from_trusted(rendered: &str) -> Path {
        Path(rendered.into())
    }

    /// The rendered form.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The segments, unescaped.
    pub fn segments(&self) -> impl DoubleEndedIterator<Item = Cow<'_, str>> {
        self.0.split('/').map(unescape)
    }

    /// The number of segments, at least 1.
    pub fn depth(&self) -> usize {
        self.0.bytes().filter(|byte| *byte == b'/').count() + 1
    }

    /// The path one segment below this one. The segment is taken literally: `/` and `~` in it are escaped.
    pub fn child(&self, segment: &str) -> Result<Path, PathError> {
        if segment.is_empty() {
            return Err(PathError::EmptySegment);
        }
        let mut rendered = String::with_capacity(self.0.len() + 1 + segment.len());
        rendered.push_str(&self.0);
        rendered.push('/');
        escape_into(segment, &mut rendered);
        Ok(Path(rendered.into()))
    }

    /// The path one segment above, or `None` for a path of one segment.
    pub fn parent(&self) -> Option<Path> {
        self.0.rfind('/').map(|at| Path(self.0[..at].into()))
    }

    /// The rendered last segment of a path that is one segment below another.
    pub fn key_below(&self, parent: &Path) -> Option<&str> {
        let key = self.0.strip_prefix(&*parent.0)?.strip_prefix('/')?;
        (!key.contains('/')).then_some(key)
    }

    /// The prefix of every path below this one: the rendered form and a `/`.
    pub fn descendant_prefix(&self) -> String {
        let mut prefix = String::with_capacity(self.0.len() + 1);
        prefix.push_str(&self.0);
        prefix.push('/');
        prefix
    }

    /// True if `other` lies below this path. A path is not its own ancestor. Exact in case.
    pub fn is_ancestor_of(&self, other: &Path) -> bool {
        self.is_above(&other.0)
    }

    /// As [`is_ancestor_of`](Path::is_ancestor_of), for a path in its rendered form.
    pub fn is_above(&self, rendered: &str) -> bool {
        rendered.strip_prefix(&*self.0).is_some_and(|rest| rest.starts_with('/'))
    }

    /// True if a rendered path is this path or is below it, exact in case.
    pub fn is_at_or_above(&self, rendered: &str) -> bool {
        self.as_str() == rendered || self.is_above(rendered)
    }

    /// As [`is_ancestor_of`](Path::is_ancestor_of), ignoring ASCII case, as a store does when it removes a subtree.
    pub fn is_ancestor_ignoring_case(&self, other: &Path) -> bool {
        let (own, other) = (self.0.as_bytes(), other.0.as_bytes());
        other.get(own.len()) == Some(&b'/') && other[..own.len()].eq_ignore_ascii_case(own)
    }
}

/// Checks that a text is the rendered form of a path.
pub fn check(rendered: &str) -> Result<(), PathError> {
    if rendered.is_empty() {
        return Err(PathError::EmptyPath);
    }
    let mut segment_empty = true;
    let mut bytes = rendered.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'/' if segment_empty => return Err(PathError::EmptySegment),
            b'/' => segment_empty = true,
            b'~' if !matches!(bytes.next(), Some(b'0' | b'1')) => return Err(PathError::InvalidEscape),
            _ => segment_empty = false,
        }
    }
    if segment_empty { Err(PathError::EmptySegment) } else { Ok(()) }
}

/// Appends one segment in its rendered form.
pub fn escape_into(segment: &str, rendered: &mut String) {
    if !segment.bytes().any(|byte| matches!(byte, b'~' | b'/')) {
        rendered.push_str(segment);
        return;
    }
    for character in segment.chars() {
        match character {
            '~' => rendered.push_str("~0"),
            '/' => rendered.push_str("~1"),
            other => rendered.push(other),
        }
    }
}

/// True if a byte is not encoded in a URL.
fn is_kept(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'.' | b'_' | b'~')
}

/// The number of bytes of a text in a URL.
pub fn percent_encoded_len(text: &str) -> usize {
    text.bytes().map(|byte| if is_kept(byte) { 1 } else { 3 }).sum()
}

/// Appends a text to a URL and encodes all but `/` and the unreserved characters of RFC 3986.
///
/// A `/` inside a segment of a [`Path`] is already `~1` and never becomes `%2F`, which a server would decode before it
/// splits the path.
pub fn percent_encode_into(text: &str, url: &mut String) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    // Runs of unchanged bytes are copied at once. They end at the boundaries of characters, as encoded bytes are whole
    // characters.
    let mut kept_from = 0;
    for (at, byte) in text.bytes().enumerate().filter(|(_, byte)| !is_kept(*byte)) {
        url.push_str(text.get(kept_from..at).unwrap_or_default());
        url.push('%');
        url.push(HEX[usize::from(byte >> 4)].into());
        url.push(HEX[usize::from(byte & 15)].into());
        kept_from = at + 1;
    }
    url.push_str(text.get(kept_from..).unwrap_or_default());
}

/// The unescaped text of a rendered segment. `~0` is replaced last, so that `~01` is `~1` and not `/`.
pub fn unescape(rendered: &str) -> Cow<'_, str> {
    // Segments are short, so that a loop is faster than a search for a character.
    if rendered.bytes().any(|byte| byte == b'~') {
        Cow::Owned(rendered.replace("~1", "/").replace("~0", "~"))
    } else {
        Cow::Borrowed(rendered)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Path({:?})", &*self.0)
    }
}

impl AsRef<str> for Path {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for Path {
    type Err = PathError;

    fn from_str(rendered: &str) -> Result<Path, PathError> {
        Path::parse(rendered)
    }
}

impl TryFrom<String> for Path {
    type Error = PathError;

    fn try_from(rendered: String) -> Result<Path, PathError> {
        check(&rendered)?;
        Ok(Path(rendered.into()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing::segment;
    use super::*;

    fn encoded(path: &Path) -> String {
        let mut url = String::new();
        percent_encode_into(path.as_str(), &mut url);
        url
    }

    fn path(rendered: &str) -> Path {
        Path::parse(rendered).unwrap()
    }

    #[test]
    fn rendered_form_and_segments_convert_both_ways() {
        let table: [(&[&str], &str); 10] = [
            (&["one"], "one"),
            (&["links", "dust", "title"], "links/dust/title"),
            (&["v1.2", "dust.layer"], "v1.2/dust.layer"),
            (&["docs", "img/logo"], "docs/img~1logo"),
            (&["x~y"], "x~0y"),
            (&["x/y~z"], "x~1y~0z"),
            (&["~1"], "~01"),
            (&["~~", "//"], "~0~0/~1~1"),
            (&["npm", "@org", "*"], "npm/@org/*"),
            (&["..", ".", " ", "\u{0}", "\n"], ".././ /\u{0}/\n"),
        ];
        for (segments, rendered) in table {
            let made = Path::from_segments(segments).unwrap();
            assert_eq!(made.as_str(), rendered);
            assert_eq!(path(rendered).segments().collect::<Vec<_>>(), segments);
            assert_eq!(made.depth(), segments.len());
        }
    }

    #[test]
    fn invalid_path_has_the_name_of_the_server() {
        for (rendered, name) in [
            ("", "empty_path"),
            ("/links", "empty_segment"),
            ("links/", "empty_segment"),
            ("links//dust", "empty_segment"),
            ("/", "empty_segment"),
            ("x~", "invalid_escape"),
            ("~", "invalid_escape"),
            ("x~y", "invalid_escape"),
            ("x~2", "invalid_escape"),
            ("x~/y", "invalid_escape"),
            ("x~~01", "invalid_escape"),
        ] {
            assert_eq!(Path::parse(rendered).unwrap_err().name(), name, "{rendered}");
        }
        assert_eq!(Path::from_segments([""; 0]), Err(PathError::EmptyPath));
        assert_eq!(Path::from_segments(["a", ""]), Err(PathError::EmptySegment));
        assert_eq!(Path::from_segments([""]), Err(PathError::EmptySegment));
        assert_eq!(path("a").child(""), Err(PathError::EmptySegment));
    }

    #[test]
    fn url_encodes_all_but_unreserved_characters() {
        for (rendered, url) in [
            ("links/dust", "links/dust"),
            ("a~1b/a~0b", "a~1b/a~0b"),
            ("sp ace", "sp%20ace"),
            ("plus+plus", "plus%2Bplus"),
            ("été", "%C3%A9t%C3%A9"),
            ("a%b?c#d", "a%25b%3Fc%23d"),
            ("q\"q\\", "q%22q%5C"),
            ("../.", "../."),
            ("*", "%2A"),
            ("\u{0}", "%00"),
        ] {
            assert_eq!(encoded(&path(rendered)), url);
        }
    }

    #[test]
    fn ancestor_ends_at_a_segment() {
        assert!(path("links").is_ancestor_of(&path("links/dust")));
        assert!(path("links").is_ancestor_of(&path("links/dust/title")));
        for other in ["links", "links-2/x", "Links/dust", "link/dust", "l"] {
            assert!(!path("links").is_ancestor_of(&path(other)), "{other}");
        }
        assert!(path("links/É").is_ancestor_ignoring_case(&path("LINKS/É/x")));
        for other in ["links/é/x", "links/É", "links/Éx/y", "x"] {
            assert!(!path("links/É").is_ancestor_ignoring_case(&path(other)), "{other}");
        }
        for (below, parent, key) in
            [("a/b~1c", "a", Some("b~1c")), ("a/b/c", "a", None), ("ab/c", "a", None), ("a", "a", None)]
        {
            assert_eq!(path(below).key_below(&path(parent)), key);
        }
        assert_eq!(path("a/b~1c").parent(), Some(path("a")));
        assert_eq!(path("a").parent(), None);
    }

    #[test]
    fn paths_sort_by_bytes_of_rendered_form() {
        let ordered = ["B/1", "a", "a/x", "b/1", "b/10", "b/2", "c", "c-1", "c.d", "c/1", "z/%", "z/e", "z/~0", "z/é"];
        let mut paths: Vec<Path> = ordered.iter().rev().map(|rendered| path(rendered)).collect();
        paths.sort();
        assert_eq!(paths.iter().map(Path::as_str).collect::<Vec<_>>(), ordered);
    }

    /// Decodes a URL and then splits it, as a server does.
    fn percent_decode(url: &str) -> String {
        let (mut bytes, mut decoded) = (url.bytes(), Vec::new());
        while let Some(byte) = bytes.next() {
            if byte == b'%' {
                let digits = [bytes.next().unwrap(), bytes.next().unwrap()];
                decoded.push(u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap());
            } else {
                decoded.push(byte);
            }
        }
        String::from_utf8(decoded).unwrap()
    }

    proptest! {
        #[test]
        fn any_segments_come_back(segments in prop::collection::vec(segment(), 1..6)) {
            let path = Path::from_segments(&segments).unwrap();
            prop_assert_eq!(path.segments().collect::<Vec<_>>(), segments.clone());
            prop_assert_eq!(&Path::parse(path.as_str()).unwrap(), &path);
            let (last, above) = segments.split_last().unwrap();
            if above.is_empty() {
                prop_assert_eq!(path.parent(), None);
            } else {
                let parent = path.parent().unwrap();
                prop_assert_eq!(&parent, &Path::from_segments(above).unwrap());
                prop_assert!(parent.is_ancestor_of(&path) && !path.is_ancestor_of(&parent));
                prop_assert_eq!(parent.child(last).unwrap(), path);
            }
        }

        #[test]
        fn any_text_is_a_path_or_refused(text in "[ab~01/\\PC]{0,12}") {
            if let Ok(path) = Path::parse(&text) {
                prop_assert_eq!(path.as_str(), &text);
                prop_assert_eq!(&Path::from_segments(path.segments()).unwrap(), &path);
            }
        }

        #[test]
        fn urls_decode_to_the_rendered_form(segments in prop::collection::vec(segment(), 1..6)) {
            let path = Path::from_segments(&segments).unwrap();
            let url = encoded(&path);
            prop_assert!(url.is_ascii() && !url.contains("%2F"));
            prop_assert_eq!(percent_decode(&url), path.as_str());
        }

        #[test]
        fn order_is_that_of_bytes(
            left in prop::collection::vec(segment(), 1..4),
            right in prop::collection::vec(segment(), 1..4),
        ) {
            let (left, right) = (Path::from_segments(&left).unwrap(), Path::from_segments(&right).unwrap());
            prop_assert_eq!(left.cmp(&right), left.as_str().as_bytes().cmp(right.as_str().as_bytes()));
        }

        #[test]
        fn case_is_ignored_only_in_ascii(
            left in prop::collection::vec(segment(), 1..3),
            right in prop::collection::vec(segment(), 1..4),
        ) {
            let (left, right) = (Path::from_segments(&left).unwrap(), Path::from_segments(&right).unwrap());
            let prefix = left.descendant_prefix().to_ascii_lowercase();
            let expected = right.as_str().to_ascii_lowercase().starts_with(&prefix);
            prop_assert_eq!(left.is_ancestor_ignoring_case(&right), expected);
        }
    }
}
