//! The attribute `#[serde(..)]`: the names of the leaves and the functions that read and write them.
//!
//! Serde's own derive reads the same attributes and reports unknown ones, so this module ignores an attribute of an
//! unknown name or form.
//!
//! A record in Dust is its fields, written and read back one by one, so an entity in Dust cannot have attributes by
//! which the two differ. A changeset only reads, and accepts any SQL entity.

use proc_macro2::Span;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Attribute, Error, Expr, ExprPath, Lit, LitStr, Meta, Result, Token};

use crate::attributes::Derive;
use crate::case::RenameRule;

/// Serde's attributes of one field.
#[derive(Default)]
pub(crate) struct SerdeField {
    pub(crate) rename: Option<LitStr>,
    /// The other names under which the field is read.
    pub(crate) aliases: Vec<LitStr>,
    /// The span of `skip_serializing_if`.
    skip_serializing_if: Option<Span>,
    /// The span of `skip`.
    pub(crate) skip: Option<Span>,
    pub(crate) default: Option<FieldDefault>,
    /// The function that serializes the value.
    pub(crate) serialize_with: Option<ExprPath>,
    /// The function that deserializes the value.
    pub(crate) deserialize_with: Option<ExprPath>,
}

impl SerdeField {
    /// True if the type itself reads and writes the value, without functions of the application.
    pub(crate) fn is_derived(&self) -> bool {
        self.serialize_with.is_none() && self.deserialize_with.is_none()
    }
}

/// `#[serde(default)]`
pub(crate) enum FieldDefault {
    /// `Default::default()`
    Trait,
    /// The function of `default = "path"`.
    Function(ExprPath),
}

/// The `rename_all` of the struct. Attributes that would make a record differ from the sum of its fields are errors.
pub(crate) fn container(attrs: &[Attribute], derive: Derive) -> Result<Option<RenameRule>> {
    let stored = derive == Derive::Entity;
    let mut rename_all = None;
    for meta in metas(attrs, "serde") {
        let Some(name) = meta.path().get_ident() else { continue };
        match name.to_string().as_str() {
            "rename_all" => {
                let (serialize, deserialize) = both_ways(&meta);
                let rule =
                    |literal: &Option<LitStr>| literal.as_ref().and_then(|rule| RenameRule::parse(&rule.value()));
                if stored && rule(&serialize) != rule(&deserialize) {
                    return Err(asymmetric(&meta, "rename_all = \"camelCase\""));
                }
                rename_all = rule(&deserialize);
            }
            "default" if stored => {
                return Err(Error::new(
                    meta.span(),
                    "every field is read by itself, so the struct's default is never used: \
                     write `#[serde(default)]` on the fields that have one",
                ));
            }
            shape @ ("tag" | "from" | "try_from" | "into" | "remote") if stored => {
                return Err(Error::new(
                    meta.span(),
                    format!(
                        "every field is read and written by itself, which `{shape}` would change: \
                         remove it, or derive serde on a type of your own and convert between the two",
                    ),
                ));
            }
            // Serde itself rejects `untagged`, and `transparent` on a struct of several fields.
            _ => {}
        }
    }
    Ok(rename_all)
}

/// Reads the attributes of a field. Its name is `default_name` unless an attribute renames it.
pub(crate) fn field(attrs: &[Attribute], default_name: &str, derive: Derive) -> Result<SerdeField> {
    let stored = derive == Derive::Entity;
    let mut field = SerdeField::default();
    let (mut skip_serializing, mut skip_deserializing) = (None, None);
    for meta in metas(attrs, "serde") {
        let Some(name) = meta.path().get_ident() else { continue };
        match name.to_string().as_str() {
            "flatten" => {
                return Err(Error::new(
                    meta.span(),
                    "`flatten` would spread this field over names that belong to no column: \
                     write its fields here, or keep it as one JSON value without `flatten`",
                ));
            }
            "rename" => {
                let (serialize, deserialize) = both_ways(&meta);
                let name = |literal: &Option<LitStr>| literal.as_ref().map_or(default_name.to_owned(), LitStr::value);
                if stored && name(&serialize) != name(&deserialize) {
                    return Err(asymmetric(&meta, "rename = \"name\""));
                }
                field.rename = deserialize;
            }
            "skip" => field.skip = Some(meta.span()),
            "skip_serializing" => skip_serializing = Some(meta.span()),
            "skip_deserializing" => skip_deserializing = Some(meta.span()),
            "default" => {
                let path = text(&meta).and_then(|literal| literal.parse().ok());
                field.default = Some(path.map_or(FieldDefault::Trait, FieldDefault::Function));
            }
            "with" => {
                field.serialize_with = function_in(&meta, "serialize");
                field.deserialize_with = function_in(&meta, "deserialize");
            }
            "serialize_with" => field.serialize_with = text(&meta).and_then(|literal| literal.parse().ok()),
            "deserialize_with" => field.deserialize_with = text(&meta).and_then(|literal| literal.parse().ok()),
            "alias" => field.aliases.extend(text(&meta)),
            "skip_serializing_if" => field.skip_serializing_if = Some(meta.span()),
            _ => {}
        }
    }
    match (skip_serializing, skip_deserializing) {
        (Some(span), Some(_)) => field.skip = Some(span),
        (Some(span), None) if stored => return Err(half_skip(span, "skip_serializing")),
        (None, Some(span)) if stored => return Err(half_skip(span, "skip_deserializing")),
        // `cast` must not set a field that JSON must not set.
        (None, Some(span)) => field.skip = Some(span),
        (_, None) => {}
    }
    Ok(field)
}

/// Rejects `skip_serializing_if` on a field that is written to Dust.
pub(crate) fn always_written(field: &SerdeField) -> Result<()> {
    match field.skip_serializing_if {
        None => Ok(()),
        Some(span) => Err(Error::new(
            span,
            "`skip_serializing_if` cannot be followed: an update that leaves the field out would keep its old value in \
             Dust, where `Set(None)` is written as `null` and only `NotSet` is left out. Remove it here; where the \
             JSON of an API is to lack the field, give that JSON a struct of its own",
        )),
    }
}

fn half_skip(span: Span, attribute: &str) -> Error {
    Error::new(
        span,
        format!(
            "with `{attribute}` alone the value would not come back as it was: write `skip` to keep it out of Dust"
        ),
    )
}

fn asymmetric(meta: &Meta, suggestion: &str) -> Error {
    Error::new(
        meta.span(),
        format!("a field is read and written under one name: give both the same, as in `{suggestion}`"),
    )
}

/// The metas of all attributes of this name. An attribute that does not parse is left to the derive that owns it.
pub(crate) fn metas(attrs: &[Attribute], name: &str) -> Vec<Meta> {
    attrs
        .iter()
        .filter(|attr| attr.path().is_ident(name))
        .filter_map(|attr| attr.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated).ok())
        .flatten()
        .collect()
}

/// The string of `name = ".."`.
pub(crate) fn text(meta: &Meta) -> Option<LitStr> {
    let Meta::NameValue(pair) = meta else { return None };
    let mut value = &pair.value;
    // A literal that came through a `macro_rules!` variable is wrapped in an invisible group.
    while let Expr::Group(group) = value {
        value = &group.expr;
    }
    match value {
        Expr::Lit(literal) => match &literal.lit {
            Lit::Str(text) => Some(text.clone()),
            _ => None,
        },
        _ => None,
    }
}

/// The strings of `name = ".."` or `name(serialize = "..", deserialize = "..")`, for each direction.
fn both_ways(meta: &Meta) -> (Option<LitStr>, Option<LitStr>) {
    let Meta::List(list) = meta else {
        let both = text(meta);
        return (both.clone(), both);
    };
    let (mut serialize, mut deserialize) = (None, None);
    for nested in list.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated).into_iter().flatten() {
        if nested.path().is_ident("serialize") {
            serialize = text(&nested);
        } else if nested.path().is_ident("deserialize") {
            deserialize = text(&nested);
        }
    }
    (serialize, deserialize)
}

/// The path of `function` in the module or type that `with = ".."` names.
fn function_in(meta: &Meta, function: &str) -> Option<ExprPath> {
    let literal = text(meta)?;
    let mut path: ExprPath = literal.parse().ok()?;
    path.path.segments.push(syn::Ident::new(function, literal.span()).into());
    Some(path)
}
