//! The modules of a crate with their items, read from its files.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use syn::{Attribute, Item, Meta};

/// The segments of a path from the root of the crate. The root has none.
pub(crate) type ModulePath = Vec<String>;

/// All modules of a crate by their paths.
pub(crate) type Tree = BTreeMap<ModulePath, Vec<Item>>;

/// Reads the modules of a library from its `src/lib.rs` on.
pub(crate) fn read(folder: &Path) -> Result<Tree, String> {
    let mut tree = Tree::new();
    let source = folder.join("src");
    let items = parse(&source.join("lib.rs"))?;
    add(&mut tree, Vec::new(), &source, items)?;
    Ok(tree)
}

/// Adds a module whose submodules lie in `folder`.
fn add(tree: &mut Tree, path: ModulePath, folder: &Path, items: Vec<Item>) -> Result<(), String> {
    let items: Vec<Item> = items.into_iter().filter(|item| !is_left_out(attributes(item))).collect();
    for item in &items {
        let Item::Mod(module) = item else { continue };
        let name = module.ident.to_string();
        let inner = folder.join(&name);
        let path = [path.as_slice(), std::slice::from_ref(&name)].concat();
        let items = match &module.content {
            Some((_, items)) => items.clone(),
            None => parse(&file_of(folder, &name))?,
        };
        add(tree, path, &inner, items)?;
    }
    tree.insert(path, items);
    Ok(())
}

fn file_of(folder: &Path, name: &str) -> PathBuf {
    let file = folder.join(format!("{name}.rs"));
    if file.exists() { file } else { folder.join(name).join("mod.rs") }
}

fn parse(file: &Path) -> Result<Vec<Item>, String> {
    let source = fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(syn::parse_file(&source).map_err(|error| format!("{}: {error}", file.display()))?.items)
}

/// Tells items that no user sees: those of tests and those hidden from the documentation.
pub(crate) fn is_left_out(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::List(list) if list.path.is_ident("cfg") => list.tokens.to_string() == "test",
        Meta::List(list) if list.path.is_ident("doc") => list.tokens.to_string() == "hidden",
        _ => false,
    })
}

fn attributes(item: &Item) -> &[Attribute] {
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
