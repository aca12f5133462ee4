//! The imports of dust-orm, compared with the layers and circles of files that `docs/architecture.md` lists.
//!
//! A module imports from its own layer and from those below. The files and folders of one folder do not import each
//! other in a circle, except for the circles on the list. Documentation and `#[cfg(test)]` items do not count.

mod architecture;
mod circles;
mod paths;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::source::{self, ModulePath, Tree};
use architecture::Architecture;
use paths::Import;

const CRATE: &str = "dust-orm";
const ARCHITECTURE: &str = "docs/architecture.md";

/// Shows every import that points up and every circle of files that is not on the list.
pub(crate) fn check(root: &Path) -> Result<bool, String> {
    let text = fs::read_to_string(root.join(ARCHITECTURE)).map_err(|error| format!("{ARCHITECTURE}: {error}"))?;
    let findings = findings(&root.join(CRATE), &text)?;
    for finding in &findings {
        println!("{finding}");
    }
    Ok(findings.is_empty())
}

/// The findings in a crate, one line each.
fn findings(folder: &Path, architecture: &str) -> Result<Vec<String>, String> {
    let architecture = Architecture::parse(architecture)?;
    let tree = source::read(folder, source::is_test)?;
    let imports = paths::imports(&tree);
    let mut findings = Vec::new();
    for module in tree.keys().filter(|module| module.len() == 1 && architecture.height(module).is_none()) {
        findings.push(format!("the module {} has no layer in {ARCHITECTURE}", module[0]));
    }
    findings.extend(imports.iter().filter_map(|import| upward(folder, &tree, &architecture, import)));
    findings.extend(circle_findings(&imports, &architecture));
    Ok(findings)
}

/// The description of an import that points up.
fn upward(folder: &Path, tree: &Tree, architecture: &Architecture, import: &Import) -> Option<String> {
    // The root of the crate has no layer: it is the map of all of them.
    if architecture.height(&import.to)? <= architecture.height(&import.from)? {
        return None;
    }
    let file = &tree.get(&import.from)?.file;
    let file = file.strip_prefix(folder).unwrap_or(file).display();
    Some(format!("{CRATE}/{file}: {} points up, to {}", import.path, import.to.join("::")))
}

/// The circles that are not on the list, and the listed ones that do not exist.
fn circle_findings(imports: &BTreeSet<Import>, architecture: &Architecture) -> Vec<String> {
    let found: BTreeSet<String> =
        circles::find(&siblings(imports, architecture)).into_iter().map(|circle| circle.join(" ")).collect();
    let listed = &architecture.circles;
    let unlisted = found.difference(listed).map(|circle| format!("circle of files: {circle}"));
    let obsolete = listed.difference(&found);
    let obsolete = obsolete.map(|circle| format!("{ARCHITECTURE} lists a circle that does not exist: {circle}"));
    unlisted.chain(obsolete).collect()
}

/// For each file or folder the others of the same folder that it imports. Imports from another layer do not count: they
/// point down or are findings by themselves.
fn siblings(imports: &BTreeSet<Import>, architecture: &Architecture) -> BTreeMap<ModulePath, BTreeSet<ModulePath>> {
    let mut siblings: BTreeMap<ModulePath, BTreeSet<ModulePath>> = BTreeMap::new();
    let is_within_layer = |import: &&Import| architecture.height(&import.from) == architecture.height(&import.to);
    for Import { from, to, .. } in imports.iter().filter(is_within_layer) {
        let common = from.iter().zip(to).take_while(|(from, to)| from == to).count();
        if from.len() > common && to.len() > common {
            siblings.entry(from[..=common].to_vec()).or_default().insert(to[..=common].to_vec());
        }
    }
    siblings
}

#[cfg(test)]
mod tests;
