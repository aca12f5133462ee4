//! Passages of prose in a source file: comments, string literals, paragraphs.

/// A run of lines that one reader reads at once.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Passage {
    pub(crate) kind: Kind,
    /// The lines with their numbers, which begin at 1. Comment markers are removed.
    pub(crate) lines: Vec<(usize, String)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `//!` or `///`; the first line is a summary.
    Doc,
    /// `//` or `/* */`.
    Comment,
    /// A string literal.
    Literal,
    /// A paragraph, a list item, a heading or a table row of a Markdown file.
    Paragraph,
}

/// Passages of a Rust file, in order.
pub(crate) fn of_rust(source: &str) -> Vec<Passage> {
    let mut scanner = Scanner { source, at: 0, line: 1, passages: Vec::new(), open: None };
    while scanner.at < source.len() {
        scanner.step();
    }
    scanner.passages
}

/// Passages of a Markdown file, in order: one for each run of lines between empty ones. Fenced code is left out.
pub(crate) fn of_markdown(source: &str) -> Vec<Passage> {
    let mut passages: Vec<Passage> = Vec::new();
    let mut fenced = false;
    let mut continues = false;
    for (number, line) in (1..).zip(source.lines()) {
        let is_fence = line.trim_start().starts_with("```");
        fenced ^= is_fence;
        if is_fence || fenced || line.trim().is_empty() {
            continues = false;
            continue;
        }
        let text = (number, line.to_owned());
        match passages.last_mut().filter(|_| continues) {
            Some(passage) => passage.lines.push(text),
            None => passages.push(Passage { kind: Kind::Paragraph, lines: vec![text] }),
        }
        continues = true;
    }
    passages
}

struct Scanner<'a> {
    source: &'a str,
    /// The offset of the next byte, always at the beginning of a character.
    at: usize,
    line: usize,
    passages: Vec<Passage>,
    /// The marker of the last passage, if it is a comment on lines of its own, and its last line.
    open: Option<(&'static str, usize)>,
}

impl<'a> Scanner<'a> {
    fn rest(&self) -> &'a str {
        &self.source[self.at..]
    }

    /// Moves over one token: a comment, a literal, or one character of anything else.
    fn step(&mut self) {
        let rest = self.rest();
        if rest.starts_with("//") {
            self.line_comment();
        } else if rest.starts_with("/*") {
            self.block_comment();
        } else if let Some(hashes) = self.raw_string() {
            let close = format!("\"{}", "#".repeat(hashes));
            let open = rest.find('"').map_or(rest.len(), |quote| quote + 1);
            let length = rest[open..].find(&close).map_or(rest.len() - open, |end| end + close.len());
            self.literal(open + length);
        } else if let Some(inner) = rest.strip_prefix('"') {
            self.literal(1 + quoted(inner, '"'));
        } else if let Some(inner) = rest.strip_prefix('\'') {
            let mut following = inner.chars();
            let (first, second) = (following.next(), following.next());
            let is_character = first == Some('\\') || second == Some('\'');
            self.advance(if is_character { 1 + quoted(inner, '\'') } else { 1 });
        } else {
            self.advance(rest.chars().next().map_or(1, char::len_utf8));
        }
    }

    /// Moves the offset by a number of bytes.
    fn advance(&mut self, bytes: usize) {
        let end = (self.at + bytes).min(self.source.len());
        self.line += self.source[self.at..end].matches('\n').count();
        self.at = end;
    }

    /// The number of `#` of the raw string that begins here, if one does.
    fn raw_string(&self) -> Option<usize> {
        let after = self.rest().strip_prefix('r')?;
        let before = self.source[..self.at].trim_end_matches(['b', 'c']);
        let in_word = before.ends_with(|last: char| last.is_alphanumeric() || last == '_');
        let hashes = after.len() - after.trim_start_matches('#').len();
        (!in_word && after[hashes..].starts_with('"')).then_some(hashes)
    }

    fn line_comment(&mut self) {
        let text = self.rest().split('\n').next().unwrap_or_default();
        let (marker, kind) = if text.starts_with("//!") {
            ("//!", Kind::Doc)
        } else if text.starts_with("///") && !text.starts_with("////") {
            ("///", Kind::Doc)
        } else {
            ("//", Kind::Comment)
        };
        let content = text[marker.len()..].trim_matches('/').trim().to_owned();
        let own_line = self.source[..self.at].rsplit('\n').next().is_some_and(|before| before.trim().is_empty());
        let continues = own_line && self.open == Some((marker, self.line - 1));
        match self.passages.last_mut().filter(|_| continues) {
            Some(passage) => passage.lines.push((self.line, content)),
            None => self.passages.push(Passage { kind, lines: vec![(self.line, content)] }),
        }
        self.open = own_line.then_some((marker, self.line));
        self.advance(text.len());
    }

    /// A comment between `/*` and the `*/` that belongs to it.
    fn block_comment(&mut self) {
        let rest = self.rest();
        let (mut depth, mut length) = (1, 2);
        while depth > 0 && length < rest.len() {
            let inner = &rest[length..];
            let (change, bytes) = if inner.starts_with("/*") {
                (1, 2)
            } else if inner.starts_with("*/") {
                (-1, 2)
            } else {
                (0, inner.chars().next().map_or(1, char::len_utf8))
            };
            depth += change;
            length += bytes;
        }
        self.push(Kind::Comment, length);
    }

    fn literal(&mut self, bytes: usize) {
        self.push(Kind::Literal, bytes);
    }

    /// Makes a passage of the next bytes.
    fn push(&mut self, kind: Kind, bytes: usize) {
        let text = &self.rest()[..bytes.min(self.rest().len())];
        let lines = (self.line..).zip(text.lines().map(|line| line.trim_matches(['/', '*', ' ', '"']).to_owned()));
        self.passages.push(Passage { kind, lines: lines.collect() });
        self.open = None;
        self.advance(bytes);
    }
}

/// The length of a literal up to and with its closing quote, without the opening one.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, character) in text.char_indices() {
        if escaped {
            escaped = false;
        } else if character == '\\' {
            escaped = true;
        } else if character == quote {
            return at + quote.len_utf8();
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(source: &str) -> Vec<(Kind, Vec<(usize, String)>)> {
        of_rust(source).into_iter().map(|passage| (passage.kind, passage.lines)).collect()
    }

    fn lines(lines: &[(usize, &str)]) -> Vec<(usize, String)> {
        lines.iter().map(|(number, text)| (*number, (*text).to_owned())).collect()
    }

    #[test]
    fn adjacent_comment_lines_make_one_passage() {
        let source = "/// One.\n/// Two.\nfn f() {}\n/// Three.\n// Four.\n//! Five.";
        let expected = [
            (Kind::Doc, lines(&[(1, "One."), (2, "Two.")])),
            (Kind::Doc, lines(&[(4, "Three.")])),
            (Kind::Comment, lines(&[(5, "Four.")])),
            (Kind::Doc, lines(&[(6, "Five.")])),
        ];
        assert_eq!(shown(source), expected);
    }

    #[test]
    fn comments_after_code_stay_apart() {
        let source = "let a = 1; // One.\n// Two.\n";
        assert_eq!(shown(source), [(Kind::Comment, lines(&[(1, "One.")])), (Kind::Comment, lines(&[(2, "Two.")]))]);
    }

    #[test]
    fn comment_markers_in_literals_are_text() {
        let source = "let a = \"no // \\\" comment\"; let b = r#\"no \" // comment\"#; // One.";
        let kinds: Vec<_> = of_rust(source).iter().map(|passage| passage.kind).collect();
        assert_eq!(kinds, [Kind::Literal, Kind::Literal, Kind::Comment]);
    }

    #[test]
    fn quotes_in_characters_and_lifetimes_open_no_string() {
        let source = "fn f<'a>(a: &'a str) { g('\"', '\\'', b'\"', 'ä'); } // One.\n";
        assert_eq!(shown(source), [(Kind::Comment, lines(&[(1, "One.")]))]);
    }

    #[test]
    fn identifier_that_ends_in_r_opens_no_raw_string() {
        let source = "concat!(r\"a\\\", for\"b // c\")";
        let kinds: Vec<_> = of_rust(source).iter().map(|passage| passage.kind).collect();
        assert_eq!(kinds, [Kind::Literal, Kind::Literal]);
    }

    #[test]
    fn nested_block_comment_ends_at_its_own_mark() {
        let source = "/* One /* two */\nthree */ \"four\"";
        assert_eq!(
            shown(source),
            [(Kind::Comment, lines(&[(1, "One /* two"), (2, "three")])), (Kind::Literal, lines(&[(2, "four")])),]
        );
    }

    #[test]
    fn markdown_leaves_out_fenced_code() {
        let source = "One\ntwo\n\n```rust\n// three\n```\nfour\n";
        let passages = of_markdown(source);
        let lines: Vec<_> = passages.iter().flat_map(|passage| &passage.lines).map(|(number, _)| *number).collect();
        assert_eq!((passages.len(), lines), (2, vec![1, 2, 7]));
    }

    #[test]
    fn unfinished_source_ends_the_scan() {
        for source in ["\"open", "r#\"open", "/* open /*", "'", "'\\", "//", "r#", "/*"] {
            of_rust(source);
        }
    }
}
