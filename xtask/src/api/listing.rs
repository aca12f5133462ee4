//! The list of public items.

use std::collections::{BTreeMap, BTreeSet};

use quote::{ToTokens, quote};
use syn::{Attribute, Fields, ImplItem, Item, Macro, TraitItem, Type, Visibility};

use crate::resolve::{imports, item_name, resolve};
use crate::source::{ModulePath, Tree, is_hidden};

/// One line of the list: the kind of an item, then its path and signature.
type Line = (&'static str, String);

/// Lists the public items of a crate.
pub(crate) fn list(tree: &Tree) -> String {
    let mut listing = Listing { tree, shown: BTreeMap::new(), lines: BTreeSet::new() };
    listing.module(&[], &[]);
    listing.exports(&[], &[]);
    listing.methods();
    listing.macros();
    let mut numbers: BTreeMap<&str, usize> = BTreeMap::new();
    for (kind, _) in &listing.lines {
        *numbers.entry(kind).or_default() += 1;
    }
    let number = |counted: &dyn Fn(&str) -> bool| -> usize {
        numbers.iter().filter(|(kind, _)| counted(kind)).map(|(_, number)| number).sum()
    };
    let all = number(&|kind| kind != "use");
    let own = number(&|kind| !["use", "field", "variant"].contains(&kind));
    let numbers: Vec<String> = numbers.iter().map(|(kind, number)| format!("{kind} {number}")).collect();
    let mut lines: Vec<&Line> = listing.lines.iter().collect();
    lines.sort_by_key(|(kind, text)| (path(text), *kind));
    let mut list =
        format!("# {own} items of its own; {all} with fields and variants. By kind: {}.\n", numbers.join(", "));
    for (kind, text) in lines {
        list.push_str(&format!("{kind} {text}\n"));
    }
    list
}

/// The path at the beginning of a line's text.
fn path(text: &str) -> &str {
    let end = text.find(|mark: char| !mark.is_alphanumeric() && !"_:!".contains(mark));
    text[..end.unwrap_or(text.len())].trim_end_matches(':')
}

struct Listing<'a> {
    tree: &'a Tree,
    /// The public paths of the types and traits that were listed, by the paths where they are defined.
    shown: BTreeMap<ModulePath, String>,
    lines: BTreeSet<Line>,
}

impl Listing<'_> {
    fn line(&mut self, kind: &'static str, text: impl Into<String>) {
        self.lines.insert((kind, text.into()));
    }

    /// Lists the public items that a module and its public submodules define, which users reach by the path `public`.
    ///
    /// [`exports`](Listing::exports) follows, so that an item that is exported twice stands once, where it is defined
    /// if that is public.
    fn module(&mut self, module: &[String], public: &[String]) {
        let tree = self.tree;
        let items = tree.get(module).map_or(&[][..], |module| &module.items);
        for item in items.iter().filter(|item| is_public(visibility(item))) {
            if let Some(name) = item_name(item) {
                self.item(item, module, &[public, &[name]].concat());
            }
        }
    }

    /// Lists the public `use` of a module and its public submodules.
    fn exports(&mut self, module: &[String], public: &[String]) {
        let tree = self.tree;
        for item in tree.get(module).map_or(&[][..], |module| &module.items) {
            match item {
                Item::Use(item) if is_public(&item.vis) => {
                    for import in imports(&item.tree) {
                        self.import(module, public, import.name, &import.path);
                    }
                }
                Item::Mod(item) if is_public(&item.vis) => {
                    let name = [item.ident.to_string()];
                    self.exports(&[module, &name].concat(), &[public, &name].concat());
                }
                _ => {}
            }
        }
    }

    fn import(&mut self, module: &[String], public: &[String], name: Option<String>, path: &[String]) {
        let found = resolve(self.tree, module, path);
        match (found, name) {
            (Some(found), None) => {
                self.module(&found, public);
                self.exports(&found, public);
            }
            (Some(found), Some(name)) => {
                let at = [public, &[name]].concat();
                let Some((last, parent)) = found.split_last() else { return };
                let items = self.tree.get(parent).map_or(&[][..], |module| &module.items);
                if let Some(item) = items.iter().find(|item| item_name(item).as_ref() == Some(last)) {
                    self.item(item, parent, &at);
                }
            }
            (None, name) => {
                let at = [public, &[name.unwrap_or_else(|| "*".to_owned())]].concat().join("::");
                self.line("use", format!("{at} = {}", path.join("::")));
            }
        }
    }

    /// Lists an item that is defined in `module` and that users reach by the path `public`.
    fn item(&mut self, item: &Item, module: &[String], public: &[String]) {
        let path = public.join("::");
        let defined: ModulePath = module.iter().cloned().chain(item_name(item)).collect();
        if let Item::Mod(_) = item {
            self.line("mod", path);
            return self.module(&defined, public);
        }
        if let Some(shown) = self.shown.get(&defined) {
            let text = format!("{path} = {shown}");
            return self.line("use", text);
        }
        self.shown.insert(defined, path.clone());
        match item {
            Item::Struct(item) => {
                let generics = tidy(&item.generics);
                self.line("struct", format!("{path}{generics}{}", growth(&item.attrs)));
                self.fields(&path, &item.fields, false);
            }
            Item::Enum(item) => {
                let generics = tidy(&item.generics);
                self.line("enum", format!("{path}{generics}{}", growth(&item.attrs)));
                for variant in &item.variants {
                    let variant_path = format!("{path}::{}", variant.ident);
                    let tuple = if matches!(variant.fields, Fields::Unnamed(_)) {
                        tidy(&variant.fields)
                    } else {
                        String::new()
                    };
                    self.line("variant", format!("{variant_path}{tuple}{}", growth(&variant.attrs)));
                    if matches!(variant.fields, Fields::Named(_)) {
                        self.fields(&variant_path, &variant.fields, true);
                    }
                }
            }
            Item::Trait(item) => {
                let (generics, bounds) = (tidy(&item.generics), tidy(&item.supertraits));
                let bounds = if bounds.is_empty() { bounds } else { format!(": {bounds}") };
                self.line("trait", format!("{path}{generics}{bounds}"));
                item.items.iter().for_each(|item| self.trait_item(&path, item));
            }
            Item::Fn(item) => self.function("fn", &path, &item.sig),
            Item::Const(item) => self.line("const", format!("{path}: {}", tidy(&item.ty))),
            Item::Static(item) => self.line("static", format!("{path}: {}", tidy(&item.ty))),
            Item::Type(item) => {
                let text = format!("{path}{} = {}", tidy(&item.generics), tidy(&item.ty));
                self.line("type", text);
            }
            _ => {}
        }
    }

    fn fields(&mut self, path: &str, fields: &Fields, all: bool) {
        for (index, field) in fields.iter().enumerate() {
            if (all || is_public(&field.vis)) && !is_hidden(&field.attrs) {
                let name = field.ident.as_ref().map_or_else(|| index.to_string(), ToString::to_string);
                self.line("field", format!("{path}::{name}: {}", tidy(&field.ty)));
            }
        }
    }

    fn function(&mut self, kind: &'static str, path: &str, signature: &syn::Signature) {
        let mut parts = signature.clone();
        parts.ident = syn::Ident::new("NAME", signature.ident.span());
        let text = tidy(&parts);
        let after = text.split_once("NAME").map_or("", |(_, after)| after);
        let asyncness = if signature.asyncness.is_some() { " async" } else { "" };
        self.line(kind, format!("{path}{after}{asyncness}"));
    }

    fn trait_item(&mut self, path: &str, item: &TraitItem) {
        match item {
            TraitItem::Fn(item) if !is_hidden(&item.attrs) => {
                self.function("method", &format!("{path}::{}", item.sig.ident), &item.sig);
            }
            TraitItem::Const(item) if !is_hidden(&item.attrs) => {
                self.line("const", format!("{path}::{}: {}", item.ident, tidy(&item.ty)));
            }
            TraitItem::Type(item) if !is_hidden(&item.attrs) => {
                self.line("type", format!("{path}::{}: {}", item.ident, tidy(&item.bounds)));
            }
            _ => {}
        }
    }

    /// Lists the public methods and constants of the types that were listed.
    fn methods(&mut self) {
        for (module, found) in self.tree {
            for item in &found.items {
                let Item::Impl(item) = item else { continue };
                let Type::Path(target) = &*item.self_ty else { continue };
                if item.trait_.is_some() {
                    continue;
                }
                let names: Vec<String> = target.path.segments.iter().map(|segment| segment.ident.to_string()).collect();
                let found = resolve(self.tree, module, &names);
                let Some(path) = found.and_then(|found| self.shown.get(&found).cloned()) else { continue };
                for inner in &item.items {
                    self.method(&path, inner);
                }
            }
        }
    }

    fn method(&mut self, path: &str, item: &ImplItem) {
        match item {
            ImplItem::Fn(item) if is_public(&item.vis) && !is_hidden(&item.attrs) => {
                self.function("method", &format!("{path}::{}", item.sig.ident), &item.sig);
            }
            ImplItem::Const(item) if is_public(&item.vis) && !is_hidden(&item.attrs) => {
                self.line("const", format!("{path}::{}: {}", item.ident, tidy(&item.ty)));
            }
            _ => {}
        }
    }

    /// Lists the public functions in the bodies of macros that the crate defines for itself.
    fn macros(&mut self) {
        for module in self.tree.values() {
            for item in &module.items {
                if let Item::Macro(item) = item
                    && let Some(name) = &item.ident
                {
                    for function in public_functions(&item.mac) {
                        self.line("method", format!("{name}!::{function}"));
                    }
                }
            }
        }
    }
}

/// The names after `pub fn` in a macro.
fn public_functions(definition: &Macro) -> Vec<String> {
    let text = definition.tokens.to_string();
    let words: Vec<&str> = text.split_whitespace().collect();
    let named = words.windows(3).filter(|window| window[..2] == ["pub", "fn"] && !window[2].starts_with('$'));
    named.filter_map(|window| window[2].split(['(', '<']).next()).map(str::to_owned).collect()
}

fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

fn visibility(item: &Item) -> &Visibility {
    match item {
        Item::Const(item) => &item.vis,
        Item::Enum(item) => &item.vis,
        Item::Fn(item) => &item.vis,
        Item::Mod(item) => &item.vis,
        Item::Static(item) => &item.vis,
        Item::Struct(item) => &item.vis,
        Item::Trait(item) => &item.vis,
        Item::Type(item) => &item.vis,
        _ => &Visibility::Inherited,
    }
}

/// A mark for what may get more fields or variants.
fn growth(attributes: &[Attribute]) -> &'static str {
    let grows = attributes.iter().any(|attribute| attribute.path().is_ident("non_exhaustive"));
    if grows { " non_exhaustive" } else { "" }
}

/// The text of some syntax, without comments and with the spaces that people write.
fn tidy(syntax: &impl ToTokens) -> String {
    let mut text = quote!(#syntax).to_string();
    for (from, to) in [
        (" :: ", "::"),
        (":: ", "::"),
        (" < ", "<"),
        ("< ", "<"),
        (" >", ">"),
        (" ,", ","),
        (" :", ":"),
        (" (", "("),
        ("( ", "("),
        (" )", ")"),
        ("& ", "&"),
        (" ;", ";"),
        ("[ ", "["),
        (" ]", "]"),
        ("' ", "'"),
        ("->(", "-> ("),
    ] {
        text = text.replace(from, to);
    }
    text
}
