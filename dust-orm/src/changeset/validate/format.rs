use regex::Regex;
use url::Url;
use validator::ValidateEmail;

use crate::changeset::value::View;
use crate::changeset::{Changeset, ColumnOf};
use crate::entity::Fields;
use crate::error::FieldError;

impl<A: Fields> Changeset<A> {
    /// A text must match a regular expression: `has invalid format`.
    ///
    /// The expression may match anywhere; `^` and `$` tie it to the ends. Compile it once, in a `LazyLock`.
    pub fn validate_format(self, column: ColumnOf<A>, format: &Regex) -> Self {
        self.check_text(column, |text| format.is_match(text))
    }

    /// A text must be an e-mail address, as a browser's e-mail input accepts it: `has invalid format`.
    ///
    /// White space, control characters and invisible ones are part of no address, also where a mail program would drop
    /// them. So are characters that stand for other ones in a host, as in `a@ｅxample.com`. The host is a name or an address
    /// in brackets, such as `[127.0.0.1]`.
    pub fn validate_email(self, column: ColumnOf<A>) -> Self {
        self.check_text(column, is_email)
    }

    /// A text must be an absolute `http` or `https` URL with a host: `has invalid format`.
    ///
    /// The text itself is judged, not what a browser makes of it: white space, control characters, `https:example.com` and
    /// `https:\\example.com` are refused, and so is a host that is read as another one (`0x7f.1`). `javascript:` never
    /// passes.
    ///
    /// ```
    /// use dust_orm::Changeset;
    /// use dust_orm::tests_cfg::link::{ActiveModel, Column};
    ///
    /// let link = |url| Changeset::change(ActiveModel::default()).put_change(Column::Url, url);
    /// assert!(link("https://dustlayer.io/a?b#c").validate_url(Column::Url).is_valid());
    /// assert!(!link("javascript:alert(1)").validate_url(Column::Url).is_valid());
    /// assert!(!link("ftp://dustlayer.io").validate_url(Column::Url).is_valid());
    /// assert!(link("ftp://dustlayer.io").validate_url_with(Column::Url, ["ftp", "sftp"]).is_valid());
    /// ```
    pub fn validate_url(self, column: ColumnOf<A>) -> Self {
        self.validate_url_with(column, ["http", "https"])
    }

    /// As [`validate_url`](Changeset::validate_url), with the schemes that are accepted, written without `:`. Every URL
    /// needs a host behind `://`, so that `mailto:` does not pass even if it is named. `javascript`, `vbscript` and `data`
    /// never pass, as a browser runs what is behind them.
    pub fn validate_url_with<S: AsRef<str>>(self, column: ColumnOf<A>, schemes: impl IntoIterator<Item = S>) -> Self {
        self.check_text(column, |text| {
            let scheme = text.split_once("://").map_or("", |(scheme, _)| scheme);
            let is = |known: &str| known.eq_ignore_ascii_case(scheme);
            schemes.into_iter().any(|known| is(known.as_ref())) && !SCRIPTS.into_iter().any(is) && is_url(text)
        })
    }

    fn check_text(self, column: ColumnOf<A>, fits: impl FnOnce(&str) -> bool) -> Self {
        self.check(column, |value| {
            let fits = matches!(value, View::Str(text) if fits(text));
            (!fits).then(|| FieldError::new("has invalid format", "format"))
        })
    }
}

/// Schemes of URLs that a browser takes for a script or a document: `javascript://host/%0aalert(1)` has a host, and runs.
const SCRIPTS: [&str; 3] = ["javascript", "vbscript", "data"];

/// Whether a text is an e-mail address, and its host is the one that a mail program finds in it.
fn is_email(text: &str) -> bool {
    let Some((_, host)) = text.rsplit_once('@') else { return false };
    // The validator looks at the end of a host only when that is an address in brackets.
    let has_address = host.contains('[');
    let is_whole = host.rfind('[') == Some(0);
    let is_named = || {
        let parsed = Url::parse(&format!("http://{host}")).ok();
        parsed.is_some_and(|parsed| parsed.host_str().is_some_and(|parsed| names_host(host, parsed)))
    };
    is_visible(text)
        && !text.contains(joins)
        && text.validate_email()
        && (if has_address { is_whole } else { host.is_ascii() || is_named() })
}

/// Whether a text is a URL with a host, and a parser finds that host in it.
fn is_url(text: &str) -> bool {
    let Some((_, rest)) = text.split_once("://") else { return false };
    let before_query = rest.split(['?', '#']).next().unwrap_or_default();
    // A browser takes `\` for `/`.
    if !is_visible(text) || before_query.contains('\\') {
        return false;
    }
    let authority = before_query.split('/').next().unwrap_or_default();
    let host = match authority.rsplit_once('@') {
        Some((user, _)) if user.is_empty() || user.contains('@') => return false,
        Some((_, host)) => host,
        None => authority,
    };
    match Url::parse(text) {
        Ok(parsed) => parsed.host_str().is_some_and(|parsed| names_host(host, parsed)),
        Err(_) => false,
    }
}

/// Whether a host with an optional port, as it is written, is the one that was parsed.
fn names_host(written: &str, parsed: &str) -> bool {
    // The parser has checked what is between the brackets of an IPv6 address, which has several forms.
    if written.starts_with('[') {
        return true;
    }
    let host = written.split(':').next().unwrap_or_default();
    let labels = host.strip_suffix('.').unwrap_or(host);
    if labels.split('.').any(str::is_empty) || host.chars().any(joins) {
        return false;
    }
    // A parser takes `。` for `.` and `①` for `1`: each label has to become one, and in no other script but ASCII.
    let mut parsed = parsed.split('.');
    host.split('.').all(|label| parsed.next().is_some_and(|parsed| names_label(label, parsed)))
        && parsed.next().is_none()
}

/// Whether a label of a host is the one that was parsed. Other scripts are parsed into an ASCII form, which a scheme of the
/// web begins with `xn--` and any other one percent-encodes.
fn names_label(written: &str, parsed: &str) -> bool {
    match written.is_ascii() {
        true => written.eq_ignore_ascii_case(parsed),
        false => parsed.starts_with("xn--") || parsed.contains('%'),
    }
}

/// Whether a text has no character that is not seen, and that parsers drop.
fn is_visible(text: &str) -> bool {
    text.chars().all(|character| !character.is_whitespace() && !character.is_control() && !is_ignorable(character))
}

/// Joiners and variation selectors, which scripts and emoji need. Parsers drop them from a host.
fn joins(character: char) -> bool {
    matches!(character, '\u{200c}' | '\u{200d}' | '\u{fe00}'..='\u{fe0f}')
}

/// Unicode's other default-ignorable characters: soft hyphens, marks of direction, tags and the like.
fn is_ignorable(character: char) -> bool {
    matches!(
        character,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'
            | '\u{200e}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fff8}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}
