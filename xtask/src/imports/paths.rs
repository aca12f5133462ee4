//! The paths in the code of each module, and the modules that they lead to.

use std::collections::BTreeSet;

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, Item, Visibility};

use crate::resolve;
use crate::source::{ModulePath, Tree, is_test};

/// One path in the code of a module that leads to another module.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Import {
    pub(crate) from: ModulePath,
    pub(crate) to: ModulePath,
    /// The path in the source.
    pub(crate) path: String,
}

/// Lists the imports of all modules once each. The target is the module that defines the item, not one that exports it
/// again.
pub(crate) fn imports(tree: &Tree) -> BTreeSet<Import> {
    let mut imports = BTreeSet::new();
    for (from, module) in tree {
        let mut paths = Paths::default();
        for item in module.items.iter().filter(|item| !matches!(item, Item::Mod(_))) {
            if !matches!(item, Item::Use(item) if is_re_export(tree, from, item)) {
                paths.visit_item(item);
            }
        }
        for path in paths.found {
            if let Some(to) = resolve::resolve_beginning(tree, from, &path).map(|found| module_of(tree, found))
                && to != *from
            {
                imports.insert(Import { from: from.clone(), to, path: path.join("::") });
            }
        }
    }
    imports
}

/// True for a `use` that exports items of the module's own submodules. It does not make the module depend on them.
fn is_re_export(tree: &Tree, module: &[String], item: &syn::ItemUse) -> bool {
    let is_exported = !matches!(item.vis, Visibility::Inherited);
    is_exported
        && resolve::imports(&item.tree).iter().all(|import| {
            resolve::resolve_beginning(tree, module, &import.path).is_none_or(|found| found.starts_with(module))
        })
}

/// The module that defines an item, or the module itself.
fn module_of(tree: &Tree, mut found: ModulePath) -> ModulePath {
    while !tree.contains_key(&found) {
        found.pop();
    }
    found
}

/// Collects the paths of code, those in the tokens of macros included.
#[derive(Default)]
struct Paths {
    found: BTreeSet<Vec<String>>,
}

impl Paths {
    /// Collects each `a::b::c` in the tokens of a macro.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(name) if colons == 2 => path.push(name.to_string()),
                TokenTree::Ident(name) => {
                    self.end(&mut path);
                    path.push(name.to_string());
                }
                TokenTree::Punct(mark) if mark.as_char() == ':' => {
                    colons += 1;
                    continue;
                }
                TokenTree::Group(group) => {
                    self.end(&mut path);
                    self.tokens(group.stream());
                }
                _ => self.end(&mut path),
            }
            colons = 0;
        }
        self.end(&mut path);
    }

    /// Adds a path of macro tokens if it has more than one segment: a single name may be a variable.
    fn end(&mut self, path: &mut Vec<String>) {
        let path = std::mem::take(path);
        if path.len() > 1 {
            self.found.insert(path);
        }
    }
}

impl<'ast> Visit<'ast> for Paths {
    fn visit_item(&mut self, item: &'ast Item) {
        if !is_test(crate::source::attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        if !is_test(&item.attrs) {
            visit::visit_impl_item_fn(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.found.extend(resolve::imports(&item.tree).into_iter().map(|import| import.path));
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.found.insert(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, called: &'ast syn::Macro) {
        self.tokens(called.tokens.clone());
    }

    fn visit_attribute(&mut self, _: &'ast Attribute) {}

    fn visit_visibility(&mut self, _: &'ast Visibility) {}
}
