//! Every page of the guide is in its summary and is compiled, and every relative link has a target.

#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The documents outside of the guide.
const DOCUMENTS: [&str; 7] = [
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "docs/architecture.md",
    "docs/performance.md",
    "docs/style.md",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(file: &Path) -> String {
    std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// The text without fenced code.
fn prose(text: &str) -> String {
    let mut inside = false;
    let mut lines = Vec::new();
    for line in text.lines() {
        if line.starts_with("```") {
            inside = !inside;
        } else if !inside {
            lines.push(line);
        }
    }
    assert!(!inside, "a code block has no end");
    lines.join("\n")
}

/// The targets of `[..](target)`.
fn links(text: &str) -> Vec<String> {
    let targets = text.split("](").skip(1);
    targets.filter_map(|rest| rest.split_once(')')).map(|(target, _)| target.to_owned()).collect()
}

/// The anchors of the headings, as mdBook and GitHub make them.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    headings
        .map(|line| {
            let heading = line.trim_start_matches('#').trim().to_lowercase();
            let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
            kept.map(|c| if c == ' ' { '-' } else { c }).collect()
        })
        .collect()
}

fn pages() -> BTreeSet<String> {
    let directory = root().join("docs/guide/src");
    let files = std::fs::read_dir(&directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    files.map(|file| file.unwrap().file_name().into_string().unwrap()).filter(|name| name != "SUMMARY.md").collect()
}

#[test]
fn pages_are_in_summary_and_compiled() {
    let pages = pages();
    let summary: BTreeSet<String> = links(&read(&root().join("docs/guide/src/SUMMARY.md"))).into_iter().collect();
    assert_eq!(pages, summary, "in docs/guide/src (left) and in its SUMMARY.md (right)");
    let compiled: BTreeSet<String> = guide::PAGES.iter().map(|page| (*page).to_owned()).collect();
    assert_eq!(pages, compiled, "in docs/guide/src (left) and in `pages!` (right)");
}

#[test]
fn relative_links_have_a_target() {
    let guide = root().join("docs/guide/src");
    let mut files: Vec<PathBuf> = pages().iter().map(|page| guide.join(page)).collect();
    files.extend(DOCUMENTS.map(|file| root().join(file)));
    let mut broken = Vec::new();
    for file in &files {
        let text = prose(&read(file));
        for link in links(&text).into_iter().filter(|link| !link.contains("://")) {
            let (path, anchor) = link.split_once('#').map_or((link.as_str(), None), |(path, at)| (path, Some(at)));
            let target = if path.is_empty() { file.clone() } else { file.with_file_name("").join(path) };
            let is_there = target.exists()
                && anchor.is_none_or(|anchor| target.is_file() && anchors(&prose(&read(&target))).contains(anchor));
            if !is_there {
                broken.push(format!("{}: {link}", file.display()));
            }
        }
    }
    assert!(broken.is_empty(), "broken links:\n{}", broken.join("\n"));
}
