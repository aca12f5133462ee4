//! The lists of layers and of allowed circles in `docs/architecture.md`.

use std::collections::BTreeSet;

const LAYERS: &str = "## Layers of dust-orm";
const CIRCLES: &str = "## Circles of files";

/// The promises about imports.
#[derive(Debug)]
pub(crate) struct Architecture {
    /// The modules of each layer, from top to bottom.
    layers: Vec<Vec<String>>,
    /// The circles of files that are allowed: the paths of their modules in order, separated by spaces.
    pub(crate) circles: BTreeSet<String>,
}

impl Architecture {
    /// Reads the fenced list below each of the two headings.
    ///
    /// A line of the first is a layer: its modules, separated by commas, then two spaces and a description. A line of
    /// the second is a circle: paths of modules separated by commas, then two spaces and the reason.
    pub(crate) fn parse(text: &str) -> Result<Architecture, String> {
        let layers = fenced(text, LAYERS)?.map(names).collect();
        let circles = fenced(text, CIRCLES)?.map(|line| {
            let mut modules = names(line);
            modules.sort();
            modules.join(" ")
        });
        Ok(Architecture { layers, circles: circles.collect() })
    }

    /// The number of layers below that of a module. A layer may name a module below another one, such as
    /// `entity::prelude`: it has all that is below that path.
    pub(crate) fn height(&self, module: &[String]) -> Option<usize> {
        (1..=module.len()).rev().find_map(|length| {
            let path = module[..length].join("::");
            self.layers.iter().rev().position(|layer| layer.contains(&path))
        })
    }
}

/// The lines of the first fenced block below a heading that are not empty.
fn fenced<'t>(text: &'t str, heading: &str) -> Result<impl Iterator<Item = &'t str>, String> {
    let mut lines = text.lines().skip_while(move |line| *line != heading).skip(1);
    let fence = lines.by_ref().take_while(|line| !line.starts_with("## ")).find(|line| line.starts_with("```"));
    fence.ok_or_else(|| format!("no fenced list below the heading `{heading}`"))?;
    Ok(lines.take_while(|line| !line.starts_with("```")).filter(|line| !line.trim().is_empty()))
}

/// The names before the description of a line.
fn names(line: &str) -> Vec<String> {
    let names = line.split("  ").next().unwrap_or_default();
    names.split(',').map(|name| name.trim().to_owned()).collect()
}
