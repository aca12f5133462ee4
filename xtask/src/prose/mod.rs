//! Prose of the repository, checked by the rules of `docs/style.md` that a program can see.

mod passage;
mod rules;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use passage::Kind;
use rules::{Finding, Rule};

/// Fails on findings below the paths of `xtask/finished.txt` and counts all others.
pub(crate) fn check(root: &Path) -> Result<bool, String> {
    let finished = finished(root)?;
    let mut passed = true;
    let mut others: BTreeMap<String, BTreeMap<Rule, usize>> = BTreeMap::new();
    for (path, findings) in findings_below(root)? {
        if finished.iter().any(|folder| Path::new(&path).starts_with(folder)) {
            passed &= findings.is_empty();
            print(&path, &findings);
        } else {
            for finding in findings {
                *others.entry(folder(&path)).or_default().entry(finding.rule).or_default() += 1;
            }
        }
    }
    if !others.is_empty() {
        println!("findings outside of xtask/finished.txt (`cargo run -p xtask -- prose PATH` shows them):");
    }
    for (folder, counts) in &others {
        let counts: Vec<String> = counts.iter().map(|(rule, count)| format!("{count} {}", rule.name())).collect();
        println!("  {folder}: {}", counts.join(", "));
    }
    Ok(passed)
}

/// Shows every finding below the given paths and fails if there is one.
pub(crate) fn show(root: &Path, paths: &[&str]) -> Result<bool, String> {
    let mut passed = true;
    for (path, findings) in findings_below(root)? {
        if paths.iter().any(|wanted| Path::new(&path).starts_with(wanted)) {
            passed &= findings.is_empty();
            print(&path, &findings);
        }
    }
    Ok(passed)
}

/// Reads the list of finished paths.
fn finished(root: &Path) -> Result<Vec<String>, String> {
    let list = read(&root.join("xtask/finished.txt"))?;
    let paths: Vec<String> = list
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
        .collect();
    match paths.iter().find(|path| !root.join(path).exists()) {
        Some(missing) => Err(format!("xtask/finished.txt names {missing}, which does not exist")),
        None => Ok(paths),
    }
}

fn print(path: &str, findings: &[Finding]) {
    for Finding { line, rule, detail } in findings {
        println!("{path}:{line}: {}: {detail}", rule.name());
    }
}

/// At most two folders that lead to a file: a crate and its folder.
fn folder(path: &str) -> String {
    let parts: Vec<&str> = path.split('/').collect();
    let folder = parts[..parts.len().min(3) - 1].join("/");
    if folder.is_empty() { ".".to_owned() } else { folder }
}

/// The Rust and Markdown files of the repository in the order of their paths, with their findings.
fn findings_below(root: &Path) -> Result<Vec<(String, Vec<Finding>)>, String> {
    let mut files = Vec::new();
    collect(root, &mut files)?;
    files.sort();
    let mut all = Vec::new();
    for file in files {
        let path = file.strip_prefix(root).unwrap_or(&file).to_string_lossy().replace('\\', "/");
        all.push((path.clone(), findings(&path, &read(&file)?)));
    }
    Ok(all)
}

/// Adds the files below a folder. Hidden folders and `target` are left out.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), String> {
    let failed = |error| format!("{}: {error}", folder.display());
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        let kind = entry.file_type().map_err(failed)?;
        if kind.is_dir() && !name.starts_with('.') && name != "target" {
            collect(&path, files)?;
        } else if kind.is_file() && (name.ends_with(".rs") || name.ends_with(".md")) {
            files.push(path);
        }
    }
    Ok(())
}

fn read(file: &Path) -> Result<String, String> {
    fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))
}

/// The findings of one file, in the order of their lines.
fn findings(path: &str, source: &str) -> Vec<Finding> {
    let is_rust = path.ends_with(".rs");
    let passages = if is_rust { passage::of_rust(source) } else { passage::of_markdown(source) };
    let limit = if is_rust { rules::RUST_COLUMNS } else { rules::MARKDOWN_COLUMNS };
    let mut findings = rules::columns(source, limit);
    for passage in &passages {
        findings.extend(rules::headless(passage));
        if passage.kind != Kind::Literal || !is_test(path) {
            findings.extend(rules::idioms(passage));
        }
    }
    findings.sort_by_key(|finding| finding.line);
    findings
}

/// Tells test files, whose literals are data, by their paths.
fn is_test(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.split('/').any(|part| part == "tests")
}

#[cfg(test)]
mod tests;
