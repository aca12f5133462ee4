use regex::Regex;
use validator::{ValidateEmail, ValidateUrl};

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
    pub fn validate_email(self, column: ColumnOf<A>) -> Self {
        self.check_text(column, |text| text.validate_email())
    }

    /// A text must be an absolute URL: `has invalid format`.
    ///
    /// Any scheme will do, `javascript:` too. Where people follow the URL, also say which you want, with
    /// [`validate_format`](Changeset::validate_format) and `^https?://`.
    pub fn validate_url(self, column: ColumnOf<A>) -> Self {
        self.check_text(column, |text| text.validate_url())
    }

    fn check_text(self, column: ColumnOf<A>, fits: impl FnOnce(&str) -> bool) -> Self {
        self.check(column, |value| {
            let fits = matches!(value, View::Str(text) if fits(text));
            (!fits).then(|| FieldError::new("has invalid format", "format"))
        })
    }
}
