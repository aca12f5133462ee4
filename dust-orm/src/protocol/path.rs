//! Paths: the addresses of leaves.

use std::borrow::Cow;
use std::fmt;

use crate::error::DustErr;

/// The address of a leaf or a subtree: a non-empty list of non-empty segments.
///
/// A path is kept in its *rendered* form: segments joined by `/`, with `~` written `~0` and `/` written `~1` inside a
/// segment (RFC 6901). `.` is an ordinary character. Paths order by the bytes of that form, as Dust orders them.
///
/// ```
/// use dust_orm::protocol::Path;
///
/// let path = Path::from_segments(["links", "a/b"])?;
/// assert_eq!(path.as_str(), "links/a~1b");
/// assert_eq!(path, Path::parse("links/a~1b")?);
/// assert_eq!(path.segments().collect::<Vec<_>>(), ["links", "a/b"]);
/// # Ok::<(), dust_orm::protocol::PathError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Path(Box<str>);

/// Why a string or a list of segments is not a [`Path`]. [`name`](PathError::name) is the server's name for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathError {
    /// No segment at all.
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
    /// Reads a rendered path.
    pub fn parse(rendered: &str) -> Result<Path, PathError> {
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
        if segment_empty {
            return Err(PathError::EmptySegment);
        }
        Ok(Path(rendered.into()))
    }

    /// Joins segments, escaping each.
    pub fn from_segments<S: AsRef<str>>(segments: impl IntoIterator<Item = S>) -> Result<Path, PathError> {
        let mut rendered = String::new();
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

    /// Keeps a rendered form that is known to be one, because it was a path before.
    pub(crate) fn from_trusted(rendered: &str) -> Path {
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

    /// How many segments there are; never zero.
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

    /// What every path below this one begins with: the rendered form and a `/`.
    pub fn descendant_prefix(&self) -> String {
        format!("{}/", self.0)
    }

    /// Whether `other` lies below this path. A path is not its own ancestor. Exact in case.
    pub fn is_ancestor_of(&self, other: &Path) -> bool {
        other.0.strip_prefix(&*self.0).is_some_and(|rest| rest.starts_with('/'))
    }

    /// The form for a URL: each rendered segment percent-encoded, joined by `/`.
    ///
    /// Everything but RFC 3986's unreserved characters is encoded. A `/` inside a segment is already `~1` here and never
    /// becomes `%2F`, which a server would decode before it splits the path.
    pub fn to_url(&self) -> String {
        let mut url = String::with_capacity(self.0.len());
        for byte in self.0.bytes() {
            match byte {
                b'/' | b'-' | b'.' | b'_' | b'~' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => url.push(byte.into()),
                _ => {
                    const HEX: &[u8; 16] = b"0123456789ABCDEF";
                    url.push('%');
                    url.push(HEX[usize::from(byte >> 4)].into());
                    url.push(HEX[usize::from(byte & 15)].into());
                }
            }
        }
        url
    }
}

/// Appends one segment in its rendered form.
pub(crate) fn escape_into(segment: &str, rendered: &mut String) {
    if !segment.contains(['~', '/']) {
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

/// One rendered segment's own text. `~0` comes last, so that `~01` is `~1` and not `/`.
pub(crate) fn unescape(rendered: &str) -> Cow<'_, str> {
    if rendered.contains('~') {
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

impl From<PathError> for DustErr {
    fn from(error: PathError) -> DustErr {
        DustErr::InvalidParams(error.to_string())
    }
}
