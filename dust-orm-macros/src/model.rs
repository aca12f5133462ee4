//! The struct: its fields as SeaORM and serde see them.

use heck::ToUpperCamelCase;
use proc_macro2::Span;
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Error, Expr, Fields, Ident, Lit, Meta, Result, Type};

use crate::attributes::{Derive, quoted_list};
use crate::serde_attributes::{self, FieldDefault, SerdeField};

/// A SeaORM model.
pub(crate) struct Model {
    pub(crate) ident: Ident,
    /// The fields that are columns, in the order in which they are declared.
    pub(crate) fields: Vec<Field>,
}

/// A field that is a column.
pub(crate) struct Field {
    pub(crate) ident: Ident,
    pub(crate) ty: Type,
    /// The variant of `Column`.
    pub(crate) column: Ident,
    /// The name serde gives it.
    pub(crate) name: String,
    /// Where that name comes from: a `rename`, or the field itself.
    pub(crate) name_span: Span,
    /// Where `primary_key` is written.
    pub(crate) key: Option<Span>,
    pub(crate) required: bool,
    /// Whether its type is an `Option`.
    pub(crate) nullable: bool,
    pub(crate) serde: SerdeField,
}

impl Field {
    pub(crate) fn skipped(&self) -> bool {
        self.serde.skip.is_some()
    }

    /// Whether it is a leaf of the record.
    pub(crate) fn stored(&self) -> bool {
        self.key.is_none() && !self.skipped()
    }
}

impl Model {
    /// Marks the fields named by `required(..)`.
    pub(crate) fn require(&mut self, names: &[Ident]) -> Result<()> {
        for name in names {
            let Some(field) = self.fields.iter_mut().find(|field| field.ident.unraw() == name.unraw()) else {
                let known: Vec<_> = self.fields.iter().map(|field| field.ident.to_string()).collect();
                let known = quoted_list(&known);
                return Err(Error::new(name.span(), format!("no field `{name}`: the fields are {known}")));
            };
            if field.skipped() {
                return Err(Error::new(
                    name.span(),
                    format!("serde skips `{name}`, so it is never there: it cannot be required"),
                ));
            }
            field.required = true;
        }
        Ok(())
    }
}

/// Reads the struct.
pub(crate) fn parse(input: &DeriveInput, derive: Derive) -> Result<Model> {
    let named = match &input.data {
        Data::Struct(data) => match &data.fields {
            Fields::Named(fields) => Some(fields),
            _ => None,
        },
        _ => None,
    };
    let Some(named) = named else {
        let derive = derive.name();
        return Err(Error::new(
            input.ident.span(),
            format!("`{derive}` is for a struct with named fields, the `Model` of a SeaORM entity"),
        ));
    };
    let rename_all = serde_attributes::container(&input.attrs)?;
    let mut fields = Vec::new();
    for field in &named.named {
        // A field of a struct with named fields has a name; the compiler gives syn no other.
        let Some(ident) = &field.ident else { continue };
        if let Some(attr) = field.attrs.iter().find(|attr| attr.path().is_ident("dust")) {
            return Err(Error::new(
                attr.path().span(),
                "`#[dust(..)]` belongs on the struct, where `required(..)` names fields",
            ));
        }
        let sea_orm = SeaOrmField::parse(field);
        if sea_orm.ignored {
            continue;
        }
        let rust_name = ident.unraw().to_string();
        let default_name = rename_all.map_or_else(|| rust_name.clone(), |rule| rule.apply(&rust_name));
        let serde = serde_attributes::field(&field.attrs, &default_name)?;
        let nullable = is_option(&field.ty);
        // A key that the database makes is not asked of anybody.
        let given = sea_orm.key.is_none() || derive == Derive::Entity || !sea_orm.generated(&field.ty);
        fields.push(Field {
            column: column(&rust_name, sea_orm.enum_name, ident.span()),
            name: serde.rename.as_ref().map_or(default_name, |name| name.value()),
            name_span: serde.rename.as_ref().map_or(ident.span(), |name| name.span()),
            key: sea_orm.key,
            required: !nullable && given && serde.default.is_none() && serde.skip.is_none(),
            nullable,
            ident: ident.clone(),
            ty: field.ty.clone(),
            serde,
        });
    }
    Ok(Model { ident: input.ident.clone(), fields })
}

/// What SeaORM's attributes say of one field. SeaORM's own derive reports what is wrong with them.
#[derive(Default)]
struct SeaOrmField {
    key: Option<Span>,
    auto_increment: Option<bool>,
    enum_name: Option<String>,
    ignored: bool,
}

impl SeaOrmField {
    fn parse(field: &syn::Field) -> SeaOrmField {
        let mut parsed = SeaOrmField { ignored: is_relation(&field.ty), ..SeaOrmField::default() };
        for meta in serde_attributes::metas(&field.attrs, "sea_orm") {
            let Some(name) = meta.path().get_ident() else { continue };
            match name.to_string().as_str() {
                "primary_key" => parsed.key = Some(meta.span()),
                "auto_increment" => parsed.auto_increment = boolean(&meta),
                "enum_name" => parsed.enum_name = serde_attributes::text(&meta).map(|name| name.value()),
                "ignore" => parsed.ignored = true,
                _ => {}
            }
        }
        parsed
    }

    /// SeaORM's rule for a key whose attribute does not say who makes it.
    fn generated(&self, ty: &Type) -> bool {
        self.auto_increment
            .unwrap_or_else(|| !last_segment(ty).is_some_and(|last| last.ends_with("String") || last.ends_with("Uuid")))
    }
}

/// The variant of `Column` that SeaORM makes of a field.
fn column(rust_name: &str, enum_name: Option<String>, span: Span) -> Ident {
    let name = enum_name.unwrap_or_else(|| rust_name.to_upper_camel_case());
    // The only word of that form which is a keyword.
    Ident::new(if name == "Self" { "Self_" } else { &name }, span)
}

fn boolean(meta: &Meta) -> Option<bool> {
    match meta {
        Meta::NameValue(pair) => match &pair.value {
            Expr::Lit(literal) => match &literal.lit {
                Lit::Bool(value) => Some(value.value),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    }
}

fn is_option(ty: &Type) -> bool {
    last_segment(ty).is_some_and(|last| last == "Option")
}

/// A relation of SeaORM's dense format, which is not a column.
fn is_relation(ty: &Type) -> bool {
    last_segment(ty).is_some_and(|last| last == "HasOne" || last == "HasMany" || last == "BelongsTo")
}

/// The name of a type, without its path and its parameters.
fn last_segment(ty: &Type) -> Option<String> {
    match ty {
        Type::Path(path) => path.path.segments.last().map(|segment| segment.ident.to_string()),
        Type::Group(group) => last_segment(&group.elem),
        Type::Paren(paren) => last_segment(&paren.elem),
        _ => None,
    }
}

impl FieldDefault {
    /// The default of a field whose leaf is absent, where it has one.
    pub(crate) fn of(field: &Field) -> Option<&FieldDefault> {
        match &field.serde.default {
            Some(default) => Some(default),
            None if field.nullable || field.skipped() => Some(&FieldDefault::Trait),
            None => None,
        }
    }
}
