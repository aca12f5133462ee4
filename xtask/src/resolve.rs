//! Names to the items they stand for, through `use`.

use syn::{Item, UseTree};

use super::source::{ModulePath, Tree};

/// One name that a `use` brings into a module.
pub(crate) struct Import {
    /// The name, or `None` for `*`.
    pub(crate) name: Option<String>,
    pub(crate) path: Vec<String>,
}

/// Splits a `use` into the names it brings.
pub(crate) fn imports(tree: &UseTree) -> Vec<Import> {
    let mut all = Vec::new();
    split(tree, &mut Vec::new(), &mut all);
    all
}

fn split(tree: &UseTree, before: &mut Vec<String>, all: &mut Vec<Import>) {
    match tree {
        UseTree::Path(path) => {
            before.push(path.ident.to_string());
            split(&path.tree, before, all);
            before.pop();
        }
        UseTree::Group(group) => group.items.iter().for_each(|tree| split(tree, before, all)),
        UseTree::Glob(_) => all.push(Import { name: None, path: before.clone() }),
        UseTree::Name(name) if name.ident == "self" => {
            all.push(Import { name: before.last().cloned(), path: before.clone() });
        }
        UseTree::Name(name) => all.push(named(before, name.ident.to_string(), name.ident.to_string())),
        UseTree::Rename(rename) => {
            all.push(named(before, rename.ident.to_string(), rename.rename.to_string()));
        }
    }
}

fn named(before: &[String], last: String, name: String) -> Import {
    Import { name: Some(name), path: before.iter().cloned().chain([last]).collect() }
}

/// The path of the item that a path in a module stands for; `None` if it lies in another crate.
pub(crate) fn resolve(tree: &Tree, module: &[String], path: &[String]) -> Option<ModulePath> {
    // Each `use` that is followed costs one. A circle of them ends.
    follow(tree, module, path, 16)
}

/// The path of the item or module that the longest known beginning of a path stands for, as the rest of it may be a
/// variant, a method or an item of another crate.
pub(crate) fn resolve_beginning(tree: &Tree, module: &[String], path: &[String]) -> Option<ModulePath> {
    (1..=path.len()).rev().find_map(|length| resolve(tree, module, &path[..length]))
}

fn follow(tree: &Tree, module: &[String], path: &[String], budget: usize) -> Option<ModulePath> {
    let (first, rest) = path.split_first()?;
    let budget = budget.checked_sub(1)?;
    let found = match first.as_str() {
        "crate" => Vec::new(),
        "self" => module.to_vec(),
        "super" => module.split_last()?.1.to_vec(),
        name => lookup(tree, module, name, budget)?,
    };
    if rest.is_empty() { Some(found) } else { follow(tree, &found, rest, budget) }
}

/// The item of one name in a module: its own, or one that a `use` brings.
fn lookup(tree: &Tree, module: &[String], name: &str, budget: usize) -> Option<ModulePath> {
    let items = &tree.get(module)?.items;
    if items.iter().any(|item| item_name(item).is_some_and(|own| own == name)) {
        return Some([module, &[name.to_owned()]].concat());
    }
    let uses = || items.iter().filter_map(|item| if let Item::Use(item) = item { Some(&item.tree) } else { None });
    let mut by_name = uses().flat_map(imports).filter(|import| import.name.as_deref() == Some(name));
    if let Some(import) = by_name.next() {
        return follow(tree, module, &import.path, budget);
    }
    uses().flat_map(imports).filter(|import| import.name.is_none()).find_map(|import| {
        let from = follow(tree, module, &import.path, budget)?;
        lookup(tree, &from, name, budget.checked_sub(1)?)
    })
}

/// The name by which an item is found in its module.
pub(crate) fn item_name(item: &Item) -> Option<String> {
    match item {
        Item::Const(item) => Some(item.ident.to_string()),
        Item::Enum(item) => Some(item.ident.to_string()),
        Item::Fn(item) => Some(item.sig.ident.to_string()),
        Item::Mod(item) => Some(item.ident.to_string()),
        Item::Static(item) => Some(item.ident.to_string()),
        Item::Struct(item) => Some(item.ident.to_string()),
        Item::Trait(item) => Some(item.ident.to_string()),
        Item::Type(item) => Some(item.ident.to_string()),
        _ => None,
    }
}
