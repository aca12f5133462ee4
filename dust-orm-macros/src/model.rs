//! The struct, with its fields as SeaORM and serde see them.

use heck::ToUpperCamelCase;
use proc_macro2::Span;
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{
    Data, DeriveInput, Error, Expr, Fields, GenericArgument, GenericParam, Ident, Lit, LitStr, Meta, PathArguments,
    Result, Type,
};

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
    /// The name that serde gives the field.
    pub(crate) name: String,
    /// The span of that name: of a `rename`, or of the field itself.
    pub(crate) name_span: Span,
    /// The span of `primary_key`; `None` for a field outside of the key.
    pub(crate) key: Option<Span>,
    pub(crate) required: bool,
    /// True if its type is an `Option`.
    pub(crate) nullable: bool,
    /// True if serde, or the path of a key, may return another value than the written one.
    pub(crate) read_back: bool,
    pub(crate) serde: SerdeField,
}

impl Field {
    pub(crate) fn skipped(&self) -> bool {
        self.serde.skip.is_some()
    }

    /// The other names under which the field is read, each once.
    pub(crate) fn aliases(&self) -> Vec<String> {
        let mut names = vec![self.name.clone()];
        for alias in self.serde.aliases.iter().map(LitStr::value) {
            if !names.contains(&alias) {
                names.push(alias);
            }
        }
        names.split_off(1)
    }

    /// True if the field is a leaf of the record.
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
    if let Some(parameter) = input.generics.params.first() {
        let reason = match parameter {
            GenericParam::Lifetime(_) => {
                "a model owns its values, since it is read from a store: replace the lifetime and the references with \
                 owned types, such as `String`"
            }
            _ => {
                "a model is one type, since its records have one form: replace the parameter with the type that it \
                 stands for"
            }
        };
        return Err(Error::new(parameter.span(), reason));
    }
    named_by_sea_orm(input)?;
    let rename_all = serde_attributes::container(&input.attrs, derive)?;
    let sea_orm: Vec<_> = named.named.iter().map(SeaOrmField::parse).collect();
    let composite = sea_orm.iter().filter(|field| field.key.is_some()).count() > 1;
    let mut fields = Vec::new();
    for (field, sea_orm) in named.named.iter().zip(sea_orm) {
        // A field of a struct with named fields always has a name in syn.
        let Some(ident) = &field.ident else { continue };
        if let Some(attr) = field.attrs.iter().find(|attr| attr.path().is_ident("dust")) {
            return Err(Error::new(
                attr.path().span(),
                "`#[dust(..)]` belongs on the struct, where `required(..)` names fields",
            ));
        }
        if sea_orm.ignored {
            continue;
        }
        let rust_name = ident.unraw().to_string();
        let default_name = rename_all.map_or_else(|| rust_name.clone(), |rule| rule.apply(&rust_name));
        let serde = serde_attributes::field(&field.attrs, &default_name, derive)?;
        let nullable = is_option(&field.ty);
        // A key that the database generates is not required.
        let generated = derive == Derive::Changeset && !composite && sea_orm.generated_key(&field.ty);
        fields.push(Field {
            column: column(&rust_name, sea_orm.enum_name, ident.span()),
            name: serde.rename.as_ref().map_or(default_name, |name| name.value()),
            name_span: serde.rename.as_ref().map_or(ident.span(), |name| name.span()),
            key: sea_orm.key,
            required: !nullable && !generated && serde.default.is_none() && serde.skip.is_none(),
            nullable,
            read_back: match sea_orm.key {
                Some(_) => !is_plain(&field.ty),
                None => {
                    derive == Derive::Entity && serde.skip.is_none() && !(serde.is_derived() && is_plain(&field.ty))
                }
            },
            ident: ident.clone(),
            ty: field.ty.clone(),
            serde,
        });
    }
    Ok(Model { ident: input.ident.clone(), fields })
}

/// Rejects a name other than `Model` beside `DeriveEntityModel`, which is recognized by its `table_name`: it rejects
/// the name too, and then does not make the types that the impls are for.
fn named_by_sea_orm(input: &DeriveInput) -> Result<()> {
    match table_name(input).is_some() && input.ident != "Model" {
        true => Err(Error::new(
            input.ident.span(),
            format!("SeaORM wants the struct of an entity to be called `Model`: rename `{}`", input.ident),
        )),
        false => Ok(()),
    }
}

/// SeaORM's attribute `table_name`.
pub(crate) fn table_name(input: &DeriveInput) -> Option<Meta> {
    serde_attributes::metas(&input.attrs, "sea_orm").into_iter().find(|meta| meta.path().is_ident("table_name"))
}

/// SeaORM's attributes of one field. SeaORM's own derive reports mistakes in them.
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

    /// True if the field is a key that the database generates, by SeaORM's rule if no attribute states it.
    fn generated_key(&self, ty: &Type) -> bool {
        let by_type = || !last_segment(ty).is_some_and(|last| last.ends_with("String") || last.ends_with("Uuid"));
        self.key.is_some() && self.auto_increment.unwrap_or_else(by_type)
    }
}

/// The variant of `Column` that SeaORM generates for a field.
fn column(rust_name: &str, enum_name: Option<String>, span: Span) -> Ident {
    let name = enum_name.unwrap_or_else(|| rust_name.to_upper_camel_case());
    // The only word of that form that is a keyword.
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

/// The types whose every value can be read back from its text. Like `Option`, they are recognized by their names.
const PLAIN: [&str; 16] = [
    "String", "Uuid", "bool", "char", "f32", "f64", "i8", "i16", "i32", "i64", "i128", "u8", "u16", "u32", "u64",
    "u128",
];

/// True if a type is plain, an `Option` of one, a list of them, or an `Option` of such a list.
fn is_plain(ty: &Type) -> bool {
    let inside = |ty, name| last_segment(ty).filter(|last| last == name).and_then(|_| argument(ty));
    let item = inside(ty, "Option").unwrap_or(ty);
    let item = inside(item, "Vec").unwrap_or(item);
    last_segment(item).is_some_and(|last| PLAIN.contains(&last.as_str()))
}

/// The one type parameter of a type.
fn argument(ty: &Type) -> Option<&Type> {
    match ty {
        Type::Path(path) => match &path.path.segments.last()?.arguments {
            PathArguments::AngleBracketed(arguments) => match arguments.args.first()? {
                GenericArgument::Type(ty) => Some(ty),
                _ => None,
            },
            _ => None,
        },
        Type::Group(group) => argument(&group.elem),
        Type::Paren(paren) => argument(&paren.elem),
        _ => None,
    }
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
    /// The default of a field whose leaf is absent, if it has one.
    pub(crate) fn of(field: &Field) -> Option<&FieldDefault> {
        match &field.serde.default {
            Some(default) => Some(default),
            None if field.nullable || field.skipped() => Some(&FieldDefault::Trait),
            None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use syn::parse_quote;

    use super::*;

    fn fields(input: &DeriveInput) -> Vec<Field> {
        parse(input, Derive::Entity).unwrap().fields
    }

    #[test]
    fn columns_are_named_as_by_seaorm() {
        let model: DeriveInput = parse_quote! {
            struct Model {
                id: i32, r#type: i32, _x: i32, is_2d: i32, line_1: i32, self_: i32, cakeID: i32,
                #[sea_orm(enum_name = "Other")] named: i32,
            }
        };
        let columns: Vec<_> = fields(&model).iter().map(|field| field.column.to_string()).collect();
        assert_eq!(columns, ["Id", "Type", "X", "Is2d", "Line1", "Self_", "CakeId", "Other"]);
    }

    #[test]
    fn other_name_beside_table_name_is_refused() {
        let other: DeriveInput = parse_quote!(
            #[sea_orm(table_name = "links")]
            struct Link {
                id: i32,
            }
        );
        let error = parse(&other, Derive::Entity).map(|_| ()).unwrap_err().to_string();
        assert_eq!(error, "SeaORM wants the struct of an entity to be called `Model`: rename `Link`");
        // Without `DeriveEntityModel` the name is free.
        let alone: DeriveInput = parse_quote! { struct Link { id: i32 } };
        assert_eq!(fields(&alone).len(), 1);
    }

    #[test]
    fn options_are_known_by_their_last_segment() {
        let model: DeriveInput = parse_quote! {
            struct Model {
                a: Option<i32>, b: std::option::Option<i32>, c: (::core::option::Option<i32>), d: Vec<Option<i32>>,
            }
        };
        assert_eq!(fields(&model).iter().map(|field| field.nullable).collect::<Vec<_>>(), [true, true, true, false]);
    }

    #[test]
    fn types_that_may_lose_something_are_read_back() {
        let model: DeriveInput = parse_quote! {
            struct Model {
                #[sea_orm(primary_key)] #[serde(with = "m")] key: i32,
                a: Option<String>, b: std::vec::Vec<u8>, c: Option<Vec<f32>>, d: uuid::Uuid,
                e: DateTime, f: Option<Option<i32>>, g: Vec<Option<i32>>, h: Json,
                #[serde(with = "m")] i: i32, #[serde(skip)] j: Json,
            }
        };
        let names = |derive| {
            let fields = parse(&model, derive).unwrap().fields;
            fields.iter().filter(|field| field.read_back).map(|field| field.name.clone()).collect::<String>()
        };
        assert_eq!(names(Derive::Entity), "efghi");
        assert_eq!(names(Derive::Changeset), "");
    }

    #[test]
    fn ignored_fields_and_relations_are_no_columns() {
        let model: DeriveInput = parse_quote! {
            struct Model {
                id: i32,
                #[sea_orm(default_value = "x", ignore)] a: i32,
                b: HasMany<super::fruit::Entity>,
                c: sea_orm::HasOne<super::fruit::Entity>,
                d: BelongsTo<Option<super::fruit::Entity>>,
            }
        };
        assert_eq!(fields(&model).len(), 1);
    }

    #[test]
    fn an_attribute_that_another_derive_refuses_is_left_to_it() {
        let model: DeriveInput = parse_quote! {
            #[serde(rename_all = "no such case", 7)]
            struct Model { #[sea_orm(primary key)] #[serde(rename = 3, with = "not a path", what = "?")] id: i32 }
        };
        assert_eq!(fields(&model)[0].name, "id");
    }

    #[test]
    fn both_halves_of_skip_are_skip() {
        let model: DeriveInput = parse_quote! {
            struct Model { #[serde(skip_serializing, skip_deserializing)] a: i32, #[serde(skip)] b: i32 }
        };
        assert!(fields(&model).iter().all(Field::skipped));
    }
}
