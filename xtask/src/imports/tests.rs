use super::*;

const LAYERS: &str = "## Layers of dust-orm\n\n```text\nrepo         verbs\nfeed, world  ops; clocks\n```\n";

/// The findings in a library with these files, whose layers are `repo` above `feed` and `world`.
fn check(name: &str, files: &[(&str, &str)], circles: &str) -> Vec<String> {
    let folder = std::env::temp_dir().join(format!("xtask-imports-{name}-{}", std::process::id()));
    for (path, text) in files {
        let file = folder.join("src").join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }
    let architecture = format!("{LAYERS}\n## Circles of files\n\n```text\n{circles}```\n");
    let findings = findings(&folder, &architecture).unwrap();
    fs::remove_dir_all(&folder).unwrap();
    findings
}

/// The findings in the files `repo.rs` and `feed.rs`, both of which define a struct.
fn check_feed(name: &str, feed: &str) -> Vec<String> {
    let root = "pub mod repo; mod feed; mod world; pub use repo::Repo;";
    let feed = format!("pub struct Hub; {feed}");
    check(name, &[("lib.rs", root), ("repo.rs", "pub struct Repo;"), ("feed.rs", &feed), ("world.rs", "")], "")
}

#[test]
fn upward_import_is_found() {
    let expected = ["dust-orm/src/feed.rs: crate::repo::Repo points up, to repo"];
    assert_eq!(check_feed("use", "use crate::repo::Repo;"), expected);
    assert_eq!(check_feed("group", "use crate::{repo::{Repo}};"), expected);
    assert_eq!(check_feed("body", "fn f() { let _ = Some(crate::repo::Repo); }"), expected);
    assert_eq!(check_feed("type", "impl From<crate::repo::Repo> for Hub {}"), expected);
    assert_eq!(check_feed("macro", "fn f() { assert_eq!(crate::repo::Repo, 1); }"), expected);
    assert_eq!(check_feed("super", "use super::repo;"), ["dust-orm/src/feed.rs: super::repo points up, to repo"]);
}

#[test]
fn upward_import_through_root_is_found() {
    assert_eq!(check_feed("root", "use crate::Repo;"), ["dust-orm/src/feed.rs: crate::Repo points up, to repo"]);
}

#[test]
fn downward_import_passes() {
    let files = [
        ("lib.rs", "mod repo; mod feed; mod world; pub use repo::Repo;"),
        ("repo.rs", "use crate::feed::Hub; pub struct Repo(Hub);"),
        ("feed.rs", "use crate::world::Clock; pub struct Hub(Clock);"),
        ("world.rs", "pub struct Clock; use std::fmt::Debug;"),
    ];
    assert!(check("down", &files, "").is_empty());
}

#[test]
fn test_code_and_documentation_import_upward() {
    let source = "
        /// See [`Repo`](crate::repo::Repo).
        #[cfg(test)] use crate::repo::Repo;
        #[cfg(all(test, feature = \"x\"))] mod tests { use crate::repo::Repo; }
        impl Hub { #[cfg(test)] fn of(_: crate::repo::Repo) {} }
    ";
    assert!(check_feed("tests", source).is_empty());
    assert_eq!(check_feed("not", "#[cfg(not(test))] use crate::repo::Repo;").len(), 1);
    assert_eq!(check_feed("any", "#[cfg(any(test, feature = \"x\"))] use crate::repo::Repo;").len(), 1);
}

#[test]
fn layer_of_inner_module_prevails() {
    let layers = "## Layers of dust-orm\n```\nfeed::prelude  names\nrepo  verbs\nfeed  ops\n```\n";
    let architecture = Architecture::parse(&format!("{layers}## Circles of files\n```\n```\n")).unwrap();
    let height = |path: &str| architecture.height(&path.split("::").map(str::to_owned).collect::<Vec<_>>());
    assert_eq!(["feed::prelude::a", "repo::a", "feed::a", "other"].map(height), [Some(2), Some(1), Some(0), None]);
}

#[test]
fn module_without_layer_is_found() {
    let files = [("lib.rs", "mod repo; mod other;"), ("repo.rs", ""), ("other.rs", "")];
    assert_eq!(check("layer", &files, ""), ["the module other has no layer in docs/architecture.md"]);
}

const CIRCLE: [(&str, &str); 5] = [
    ("lib.rs", "mod repo;"),
    ("repo/mod.rs", "mod a; mod b; mod c; pub use a::A;"),
    ("repo/a.rs", "use super::b::B; pub struct A(B);"),
    ("repo/b/mod.rs", "mod d; pub struct B; fn f() {}"),
    ("repo/b/d.rs", "fn f(_: crate::repo::A) {}"),
];

#[test]
fn circle_of_file_and_folder_is_found() {
    let files = [&CIRCLE[..], &[("repo/c.rs", "use super::a::A;")]].concat();
    assert_eq!(check("circle", &files, ""), ["circle of files: repo::a repo::b"]);
}

#[test]
fn listed_circle_passes() {
    let files = [&CIRCLE[..], &[("repo/c.rs", "")]].concat();
    assert!(check("listed", &files, "repo::b, repo::a  the handle and its task\n").is_empty());
}

#[test]
fn listed_circle_that_is_broken_is_found() {
    let files = [("lib.rs", "mod repo;"), ("repo.rs", "")];
    assert_eq!(
        check("obsolete", &files, "repo::a, repo::b  the handle and its task\n"),
        ["docs/architecture.md lists a circle that does not exist: repo::a repo::b"]
    );
}

#[test]
fn list_that_is_missing_is_an_error() {
    let error = Architecture::parse(LAYERS).unwrap_err();
    assert_eq!(error, "no fenced list below the heading `## Circles of files`");
}
