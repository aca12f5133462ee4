//! The public items of dust-orm, read from its source and compared with a snapshot in the repository.
//!
//! The list holds modules, types with their public fields, variants and methods, traits with their items, functions,
//! constants and re-exports, of all features. It leaves out implementations of traits, and what is `#[doc(hidden)]` or
//! `#[cfg(test)]`. Methods that a macro of the crate makes stand once, under the name of the macro.

mod listing;

use std::fs;
use std::path::Path;

use crate::source;

const CRATE: &str = "dust-orm";
const SNAPSHOT: &str = "docs/public-api.txt";

/// Compares the snapshot with the source and shows the lines that differ.
pub(crate) fn check(root: &Path) -> Result<bool, String> {
    let now = snapshot(&root.join(CRATE))?;
    let file = root.join(SNAPSHOT);
    let before = fs::read_to_string(&file).map_err(|error| format!("{SNAPSHOT}: {error}"))?;
    let difference = difference(&before, &now);
    for line in &difference {
        println!("{line}");
    }
    if !difference.is_empty() {
        println!("the public items of {CRATE} have changed: `cargo run -p xtask -- api --write` accepts that");
    }
    Ok(difference.is_empty())
}

/// Writes the snapshot.
pub(crate) fn write(root: &Path) -> Result<bool, String> {
    let now = snapshot(&root.join(CRATE))?;
    fs::write(root.join(SNAPSHOT), now).map_err(|error| format!("{SNAPSHOT}: {error}"))?;
    Ok(true)
}

/// The snapshot of a crate: its numbers, then one line for each item, sorted.
fn snapshot(folder: &Path) -> Result<String, String> {
    let tree = source::read(folder, source::is_hidden)?;
    Ok(listing::list(&tree))
}

/// The lines that only one of two snapshots has.
fn difference(before: &str, now: &str) -> Vec<String> {
    let only = |these: &str, those: &str, mark: char| -> Vec<String> {
        let those: std::collections::HashSet<&str> = those.lines().collect();
        these.lines().filter(|line| !those.contains(line)).map(|line| format!("{mark} {line}")).collect()
    };
    let mut lines = only(before, now, '-');
    lines.extend(only(now, before, '+'));
    lines
}

#[cfg(test)]
mod tests;
