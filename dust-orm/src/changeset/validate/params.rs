use std::borrow::Cow;

use serde_json::Value;

use super::required::blank_error;
use crate::changeset::{Changeset, ColumnOf, name};
use crate::entity::Fields;
use crate::error::FieldError;

impl<A: Fields> Changeset<A> {
    /// Requires that a parameter is accepted, such as the checkbox of the terms of service: `must be accepted`.
    ///
    /// The parameter is one of those that were cast, and need not be a field. `true`, `"true"`, `"1"` and `"on"` mean
    /// accepted, also as the last of several values; any other value, or none, does not. A changeset without parameters
    /// gets no error.
    pub fn validate_acceptance(mut self, param: impl Into<Cow<'static, str>>) -> Self {
        self.fresh.clear();
        let param = param.into();
        let Some(params) = &self.params else { return self };
        let given = match params.get(&*param) {
            Some(Value::Array(values)) => values.last(),
            given => given,
        };
        let accepted = match given {
            Some(Value::Bool(accepted)) => *accepted,
            Some(Value::String(text)) => matches!(text.as_str(), "true" | "1" | "on"),
            _ => false,
        };
        if !accepted {
            self.fail(param, FieldError::new("must be accepted", "acceptance"));
        }
        self
    }

    /// Requires that the parameter `<field>_confirmation`, if there is one, equals the field's parameter: `does not
    /// match confirmation`, an error of `<field>_confirmation`.
    ///
    /// Only the parameters that were cast are compared, never the data.
    pub fn validate_confirmation(self, column: ColumnOf<A>) -> Self {
        self.confirm(column, false)
    }

    /// Like [`validate_confirmation`](Changeset::validate_confirmation), but requires the confirmation: `can't be
    /// blank`.
    pub fn require_confirmation(self, column: ColumnOf<A>) -> Self {
        self.confirm(column, true)
    }

    fn confirm(mut self, column: ColumnOf<A>, required: bool) -> Self {
        self.fresh.clear();
        let Some(params) = &self.params else { return self };
        let position = A::position(column);
        let names = || A::FIELDS.get(position).into_iter().flat_map(|field| field.names());
        let given = names().find_map(|name| params.get(name)).unwrap_or(&Value::Null);
        let repeated = names().find_map(|name| params.get(&format!("{name}_confirmation")));
        let confirmation = format!("{}_confirmation", name::<A>(position));
        match repeated {
            Some(repeated) if given == repeated => {}
            Some(_) => self.fail(confirmation, FieldError::new("does not match confirmation", "confirmation")),
            None if required => self.fail(confirmation, blank_error()),
            None => {}
        }
        self
    }
}
