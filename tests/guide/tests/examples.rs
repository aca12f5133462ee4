//! Every public verb of the repo has an example in its documentation.

#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::path::{Path, PathBuf};

fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display())) {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The public functions of `impl DustRepo`, each with `true` if its documentation has a block of code.
fn verbs(source: &str) -> Vec<(String, bool)> {
    let mut verbs = Vec::new();
    let (mut inside, mut has_example) = (false, false);
    for line in source.lines() {
        match line.trim_start() {
            _ if line == "impl DustRepo {" => inside = true,
            _ if line == "}" => inside = false,
            _ if !inside => {}
            comment if comment.starts_with("///") => has_example |= comment.contains("```"),
            attribute if attribute.starts_with("#[") => {}
            code => {
                let function = code.strip_prefix("pub fn ").or_else(|| code.strip_prefix("pub async fn "));
                if let Some(function) = function {
                    let name: String = function.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                    verbs.push((name, has_example));
                }
                has_example = false;
            }
        }
    }
    verbs
}

#[test]
fn public_verbs_have_an_example() {
    let mut files = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../dust-orm/src/repo"), &mut files);
    let verbs: Vec<_> = files.iter().flat_map(|file| verbs(&std::fs::read_to_string(file).unwrap())).collect();
    assert!(verbs.iter().any(|(name, _)| name == "insert") && verbs.len() > 25, "found {verbs:?}");
    let without: Vec<_> = verbs.into_iter().filter(|(_, has_example)| !has_example).map(|(name, _)| name).collect();
    assert!(without.is_empty(), "without an example: {}", without.join(", "));
}
