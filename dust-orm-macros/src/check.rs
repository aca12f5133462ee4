//! Checks of a Dust entity that concern several attributes or fields.

use std::collections::HashMap;

use syn::{DeriveInput, Error, LitStr, Result};

use crate::attributes::{Attributes, WITHOUT_NUL};
use crate::model::{Field, Model, table_name};
use crate::serde_attributes::{always_written, text};

/// The prefix, which an entity must have, and which satisfies the rule of its keys.
pub(crate) fn prefix<'a>(attributes: &'a Attributes, input: &DeriveInput) -> Result<&'a [LitStr]> {
    let prefix = attributes.prefix.as_deref().ok_or_else(|| {
        let table = table_name(input).and_then(|meta| text(&meta));
        let table = table.map_or_else(|| "links".to_owned(), |name| name.value());
        Error::new(
            input.ident.span(),
            format!("no prefix: say under which path the records live, as in `#[dust(prefix = {table:?})]`"),
        )
    })?;
    let upper = |segment: &&LitStr| segment.value().bytes().any(|byte| byte.is_ascii_uppercase());
    match prefix.iter().find(upper).filter(|_| attributes.key_case == "Lower") {
        None => Ok(prefix),
        Some(segment) => Err(Error::new(
            segment.span(),
            format!(
                "upper-case letters in a prefix: a Dust server ignores case when it removes what is under a path, so \
                 that records under prefixes that differ in case destroy each other. Write {:?}, or declare \
                 `key_case = \"any\"` if no two prefixes and no two keys differ only in case",
                segment.value().to_ascii_lowercase()
            ),
        )),
    }
}

/// The maximum number of parts of a key: that of SeaORM's tuples.
const MAX_KEY_PARTS: usize = 12;

/// The fields of the key of a model that Dust can store, in their order.
pub(crate) fn entity(model: &Model) -> Result<Vec<&Field>> {
    let keys: Vec<&Field> = model.fields.iter().filter(|field| field.key.is_some()).collect();
    if keys.is_empty() {
        return Err(Error::new(
            model.ident.span(),
            "no primary key: mark the field that names a record with `#[sea_orm(primary_key, auto_increment = false)]`",
        ));
    }
    if let Some((excess, span)) = keys.get(MAX_KEY_PARTS).and_then(|field| Some((field, field.key?))) {
        return Err(Error::new(
            span,
            format!(
                "a primary key of {} fields: SeaORM supports at most {MAX_KEY_PARTS}. Remove `primary_key` from `{}`, \
                 or make several fields one newtype that implements `Display` and `FromStr`",
                keys.len(),
                excess.ident
            ),
        ));
    }
    if let Some((key, span)) = keys.iter().find_map(|key| Some((key, key.serde.skip?))) {
        return Err(Error::new(
            span,
            format!("`{}` is the key, which is the record's path and cannot be skipped: remove `skip`", key.ident),
        ));
    }
    leaves(model)?;
    Ok(keys)
}

/// Checks that leaves exist, have names, are always written, and do not overwrite each other.
fn leaves(model: &Model) -> Result<()> {
    let mut names = HashMap::new();
    for field in model.fields.iter().filter(|field| field.stored()) {
        if field.name.is_empty() {
            return Err(Error::new(field.name_span, "a leaf needs a name: `rename` cannot be empty"));
        }
        if field.name.contains('\0') {
            return Err(Error::new(field.name_span, WITHOUT_NUL));
        }
        always_written(&field.serde)?;
        if let Some(other) = names.insert(field.name.to_ascii_lowercase(), field) {
            return Err(Error::new(field.name_span, same_name(other, field)));
        }
    }
    if names.is_empty() {
        return Err(Error::new(
            model.ident.span(),
            "only the key is stored here, and in Dust a record is its other fields: one without any does not exist. \
             Add a field, such as `pub present: bool`",
        ));
    }
    aliases(model, names)
}

/// Checks that an alias names one field, in any case of its letters.
fn aliases<'m>(model: &'m Model, mut names: HashMap<String, &'m Field>) -> Result<()> {
    // Other clients also write the key as a field.
    for key in model.fields.iter().filter(|field| field.key.is_some()) {
        names.entry(key.name.to_ascii_lowercase()).or_insert(key);
    }
    for field in model.fields.iter().filter(|field| !field.skipped()) {
        for alias in &field.serde.aliases {
            let name = alias.value();
            if name.is_empty() {
                return Err(Error::new(alias.span(), "a leaf has a name: `alias` cannot be empty"));
            }
            if name.contains('\0') {
                return Err(Error::new(alias.span(), WITHOUT_NUL));
            }
            match names.insert(name.to_ascii_lowercase(), field) {
                Some(other) if other.ident != field.ident => {
                    return Err(Error::new(
                        alias.span(),
                        format!(
                            "`{name}` names the field `{}` already, and a Dust server ignores case when it removes \
                             what is under a path: a leaf of this name is read as one field only. Remove the alias",
                            other.ident
                        ),
                    ));
                }
                Some(_) if field.stored() && name != field.name && name.eq_ignore_ascii_case(&field.name) => {
                    return Err(Error::new(
                        alias.span(),
                        format!(
                            "`{name}` and `{}` differ only in case, which a Dust server ignores when it removes what \
                             is under a path: removing the old leaf would remove the new one. Keep the stored name \
                             with `#[serde(rename = {name:?})]`",
                            field.name
                        ),
                    ));
                }
                _ => {}
            }
        }
    }
    Ok(())
}

fn same_name(first: &Field, second: &Field) -> String {
    let (first_name, name) = (&first.name, &second.name);
    let clash = match first_name == name {
        true => format!("the fields `{}` and `{}` are both called `{name}`", first.ident, second.ident),
        false => format!(
            "`{first_name}` and `{name}` differ only in case, which a Dust server ignores when it removes what is \
             under a path: writing one would remove the other"
        ),
    };
    format!("{clash}. Give one of them another name with `#[serde(rename = \"..\")]`")
}
