//! The generated impls. Their logic is in `dust_orm::__private`; here every field is one short match arm, so that an
//! entity costs little compile time.
//!
//! Locals have the hygiene of the macro, so a function that an attribute names never resolves to one of them. Code that
//! depends on the type of a field has the span of that type, so the compiler points at the field.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{LitStr, Path, Type};

use crate::attributes::Attributes;
use crate::model::{Field, Model};
use crate::serde_attributes::FieldDefault;

/// Puts impls into a scope where `__dust` means `dust_orm::__private`, for any name and imports of the user's module.
pub(crate) fn in_scope(krate: &Path, impls: &[TokenStream]) -> TokenStream {
    quote! {
        const _: () = {
            use #krate::__private as __dust;
            #(#impls)*
        };
    }
}

/// `impl Fields for ActiveModel`
pub(crate) fn fields(model: &Model) -> TokenStream {
    let fields = &model.fields;
    let at = Span::mixed_site();
    let descriptions = fields.iter().map(description);
    let positions = fields.iter().enumerate().map(|(position, field)| {
        let column = &field.column;
        quote!(Column::#column => #position,)
    });
    let state = arms(fields, |field, value| {
        let (at, column) = (place(field), column(field));
        quote_spanned!(at=> #column::state(&self.#value))
    });
    let same_value = arms(fields, |field, value| {
        let (at, column) = (place(field), column(field));
        quote_spanned!(at=> #column::same_value(&self.#value, &other.#value))
    });
    let copy = arms(fields, |field, value| {
        let (at, column) = (place(field), column(field));
        quote_spanned!(at=> #column::copy(&mut self.#value, &from.#value))
    });
    let set_state = arms(fields, |field, value| {
        let (at, column) = (place(field), column(field));
        quote_spanned!(at=> #column::set_state(&mut self.#value, state))
    });
    let serialize = arms(fields, |field, _| serialize(field));
    let deserialize = arms(fields, |field, _| deserialize(field));
    let set_absent = set_absent(fields);
    quote_spanned! {at=>
        #[automatically_derived]
        #[diagnostic::do_not_recommend]
        impl __dust::Fields for ActiveModel {
            const FIELDS: &'static [__dust::Field<Column>] = &[#(#descriptions),*];

            fn position(column: Column) -> usize {
                match column {
                    #(#positions)*
                    #[allow(unreachable_patterns)]
                    _ => usize::MAX,
                }
            }

            fn state(&self, position: usize) -> __dust::FieldState {
                match position {
                    #state
                    _ => __dust::FieldState::NotSet,
                }
            }

            fn serialize_field<S: __dust::Serializer>(
                &self,
                position: usize,
                serializer: S,
            ) -> ::core::result::Result<S::Ok, S::Error> {
                match position {
                    #serialize
                    _ => __dust::not_serialized(position),
                }
            }

            fn deserialize_field<'de, D: __dust::Deserializer<'de>>(
                &mut self,
                position: usize,
                deserializer: D,
            ) -> ::core::result::Result<(), D::Error> {
                match position {
                    #deserialize
                    _ => __dust::not_deserialized(position),
                }
            }

            #set_absent

            fn same_value(&self, other: &Self, position: usize) -> bool {
                match position {
                    #same_value
                    _ => false,
                }
            }

            fn copy_field(&mut self, from: &Self, position: usize) {
                match position {
                    #copy
                    _ => {}
                }
            }

            fn set_state(&mut self, position: usize, state: __dust::FieldState) {
                match position {
                    #set_state
                    _ => {}
                }
            }
        }
    }
}

/// `impl DustEntity for Entity`, and the conversion of values to its key.
pub(crate) fn entity(attributes: &Attributes, prefix: &[LitStr], keys: &[&Field]) -> TokenStream {
    let mode = syn::Ident::new(attributes.mode, Span::mixed_site());
    let key_case = syn::Ident::new(attributes.key_case, Span::mixed_site());
    let parts = keys.len();
    let each = |body: &dyn Fn(Span, &TokenStream, &syn::Ident, TokenStream) -> TokenStream| -> Vec<TokenStream> {
        let part = |(index, key): (usize, &&Field)| {
            let (at, ty) = (place(key), &key.ty);
            let access = quote_spanned!(at=> <<#ty as __dust::KeyField<_>>::Field as __dust::KeyAccess>);
            let index = syn::Index::from(index);
            let value = if parts == 1 { quote_spanned!(at=> key) } else { quote_spanned!(at=> &key.#index) };
            body(at, &access, &key.ident, value)
        };
        keys.iter().enumerate().map(part).collect()
    };
    let segments = each(&|at, access, _, value| quote_spanned!(at=> #access::to_segment(#value)));
    let active_segments = each(&|at, access, ident, _| quote_spanned!(at=> #access::segment(&model.#ident)));
    let set = each(&|at, access, ident, _| quote_spanned!(at=> #access::set(&mut model.#ident, segment)));
    let take = each(&|at, access, ident, _| quote_spanned!(at=> #access::take(&mut model.#ident)));
    let take = match &take[..] {
        [only] => only.clone(),
        parts => quote_spanned!(Span::mixed_site()=> ::core::option::Option::Some((#(#parts?),*))),
    };
    let positions = 0..parts;
    let key_from = key_from(keys);
    quote_spanned! {Span::mixed_site()=>
        #[automatically_derived]
        #[diagnostic::do_not_recommend]
        impl __dust::DustEntity for Entity {
            const PREFIX: &'static [&'static str] = &[#(#prefix),*];
            const MODE: __dust::StorageMode = __dust::StorageMode::#mode;
            const KEY_CASE: __dust::KeyCase = __dust::KeyCase::#key_case;
            const KEY_PARTS: usize = #parts;

            fn key_segments(
                key: &__dust::KeyOf<Self>,
            ) -> impl ::core::convert::AsRef<[__dust::Cow<'_, str>]> {
                [#(#segments),*]
            }

            fn active_key_segments(
                model: &ActiveModel,
            ) -> impl ::core::convert::AsRef<[::core::option::Option<__dust::Cow<'_, str>>]> {
                [#(#active_segments),*]
            }

            fn set_key_part(
                model: &mut ActiveModel,
                part: usize,
                segment: &str,
            ) -> ::core::result::Result<(), __dust::String> {
                match part {
                    #(#positions => #set,)*
                    _ => ::core::result::Result::Err(__dust::no_such_part(part)),
                }
            }

            fn take_key(model: &mut ActiveModel) -> ::core::option::Option<__dust::KeyOf<Self>> {
                #take
            }
        }

        #key_from
    }
}

/// `impl KeyFrom<K> for Entity`, for a tuple if the key has several parts.
fn key_from(keys: &[&Field]) -> TokenStream {
    let given: Vec<syn::Ident> =
        (0..keys.len()).map(|part| syn::Ident::new(&format!("__DustKey{part}"), Span::mixed_site())).collect();
    let types = keys.iter().map(|key| &key.ty);
    let convert = (0..keys.len()).map(syn::Index::from).map(|part| match keys.len() {
        1 => quote_spanned!(Span::mixed_site()=> ::core::convert::Into::into(given)),
        _ => quote_spanned!(Span::mixed_site()=> ::core::convert::Into::into(given.#part)),
    });
    quote_spanned! {Span::mixed_site()=>
        #[automatically_derived]
        #[diagnostic::do_not_recommend]
        impl<#(#given: ::core::convert::Into<#types>),*> __dust::KeyFrom<(#(#given),*)> for Entity {
            fn key_from(given: (#(#given),*)) -> __dust::KeyOf<Self> {
                (#(#convert),*)
            }
        }
    }
}

/// `Entity::required_columns()` for a SQL entity, which is not a `DustEntity`.
pub(crate) fn required_columns() -> TokenStream {
    quote_spanned! {Span::mixed_site()=>
        #[automatically_derived]
        impl Entity {
            /// The columns without which a record is not one: those that are not an `Option` and not made by the
            /// database, and those named by `#[dust(required(..))]`.
            #[allow(dead_code, unreachable_pub)]
            pub fn required_columns() -> __dust::Vec<Column> {
                __dust::required_columns::<ActiveModel>()
            }
        }
    }
}

fn description(field: &Field) -> TokenStream {
    let Field { column, name, required, nullable, read_back, .. } = field;
    let aliases = field.aliases();
    let (key, skipped) = (field.key.is_some(), field.skipped());
    quote! {
        __dust::Field {
            column: Column::#column,
            name: #name,
            aliases: &[#(#aliases),*],
            required: #required,
            nullable: #nullable,
            key: #key,
            skipped: #skipped,
            read_back: #read_back,
        }
    }
}

/// One arm per field: its position and the result of `body`. A field with an empty body has no arm.
fn arms(fields: &[Field], body: impl Fn(&Field, &syn::Ident) -> TokenStream) -> TokenStream {
    let arms = fields.iter().enumerate().filter_map(|(position, field)| {
        let body = body(field, &field.ident);
        (!body.is_empty()).then(|| quote!(#position => #body,))
    });
    quote!(#(#arms)*)
}

/// The functions with which serde reads and writes a field of this type.
fn serde_access(at: Span, ty: &Type) -> TokenStream {
    quote_spanned!(at=> <<#ty as __dust::StoredField<_>>::Field as __dust::SerdeAccess>)
}

fn serialize(field: &Field) -> TokenStream {
    let ident = &field.ident;
    let (at, ty, column) = (place(field), &field.ty, column(field));
    match &field.serde.serialize_with {
        _ if field.skipped() => TokenStream::new(),
        None => {
            let access = serde_access(at, ty);
            quote_spanned!(at=> #access::serialize(&self.#ident, serializer))
        }
        Some(function) => quote_spanned!(at=> #function(#column::value::<S::Error>(&self.#ident)?, serializer)),
    }
}

fn deserialize(field: &Field) -> TokenStream {
    let ident = &field.ident;
    let (at, ty, column) = (place(field), &field.ty, column(field));
    match &field.serde.deserialize_with {
        _ if field.skipped() => TokenStream::new(),
        None => {
            let access = serde_access(at, ty);
            quote_spanned!(at=> #access::deserialize(&mut self.#ident, deserializer))
        }
        Some(function) => quote_spanned!(at=> #column::set(&mut self.#ident, #function(deserializer)?)),
    }
}

fn set_absent(fields: &[Field]) -> TokenStream {
    let arms = arms(fields, |field, ident| {
        let (at, column) = (place(field), column(field));
        match FieldDefault::of(field) {
            None => TokenStream::new(),
            Some(FieldDefault::Trait) => {
                quote_spanned!(at=> #column::set_to(&mut self.#ident, ::core::default::Default::default()))
            }
            Some(FieldDefault::Function(function)) => {
                quote_spanned!(at=> #column::set_to(&mut self.#ident, #function()))
            }
        }
    });
    quote_spanned! {Span::mixed_site()=>
        fn set_absent(&mut self, position: usize) -> bool {
            match position {
                #arms
                _ => false,
            }
        }
    }
}

/// The field's type as `ColumnField`, through `StoredField` if serde's traits are needed: a type that lacks several of
/// them is one error.
fn column(field: &Field) -> TokenStream {
    let (at, ty) = (place(field), &field.ty);
    match field.skipped() || field.serde.serialize_with.is_some() || field.serde.deserialize_with.is_some() {
        true => quote_spanned!(at=> <<#ty as __dust::ColumnField<_>>::Field as __dust::ColumnAccess>),
        false => quote_spanned!(at=> <<#ty as __dust::StoredField<_>>::Field as __dust::ColumnAccess>),
    }
}

/// The span of a field's type, with the hygiene of the macro's locals.
fn place(field: &Field) -> Span {
    field.ty.span().resolved_at(Span::mixed_site())
}
