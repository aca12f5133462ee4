//! Circles in a graph of modules.

use std::collections::{BTreeMap, BTreeSet};

use crate::source::ModulePath;

/// Finds the groups of at least two modules that reach each other. Each has the paths of its modules in order.
pub(crate) fn find(graph: &BTreeMap<ModulePath, BTreeSet<ModulePath>>) -> BTreeSet<Vec<String>> {
    let reached: BTreeMap<&ModulePath, BTreeSet<&ModulePath>> =
        graph.keys().map(|module| (module, reach(graph, module))).collect();
    let reaches = |from: &ModulePath, to: &ModulePath| reached.get(from).is_some_and(|reached| reached.contains(to));
    let circle = |module: &ModulePath| -> Vec<String> {
        let members = graph.keys().filter(|other| reaches(module, other) && reaches(other, module));
        members.map(|member| member.join("::")).collect()
    };
    graph.keys().map(circle).filter(|circle| circle.len() > 1).collect()
}

/// The modules that a walk along the edges arrives at.
fn reach<'g>(graph: &'g BTreeMap<ModulePath, BTreeSet<ModulePath>>, from: &ModulePath) -> BTreeSet<&'g ModulePath> {
    let mut reached = BTreeSet::new();
    let mut next: Vec<&ModulePath> = graph.get(from).into_iter().flatten().collect();
    while let Some(module) = next.pop() {
        if reached.insert(module) {
            next.extend(graph.get(module).into_iter().flatten());
        }
    }
    reached
}
