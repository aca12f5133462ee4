use std::borrow::Cow;
use std::fmt;

use serde::ser::{Serialize, SerializeMap, Serializer};

/// The validation errors of a changeset: fields in the order in which they failed, each with its errors.
///
/// Serializes as `{"title":["can't be blank"]}`, displays as one line, and is a [`std::error::Error`].
///
/// ```
/// use dust_orm::{Errors, FieldError};
///
/// let mut errors = Errors::default();
/// errors.add("title", FieldError::new("should be at least %{count} character(s)", "length").with("count", 3));
/// assert_eq!(serde_json::to_string(&errors).unwrap(), r#"{"title":["should be at least 3 character(s)"]}"#);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Errors {
    fields: Vec<(Cow<'static, str>, Vec<FieldError>)>,
}

/// One error of one field: a message template, a code, and the parameters that fill the template.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldError {
    template: Cow<'static, str>,
    code: Cow<'static, str>,
    params: Vec<(Cow<'static, str>, Param)>,
}

/// A parameter of a [`FieldError`], such as the bound that a length missed.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Param {
    /// A whole number.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// A text.
    Text(Cow<'static, str>),
    /// A list of texts, such as the values that are allowed.
    List(Vec<String>),
}

impl Errors {
    /// True if there are no errors.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// Adds an error to a field, after those it has: a message, or a [`FieldError`] with code and parameters.
    pub fn add(&mut self, field: impl Into<Cow<'static, str>>, error: impl Into<FieldError>) {
        let field = field.into();
        let at = match self.fields.iter().position(|(name, _)| *name == field) {
            Some(at) => at,
            None => {
                self.fields.push((field, Vec::new()));
                self.fields.len() - 1
            }
        };
        self.fields[at].1.push(error.into());
    }

    /// The errors of one field, in the order in which they were added.
    pub fn get(&self, field: &str) -> &[FieldError] {
        self.fields.iter().find(|(name, _)| name == field).map_or(&[], |(_, errors)| errors)
    }

    /// The errors of one field, for changes.
    pub(crate) fn get_mut(&mut self, field: &str) -> &mut [FieldError] {
        self.fields.iter_mut().find(|(name, _)| name == field).map_or(&mut [], |(_, errors)| errors)
    }

    /// The fields that have errors, with their errors.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[FieldError])> {
        self.fields.iter().map(|(name, errors)| (&**name, &**errors))
    }

    /// The messages by field, as `translate` returns them, such as from gettext or fluent. Ecto's `traverse_errors`.
    ///
    /// ```
    /// # use dust_orm::{Errors, FieldError};
    /// let mut errors = Errors::default();
    /// errors.add("title", FieldError::new("can't be blank", "required"));
    /// let german = errors.traverse(|_field, error| match error.code() {
    ///     "required" => "darf nicht leer sein".to_owned(),
    ///     _ => error.message(),
    /// });
    /// assert_eq!(german[0], ("title".to_owned(), vec!["darf nicht leer sein".to_owned()]));
    /// ```
    pub fn traverse(&self, mut translate: impl FnMut(&str, &FieldError) -> String) -> Vec<(String, Vec<String>)> {
        self.iter()
            .map(|(field, errors)| {
                let messages = errors.iter().map(|error| translate(field, error)).collect();
                (field.to_owned(), messages)
            })
            .collect()
    }
}

impl FieldError {
    /// An error with a message template, in which `%{name}` stands for a parameter, and a code.
    pub fn new(template: impl Into<Cow<'static, str>>, code: impl Into<Cow<'static, str>>) -> FieldError {
        FieldError { template: template.into(), code: code.into(), params: Vec::new() }
    }

    /// Adds a parameter.
    pub(crate) fn param(&mut self, name: impl Into<Cow<'static, str>>, value: impl Into<Param>) {
        self.params.push((name.into(), value.into()));
    }

    /// The same error with one more parameter.
    pub fn with(mut self, name: impl Into<Cow<'static, str>>, value: impl Into<Param>) -> FieldError {
        self.param(name, value);
        self
    }

    /// The message, its parameters filled in.
    pub fn message(&self) -> String {
        let mut message = self.template.clone().into_owned();
        for (name, value) in &self.params {
            if message.contains("%{") {
                message = message.replace(&format!("%{{{name}}}"), &value.to_string());
            }
        }
        message
    }

    /// The message with `%{name}` in place of each parameter: the key for a translation.
    pub fn template(&self) -> &str {
        &self.template
    }

    /// Replaces the message template.
    pub(crate) fn set_template(&mut self, template: impl Into<Cow<'static, str>>) {
        self.template = template.into();
    }

    /// The rule that failed: `required`, `cast`, `length`, `number`, …
    pub fn code(&self) -> &str {
        &self.code
    }

    /// The parameters, in the order in which they were added.
    pub fn params(&self) -> impl Iterator<Item = (&str, &Param)> {
        self.params.iter().map(|(name, value)| (&**name, value))
    }

    /// One parameter.
    pub fn get(&self, name: &str) -> Option<&Param> {
        self.params.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }
}

impl IntoIterator for Errors {
    type Item = (Cow<'static, str>, Vec<FieldError>);
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.fields.into_iter()
    }
}

/// A message of the application's own, with the code `custom`.
impl From<&'static str> for FieldError {
    fn from(message: &'static str) -> FieldError {
        FieldError::new(message, "custom")
    }
}

/// A message of the application's own, with the code `custom`.
impl From<String> for FieldError {
    fn from(message: String) -> FieldError {
        FieldError::new(message, "custom")
    }
}

impl fmt::Display for Param {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Param::Int(number) => number.fmt(f),
            Param::Float(number) => number.fmt(f),
            Param::Text(text) => f.write_str(text),
            Param::List(items) => f.write_str(&items.join(", ")),
        }
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message())
    }
}

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (field, errors)) in self.fields.iter().enumerate() {
            let messages: Vec<String> = errors.iter().map(FieldError::message).collect();
            write!(f, "{}{field} {}", if index > 0 { "; " } else { "" }, messages.join(", "))?;
        }
        Ok(())
    }
}

impl std::error::Error for Errors {}

impl Serialize for Errors {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.fields.len()))?;
        for (field, errors) in &self.fields {
            let messages: Vec<String> = errors.iter().map(FieldError::message).collect();
            map.serialize_entry(field, &messages)?;
        }
        map.end()
    }
}

impl From<i64> for Param {
    fn from(number: i64) -> Param {
        Param::Int(number)
    }
}

impl From<i32> for Param {
    fn from(number: i32) -> Param {
        Param::Int(number.into())
    }
}

impl From<usize> for Param {
    fn from(number: usize) -> Param {
        Param::Int(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<f64> for Param {
    fn from(number: f64) -> Param {
        Param::Float(number)
    }
}

impl From<&'static str> for Param {
    fn from(text: &'static str) -> Param {
        Param::Text(text.into())
    }
}

impl From<String> for Param {
    fn from(text: String) -> Param {
        Param::Text(text.into())
    }
}

impl From<Vec<String>> for Param {
    fn from(items: Vec<String>) -> Param {
        Param::List(items)
    }
}
