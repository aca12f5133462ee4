//! The modules of a crate with their items, read from its files.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use syn::punctuated::Punctuated;
use syn::{Attribute, Item, Meta, MetaList, Token};

/// The segments of a path from the root of the crate. The root has none.
pub(crate) type ModulePath = Vec<String>;

/// All modules of a crate by their paths.
pub(crate) type Tree = BTreeMap<ModulePath, Module>;

/// A module of a crate.
pub(crate) struct Module {
    /// The file that holds it.
    pub(crate) file: PathBuf,
    pub(crate) items: Vec<Item>,
}

/// Reads the modules of a library from its `src/lib.rs` on, without the items that `is_left_out` names.
pub(crate) fn read(folder: &Path, is_left_out: fn(&[Attribute]) -> bool) -> Result<Tree, String> {
    let source = folder.join("src");
    let mut reader = Reader { tree: Tree::new(), is_left_out };
    let file = source.join("lib.rs");
    let items = parse(&file)?;
    reader.add(Vec::new(), &source, Module { file, items })?;
    Ok(reader.tree)
}

struct Reader {
    tree: Tree,
    is_left_out: fn(&[Attribute]) -> bool,
}

impl Reader {
    /// Adds a module whose submodules lie in `folder`.
    fn add(&mut self, path: ModulePath, folder: &Path, mut module: Module) -> Result<(), String> {
        module.items.retain(|item| !(self.is_left_out)(attributes(item)));
        for item in &module.items {
            let Item::Mod(inner) = item else { continue };
            let name = inner.ident.to_string();
            let inner = match &inner.content {
                Some((_, items)) => Module { file: module.file.clone(), items: items.clone() },
                None => {
                    let file = file_of(folder, &name);
                    let items = parse(&file)?;
                    Module { file, items }
                }
            };
            let path = [path.as_slice(), std::slice::from_ref(&name)].concat();
            self.add(path, &folder.join(&name), inner)?;
        }
        self.tree.insert(path, module);
        Ok(())
    }
}

fn file_of(folder: &Path, name: &str) -> PathBuf {
    let file = folder.join(format!("{name}.rs"));
    if file.exists() { file } else { folder.join(name).join("mod.rs") }
}

fn parse(file: &Path) -> Result<Vec<Item>, String> {
    let source = fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(syn::parse_file(&source).map_err(|error| format!("{}: {error}", file.display()))?.items)
}

/// True for what no user sees: items of tests and those hidden from the documentation.
pub(crate) fn is_hidden(attributes: &[Attribute]) -> bool {
    let is_doc_hidden = |list: &MetaList| list.path.is_ident("doc") && list.tokens.to_string() == "hidden";
    is_test(attributes) || lists(attributes).any(is_doc_hidden)
}

/// True for items that are compiled for unit tests only: `#[cfg(test)]`, `#[cfg(all(test, ..))]`.
pub(crate) fn is_test(attributes: &[Attribute]) -> bool {
    lists(attributes).filter(|list| list.path.is_ident("cfg")).any(requires_test)
}

/// True if `test` stands alone in `cfg(..)` or in an `all(..)` of it.
fn requires_test(list: &MetaList) -> bool {
    let conditions = list.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated).unwrap_or_default();
    conditions.iter().any(|condition| match condition {
        Meta::Path(path) => path.is_ident("test"),
        Meta::List(list) => list.path.is_ident("all") && requires_test(list),
        Meta::NameValue(_) => false,
    })
}

fn lists(attributes: &[Attribute]) -> impl Iterator<Item = &MetaList> {
    attributes.iter().filter_map(|attribute| attribute.meta.require_list().ok())
}

pub(crate) fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}
