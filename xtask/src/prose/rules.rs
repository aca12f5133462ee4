//! Rules of `docs/style.md` that a program can check.

use super::passage::{Kind, Passage};

/// Columns of a line of Rust, and of Markdown.
pub(crate) const RUST_COLUMNS: usize = 120;
pub(crate) const MARKDOWN_COLUMNS: usize = 160;

/// A line that breaks a rule.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) line: usize,
    pub(crate) rule: Rule,
    /// The words that break it, and advice.
    pub(crate) detail: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rule {
    /// A summary or comment that opens with a clause without a head.
    Headless,
    /// An idiom.
    Idiom,
    /// A line that is too long.
    Columns,
}

impl Rule {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Rule::Headless => "headless",
            Rule::Idiom => "idiom",
            Rule::Columns => "columns",
        }
    }
}

const CLAUSE_OPENERS: [&str; 8] = ["what", "how", "whether", "who", "whom", "whose", "which", "why"];
/// Openers of a clause that may precede a main clause: "When the store is closed, reads fail."
const ADVERBIAL_OPENERS: [&str; 2] = ["where", "when"];
const PREPOSITIONS: [&str; 16] = [
    "about", "after", "against", "at", "before", "behind", "by", "for", "from", "in", "of", "on", "since", "to",
    "until", "with",
];

/// Checks the first line of a doc comment or of a comment.
pub(crate) fn headless(passage: &Passage) -> Option<Finding> {
    if !matches!(passage.kind, Kind::Doc | Kind::Comment) {
        return None;
    }
    let (line, text) = passage.lines.first()?;
    let words = words(std::slice::from_ref(&passage.lines[0]));
    let word = |index: usize| words.get(index).map_or("", |(_, word)| word.as_str());
    let opener = if PREPOSITIONS.contains(&word(0)) { word(1) } else { word(0) };
    let is_clause = CLAUSE_OPENERS.contains(&opener);
    let is_adverbial = ADVERBIAL_OPENERS.contains(&opener);
    let has_main_clause = passage.kind == Kind::Comment && first_sentence(passage).contains(',');
    (is_clause || is_adverbial && !has_main_clause).then(|| Finding {
        line: *line,
        rule: Rule::Headless,
        detail: format!("opens with a clause, not with a noun or a verb: {}", excerpt(text)),
    })
}

/// Finds the phrases of `idioms.txt` outside of code.
pub(crate) fn idioms(passage: &Passage) -> Vec<Finding> {
    let words = words(&passage.lines);
    let mut found = Vec::new();
    for (phrase, advice) in phrases() {
        let phrase: Vec<&str> = phrase.split(' ').collect();
        for window in words.windows(phrase.len()) {
            if window.iter().map(|(_, word)| word.as_str()).eq(phrase.iter().copied()) {
                let detail = format!("\"{}\": {advice}", phrase.join(" "));
                found.push(Finding { line: window[0].0, rule: Rule::Idiom, detail });
            }
        }
    }
    found.sort_by_key(|finding| finding.line);
    found
}

/// Finds lines that are too long. Rows of tables, targets of links and raw strings are excepted: they have no breaks.
pub(crate) fn columns(source: &str, limit: usize) -> Vec<Finding> {
    let is_long = |line: &str| {
        let text = line.trim_start_matches(['/', '!', ' ']);
        line.chars().count() > limit
            && !text.starts_with('|')
            && !line.contains("r#\"")
            && without_links(line).chars().count() > limit
    };
    let long = (1..).zip(source.lines()).filter(|(_, line)| is_long(line));
    long.map(|(number, line)| Finding {
        line: number,
        rule: Rule::Columns,
        detail: format!("{} columns, at most {limit}", line.chars().count()),
    })
    .collect()
}

/// The line without what stands between `](` and `)`, and without addresses.
fn without_links(line: &str) -> String {
    let mut kept = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("](") {
        kept.push_str(before);
        rest = after.split_once(')').map_or("", |(_, rest)| rest);
    }
    kept.push_str(rest);
    let words = kept.split(' ').filter(|word| !word.contains("://"));
    words.collect::<Vec<_>>().join(" ")
}

/// Phrases and what to write instead.
fn phrases() -> impl Iterator<Item = (&'static str, &'static str)> {
    let lines = include_str!("idioms.txt").lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.split_once(" => "))
}

fn first_sentence(passage: &Passage) -> String {
    let text: Vec<&str> = passage.lines.iter().map(|(_, line)| line.as_str()).collect();
    let text = text.join(" ");
    text.split(". ").next().unwrap_or_default().to_owned()
}

/// Words in lower case and marks, each with its line. Code between backticks and fences is one mark.
fn words(lines: &[(usize, String)]) -> Vec<(usize, String)> {
    let mut words: Vec<(usize, String)> = Vec::new();
    let (mut in_code, mut fenced) = (false, false);
    for (number, line) in lines {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
            continue;
        }
        let mut in_word = false;
        for character in line.chars().filter(|_| !fenced) {
            let is_letter = character.is_alphabetic() || character == '\'';
            if character == '`' {
                in_code = !in_code;
            }
            match words.last_mut().filter(|_| in_word && is_letter && !in_code) {
                Some((_, word)) => word.extend(character.to_lowercase()),
                None if in_code && character != '`' || character == ' ' => {}
                None => words.push((*number, character.to_lowercase().collect())),
            }
            in_word = is_letter && !in_code;
        }
    }
    words
}

fn excerpt(text: &str) -> String {
    let short: String = text.chars().take(60).collect();
    if short.len() < text.len() { format!("{short}…") } else { short }
}

#[cfg(test)]
mod tests;
