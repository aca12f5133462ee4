use super::super::passage::{of_markdown, of_rust};
use super::*;

fn is_headless(source: &str) -> bool {
    of_rust(source).iter().any(|passage| headless(passage).is_some())
}

fn idioms_of(source: &str) -> Vec<usize> {
    of_rust(source).iter().flat_map(idioms).map(|finding| finding.line).collect()
}

#[test]
fn headless_summaries_are_found() {
    for opener in ["What", "How long", "Whether", "Who", "Whom", "Whose", "Where", "Which", "Why", "When"] {
        assert!(is_headless(&format!("/// {opener} it is.")), "{opener}");
        assert!(is_headless(&format!("//! {opener} it is.")), "{opener}");
        assert!(is_headless(&format!("    // {opener} it is.")), "{opener}");
    }
    assert!(is_headless("/// What."));
    assert!(is_headless("/// Of which store."));
    assert!(is_headless("let a = 1; // how many"));
}

#[test]
fn nouns_and_verbs_are_no_clauses() {
    for line in ["The store to act on.", "Reads a page.", "Whole numbers only.", "Whatsapp.", "Of the store."] {
        assert!(!is_headless(&format!("/// {line}")), "{line}");
    }
}

#[test]
fn comment_with_a_main_clause_may_open_with_when() {
    assert!(!is_headless("// When the store is closed, reads fail."));
    assert!(!is_headless("// Where two writers\n// meet, one wins."));
    assert!(is_headless("// When the store is closed. Then, reads fail."));
    assert!(is_headless("/// When the store is closed, reads fail."));
}

#[test]
fn only_the_first_line_is_a_summary() {
    assert!(!is_headless("/// A page.\n/// What it holds is sorted."));
    assert!(!is_headless("/// A page.\n///\n/// How it is read."));
}

#[test]
fn idioms_are_found_in_comments_literals_and_markdown() {
    assert_eq!(idioms_of("/// Waits.\n/// It waits for ever.\n"), [2]);
    assert_eq!(idioms_of("// It waits for\n// ever."), [1]);
    assert_eq!(idioms_of("let a = \"a path, Or  else nothing\";"), [1]);
    let paragraphs = of_markdown("# One\n\nAsked in vain.\n");
    assert_eq!(paragraphs.iter().flat_map(idioms).map(|finding| finding.line).collect::<Vec<_>>(), [3]);
}

#[test]
fn idioms_in_code_and_across_marks_are_none() {
    for source in
        ["/// `or else`", "/// Begins `or\n/// else` ends.", "/// This or, else that.", "// or_else", "// Forever."]
    {
        assert_eq!(idioms_of(source), [0; 0], "{source}");
    }
    assert_eq!(idioms_of("/// Waits.\n/// ```\n/// or else\n/// ```\n"), [0; 0]);
}

#[test]
fn every_phrase_is_in_the_form_that_is_searched() {
    assert!(phrases().count() > 10);
    for (phrase, advice) in phrases() {
        assert_eq!(idioms_of(&format!("// It is {phrase} it.")).first(), Some(&1), "{phrase}");
        assert!(!advice.is_empty());
    }
}

#[test]
fn long_lines_are_found_by_characters() {
    let line = "ä".repeat(121);
    assert_eq!(columns(&line, 120).len(), 1);
    assert_eq!(columns(&"ä".repeat(120), 120), []);
}

#[test]
fn tables_links_and_raw_strings_may_be_long() {
    let word = "a".repeat(119);
    assert_eq!(columns(&format!("| {word} |"), 120), []);
    assert_eq!(columns(&format!("//! | {word} |"), 120), []);
    assert_eq!(columns(&format!("See [it]({word})."), 120), []);
    assert_eq!(columns(&format!("// See https://{word}"), 120), []);
    assert_eq!(columns(&format!("let a = r#\"{word}\"#;"), 120), []);
    assert_eq!(columns(&format!("See [it](there). {word}"), 120).len(), 1);
    assert_eq!(columns(&format!("let a = \"{word}\";"), 120).len(), 1);
}
