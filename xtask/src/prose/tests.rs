use super::*;

/// A repository in a folder of its own that is removed with this value.
struct Repository(PathBuf);

impl Repository {
    fn new(name: &str, files: &[(&str, &str)]) -> Self {
        let root = std::env::temp_dir().join(format!("xtask-{name}-{}", std::process::id()));
        for (path, text) in files {
            let file = root.join(path);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
        Self(root)
    }
}

impl Drop for Repository {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn finding_in_a_finished_folder_fails_the_check() {
    let files = [("xtask/finished.txt", "# Paths.\na/src\n"), ("a/src/lib.rs", "/// What it is.\n")];
    let repository = Repository::new("finished", &files);
    assert_eq!(check(&repository.0), Ok(false));
}

#[test]
fn finding_elsewhere_is_only_counted() {
    let files = [
        ("xtask/finished.txt", "a/src\n"),
        ("a/src/lib.rs", "/// A page.\n"),
        ("a/srcs/lib.rs", "/// What it is.\n"),
        ("a/src/target/lib.rs", "/// What it is.\n"),
        ("a/src/.hidden/lib.rs", "/// What it is.\n"),
    ];
    let repository = Repository::new("elsewhere", &files);
    assert_eq!(check(&repository.0), Ok(true));
    assert_eq!(show(&repository.0, &["a/srcs"]), Ok(false));
    assert_eq!(show(&repository.0, &["a/src"]), Ok(true));
}

#[test]
fn finished_path_that_does_not_exist_is_an_error() {
    let repository = Repository::new("missing", &[("xtask/finished.txt", "a/src\n")]);
    assert!(check(&repository.0).unwrap_err().contains("a/src"));
}

#[test]
fn findings_are_sorted_by_line_and_named() {
    let source = format!("/// What it is.\n{}\n// In vain.\n", "a".repeat(121));
    let found: Vec<_> = findings("a.rs", &source).iter().map(|finding| (finding.line, finding.rule)).collect();
    assert_eq!(found, [(1, Rule::Headless), (2, Rule::Columns), (3, Rule::Idiom)]);
}

#[test]
fn literals_of_tests_are_data() {
    let source = "let a = \"in vain\";";
    assert_eq!(findings("a/src/lib.rs", source).len(), 1);
    assert_eq!(findings("a/src/lib/tests.rs", source), []);
    assert_eq!(findings("tests/a/src/lib.rs", source), []);
}

#[test]
fn folder_of_a_file_is_a_crate_and_its_folder() {
    assert_eq!(folder("a/src/b/c.rs"), "a/src");
    assert_eq!(folder("a/b.md"), "a");
    assert_eq!(folder("b.md"), ".");
}
