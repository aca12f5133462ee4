//! What the derives refuse, and in which words: one error each, at the user's token. SeaORM's derive stands beside ours
//! in most cases, so a cascade would show.

#[test]
fn refuses_with_one_error() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}

/// The promise of this file: a new case that shows a cascade is no accepted wording.
#[test]
fn expected_output_holds_one_error_each() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/ui");
    let mut cases = 0;
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "stderr") {
            let text = std::fs::read_to_string(&path).unwrap();
            let errors = text.lines().filter(|line| line.starts_with("error")).count();
            match path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("field_hash_map")) {
                // SeaORM itself refuses the type, at each of its uses. The compiler adds the bound of `ActiveValue` to
                // our error, once.
                true => assert_eq!(text.split("\nerror[").filter(|error| is_ours(error)).count(), 2, "{text}"),
                false => assert_eq!(errors, 1, "{}:\n{text}", path.display()),
            }
            assert!(!text.contains("warning"), "{}:\n{text}", path.display());
            cases += 1;
        }
    }
    assert!(cases > 40, "only {cases} cases were found");
}

fn is_ours(error: &str) -> bool {
    error.contains("the field type `") || error.contains("derive macro `DeriveDustEntity`")
}
