use regex::Regex;
use url::Url;
use validator::ValidateEmail;

use crate::changeset::value::View;
use crate::changeset::{Changeset, ColumnOf};
use crate::entity::Fields;
use crate::error::FieldError;

impl<A: Fields> Changeset<A> {
    /// Requires that a text matches a regular expression: `has invalid format`.
    ///
    /// The expression may match anywhere in the text; `^` and `$` anchor it. Compile it once, in a `LazyLock`.
    pub fn validate_format(self, column: ColumnOf<A>, format: &Regex) -> Self {
        self.check_text(column, |text| format.is_match(text))
    }

    /// Requires that a text is an e-mail address that a browser's e-mail input accepts: `has invalid format`.
    ///
    /// White space, control characters and invisible characters are refused, also if a mail program would drop them. So
    /// are characters that a parser replaces by others in a host, as in `a@ｅxample.com`. The host is a name or an
    /// address in brackets, such as `[127.0.0.1]`.
    pub fn validate_email(self, column: ColumnOf<A>) -> Self {
        self.check_text(column, is_email)
    }

    /// Requires that a text is an absolute `http` or `https` URL with a host: `has invalid format`.
    ///
    /// The rule checks the text itself, without the corrections of a browser: it refuses white space, control
    /// characters, `https:example.com` and `https:\\example.com`, and a host that is parsed as another one (`0x7f.1`).
    /// It never accepts `javascript:`.
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

    /// Like [`validate_url`](Changeset::validate_url), with the accepted schemes, each without `:`. Every URL needs a
    /// host after `://`, so `mailto:` is refused even if `schemes` has it. `javascript`, `vbscript` and `data` are
    /// always refused, because a browser runs the rest of such a URL.
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

/// Schemes of URLs that a browser runs as a script or shows as a document: `javascript://host/%0aalert(1)` has a host,
/// and runs.
const SCRIPTS: [&str; 3] = ["javascript", "vbscript", "data"];

/// True if a text is an e-mail address whose host is also the host that a mail program parses.
fn is_email(text: &str) -> bool {
    let Some((_, host)) = text.rsplit_once('@') else { return false };
    is_visible(text)
        && !text.contains(joins)
        && text.validate_email()
        && match host.rfind('[') {
            // If a host ends with an address in brackets, the validator ignores the rest of it.
            Some(start) => start == 0,
            None => host.is_ascii() || has_host(&format!("http://{host}"), host),
        }
}

/// True if a text is a URL with a host, and a parser finds the same host.
fn is_url(text: &str) -> bool {
    let Some((_, rest)) = text.split_once("://") else { return false };
    let before_query = rest.split(['?', '#']).next().unwrap_or_default();
    // A browser reads `\` as `/`.
    if !is_visible(text) || before_query.contains('\\') {
        return false;
    }
    let authority = before_query.split('/').next().unwrap_or_default();
    let host = match authority.rsplit_once('@') {
        Some((user, _)) if user.is_empty() || user.contains('@') => return false,
        Some((_, host)) => host,
        None => authority,
    };
    has_host(text, host)
}

/// True if a parser finds the written host in a URL.
fn has_host(url: &str, host: &str) -> bool {
    Url::parse(url).is_ok_and(|url| url.host_str().is_some_and(|parsed| names_host(host, parsed)))
}

/// True if a written host, with an optional port, is the parsed host.
fn names_host(written: &str, parsed: &str) -> bool {
    // An IPv6 address has several forms; the parser has checked the text between the brackets.
    if written.starts_with('[') {
        return true;
    }
    let host = written.split(':').next().unwrap_or_default();
    let labels = host.strip_suffix('.').unwrap_or(host);
    if labels.split('.').any(str::is_empty) || host.chars().any(joins) {
        return false;
    }
    // A parser reads `。` as `.` and `①` as `1`. So the number of labels must be the same, and a label in another script
    // must not be parsed as plain ASCII.
    let mut parsed = parsed.split('.');
    host.split('.').all(|label| parsed.next().is_some_and(|parsed| names_label(label, parsed)))
        && parsed.next().is_none()
}

/// True if a written label of a host is the parsed label. A label in another script than ASCII is parsed into a form
/// that begins with `xn--` for the schemes of the web, and is percent-encoded for the others.
fn names_label(written: &str, parsed: &str) -> bool {
    match written.is_ascii() {
        true => written.eq_ignore_ascii_case(parsed),
        false => parsed.starts_with("xn--") || parsed.contains('%'),
    }
}

/// True if a text has no white space and no control or invisible characters, which parsers drop.
fn is_visible(text: &str) -> bool {
    text.chars().all(|character| !character.is_whitespace() && !character.is_control() && !is_ignorable(character))
}

/// True for joiners and variation selectors, which some scripts and emoji need. Parsers drop them from a host.
fn joins(character: char) -> bool {
    matches!(character, '\u{200c}' | '\u{200d}' | '\u{fe00}'..='\u{fe0f}')
}

/// True for Unicode's other default-ignorable characters, such as soft hyphens, marks of direction and tags.
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
