//! Compile errors of the derives: one error for each mistake, at the user's token. SeaORM's derive is on the same
//! struct in most cases, so that a cascade of errors would be visible.

#[test]
fn mistakes_have_expected_errors() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}

/// A new case whose expected output has a cascade of errors fails this test.
#[test]
fn expected_output_has_one_error_each() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/ui");
    let mut cases = 0;
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "stderr") {
            let text = std::fs::read_to_string(&path).unwrap();
            let errors = text.lines().filter(|line| line.starts_with("error")).count();
            let name = path.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            match &*name {
                // SeaORM itself refuses the type, at each of its uses.
                _ if name.starts_with("field_hash_map") => {
                    assert_eq!(text.split("\nerror[").filter(|error| is_ours(error)).count(), 1, "{text}");
                }
                // SeaORM itself refuses so long a key, too, once for each of its traits. Ours comes first.
                "key_of_13_parts" => assert!(text.starts_with("error: a primary key of 13 fields"), "{text}"),
                // An entity without the derive has no keys either, which is a second error, at the key.
                "use_get_no_derive" | "use_increment_no_derive" => assert_eq!(errors, 2, "{text}"),
                _ => assert_eq!(errors, 1, "{}:\n{text}", path.display()),
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
