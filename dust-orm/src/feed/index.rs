//! An index from an op to the patterns that it may concern.

use std::collections::HashMap;

use dust_protocol::Pattern;
use dust_protocol::pattern::Token;

use super::affected_paths::AffectedPaths;

/// Maximum number of segments of a pattern that the index compares. Entities have a prefix of one or two segments; the
/// pattern itself compares deeper ones.
const DEPTH: usize = 8;

/// A tree over the first segments of patterns, in lower case. It finds candidates: every pattern that meets affected
/// paths, and perhaps some that differ from it in case or below the compared depth.
#[derive(Debug, Default)]
pub(super) struct Index {
    root: Node,
}

#[derive(Debug, Default)]
struct Node {
    literal: HashMap<Box<str>, Node>,
    one: Option<Box<Node>>,
    /// Patterns that end here.
    here: Vec<u64>,
    /// Patterns that match something below: they continue with `**`, or deeper than the index.
    below: Vec<u64>,
}

impl Index {
    pub(super) fn insert(&mut self, pattern: &Pattern, id: u64) {
        let mut node = &mut self.root;
        for (depth, token) in pattern.tokens().iter().enumerate() {
            node = match token {
                Token::Literal(text) if depth < DEPTH => {
                    node.literal.entry(text.to_ascii_lowercase().into()).or_default()
                }
                Token::One if depth < DEPTH => node.one.get_or_insert_default(),
                _ => return node.below.push(id),
            };
        }
        node.here.push(id);
    }

    pub(super) fn remove(&mut self, pattern: &Pattern, id: u64) {
        self.root.remove(&pattern.tokens()[..pattern.tokens().len().min(DEPTH + 1)], 0, id);
    }

    /// Adds the candidates for affected paths, each once, and returns the number of nodes that it has looked at.
    pub(super) fn candidates(&self, affected: &AffectedPaths<'_>, found: &mut Vec<u64>) -> usize {
        let mut looked_at = 0;
        let mut nodes = vec![&self.root];
        for segment in affected.path.segments() {
            looked_at += nodes.len();
            let segment = segment.to_ascii_lowercase();
            let mut next = Vec::new();
            for node in nodes {
                found.extend(&node.below);
                next.extend(node.literal.get(segment.as_str()));
                next.extend(node.one.as_deref());
            }
            nodes = next;
            if nodes.is_empty() {
                return looked_at;
            }
        }
        // The nodes at the end of the path. Their descendants are below that path.
        while let Some(node) = nodes.pop() {
            looked_at += 1;
            found.extend(&node.here);
            if affected.below {
                found.extend(&node.below);
                nodes.extend(node.literal.values());
                nodes.extend(node.one.as_deref());
            }
        }
        looked_at
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.root.is_empty()
    }
}

impl Node {
    /// Removes a pattern and the nodes that nothing needs any more. Recursion ends at the depth of the index.
    fn remove(&mut self, tokens: &[Token], depth: usize, id: u64) {
        match tokens.split_first() {
            None => self.here.retain(|other| *other != id),
            Some((Token::Literal(text), rest)) if depth < DEPTH => {
                let text = text.to_ascii_lowercase();
                if let Some(node) = self.literal.get_mut(text.as_str()) {
                    node.remove(rest, depth + 1, id);
                    if node.is_empty() {
                        self.literal.remove(text.as_str());
                    }
                }
            }
            Some((Token::One, rest)) if depth < DEPTH => {
                if let Some(node) = &mut self.one {
                    node.remove(rest, depth + 1, id);
                    if node.is_empty() {
                        self.one = None;
                    }
                }
            }
            Some(_) => self.below.retain(|other| *other != id),
        }
    }

    fn is_empty(&self) -> bool {
        self.literal.is_empty() && self.one.is_none() && self.here.is_empty() && self.below.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use dust_protocol::testing::near_path;
    use proptest::prelude::*;

    use super::*;

    fn pattern() -> impl Strategy<Value = Pattern> {
        let piece = prop::sample::select(vec!["a", "A", "b", "aB", "a-1", "é", "*", "\\*", "x/y"]);
        let many = prop::bool::ANY;
        (prop::collection::vec(piece, 0..12), many).prop_filter_map("empty", |(pieces, many)| {
            let mut pieces: Vec<&str> = pieces.into_iter().flat_map(|piece| piece.split('/')).collect();
            pieces.extend(many.then_some("**"));
            Pattern::parse(&pieces.join("/")).ok()
        })
    }

    /// Short patterns, which random paths match, and some that are deeper than the index.
    fn patterns() -> impl Strategy<Value = Vec<Pattern>> {
        let short = pattern().prop_filter("short", |parsed| parsed.tokens().len() <= 4);
        prop::collection::vec(prop_oneof![4 => short, 1 => pattern()], 0..12)
    }

    proptest! {
        #[test]
        fn finds_what_trying_every_pattern_finds(
            patterns in patterns(),
            gone in any::<u16>(),
            path in prop_oneof![near_path(), pattern().prop_map(|parsed| parsed.as_str().parse().unwrap())],
            below in any::<bool>(),
        ) {
            let mut index = Index::default();
            for (id, pattern) in (0..).zip(&patterns) {
                index.insert(pattern, id);
            }
            let kept = |id: u64| gone >> id & 1 == 0;
            for (id, pattern) in (0..).zip(&patterns).filter(|(id, _)| !kept(*id)) {
                index.remove(pattern, id);
            }
            let affected = AffectedPaths { path: Cow::Owned(path), below };
            let mut found = Vec::new();
            index.candidates(&affected, &mut found);
            found.sort_unstable();
            prop_assert!(found.is_sorted_by(|left, right| left < right), "{found:?} twice");
            found.retain(|id| affected.meets(&patterns[*id as usize]));
            let naive: Vec<u64> =
                (0..).zip(&patterns).filter(|(id, pattern)| kept(*id) && affected.meets(pattern))
                    .map(|(id, _)| id).collect();
            prop_assert_eq!(found, naive);

            for (id, pattern) in (0..).zip(&patterns) {
                index.remove(pattern, id);
            }
            prop_assert!(index.is_empty());
        }
    }

    #[test]
    fn a_pattern_as_deep_as_it_likes_is_dropped_without_recursion() {
        let deep: Pattern = vec!["a"; 100_000].join("/").parse().unwrap();
        let mut index = Index::default();
        index.insert(&deep, 1);
        let mut found = Vec::new();
        index.candidates(&AffectedPaths { path: Cow::Owned(deep.as_str().parse().unwrap()), below: false }, &mut found);
        assert_eq!(found, [1]);
        index.remove(&deep, 1);
        assert!(index.is_empty());
    }
}
