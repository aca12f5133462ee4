//! Conversions of objects to leaves and back.

use std::borrow::Cow;

use super::json::RawJson;
use super::path::Path;
use super::value::{self, ValueError};

/// The leaves of a value at a path: one for each scalar, array or envelope. An object without members has no leaves, at
/// any depth. Of equal keys the first wins.
///
/// # Errors
///
/// An empty key, which cannot be a path segment, and a value nested deeper than [`MAX_DEPTH`](value::MAX_DEPTH).
///
/// ```
/// use dust_protocol::{Path, RawJson, flatten};
///
/// let record = RawJson::parse(r#"{"title":"Dust","tags":["a"],"more":{"n":1.50,"none":{}}}"#)?;
/// let leaves = flatten::flatten(&Path::parse("links/dust")?, &record)?;
/// let leaves: Vec<_> = leaves.iter().map(|(path, value)| (path.as_str(), value.as_str())).collect();
/// assert_eq!(leaves[..2], [("links/dust/more/n", "1.50"), ("links/dust/tags", r#"["a"]"#)]);
/// assert_eq!(leaves[2], ("links/dust/title", "\"Dust\""));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn flatten(path: &Path, value: &RawJson) -> Result<Vec<(Path, RawJson)>, ValueError> {
    // A scalar is a leaf as it is: most fields of a record are one.
    if !value.as_str().starts_with(['{', '[']) {
        return Ok(vec![(path.clone(), value.clone())]);
    }
    let mut leaves = Vec::new();
    value::check_depth(value.as_str())?;
    flatten_into(path, value.as_str(), &mut leaves)?;
    Ok(leaves)
}

fn flatten_into(path: &Path, text: &str, leaves: &mut Vec<(Path, RawJson)>) -> Result<(), ValueError> {
    if !text.starts_with('{') {
        leaves.push((path.clone(), RawJson::from_trusted(text)));
        return Ok(());
    }
    let members = value::members(text)?;
    if value::is_envelope_of(&members) {
        leaves.push((path.clone(), RawJson::from_trusted(text)));
        return Ok(());
    }
    for (key, value) in members {
        let child = path.child(&key).map_err(|_| ValueError::EmptyKey(path.to_string()))?;
        flatten_into(&child, value.get(), leaves)?;
    }
    Ok(())
}

/// The number of leaves of a value at a path of `path` bytes, and the bytes of their paths and values together.
/// Fails as [`flatten`] does.
pub fn measure(path: usize, value: &str) -> Result<(usize, usize), ValueError> {
    if value.starts_with('{') {
        value::check_depth(value)?;
    }
    measure_checked(path, value)
}

fn measure_checked(path: usize, text: &str) -> Result<(usize, usize), ValueError> {
    let one = (1, path.saturating_add(text.len()));
    if !text.starts_with('{') {
        return Ok(one);
    }
    let members = value::members(text)?;
    if value::is_envelope_of(&members) {
        return Ok(one);
    }
    let mut sum = (0_usize, 0_usize);
    for (key, value) in members {
        let escaped = key.bytes().filter(|byte| matches!(byte, b'~' | b'/')).count();
        let (leaves, bytes) = measure_checked(path.saturating_add(1 + key.len() + escaped), value.get())?;
        sum = (sum.0.saturating_add(leaves), sum.1.saturating_add(bytes));
    }
    Ok(sum)
}

/// The object that the leaves below a path make together: `depth` is the number of segments of that path. Keys are
/// sorted.
///
/// A leaf wins over the leaves below it, as in a read of its path. Of two leaves with the same path below `depth`,
/// which exist if the case of the path above was ignored, the later one wins.
pub fn assemble(depth: usize, leaves: impl IntoIterator<Item = (Path, RawJson)>) -> RawJson {
    let leaves: Vec<(Path, RawJson)> = leaves.into_iter().collect();
    let mut sorted: Vec<(Vec<Cow<'_, str>>, &RawJson)> =
        leaves.iter().map(|(path, value)| (path.segments().skip(depth).collect(), value)).collect();
    sorted.sort_by(|(left, _), (right, _)| left.cmp(right));

    // One pass without recursion, as a path may be deeper than the stack: the open objects are a slice of the previous
    // leaf.
    let mut out = String::from("{");
    let mut before: &[Cow<'_, str>] = &[];
    for (index, (segments, value)) in sorted.iter().enumerate() {
        let repeated = sorted.get(index + 1).is_some_and(|(next, _)| next == segments);
        let Some((key, _)) = segments.split_last() else { continue };
        if repeated || (!before.is_empty() && segments.starts_with(before)) {
            continue;
        }
        let shared = before.iter().zip(segments).take_while(|(left, right)| left == right).count();
        for _ in shared + 1..before.len() {
            out.push('}');
        }
        if !before.is_empty() {
            out.push(',');
        }
        for segment in &segments[shared..segments.len() - 1] {
            value::push_string(segment, &mut out);
            out.push_str(":{");
        }
        value::push_string(key, &mut out);
        out.push(':');
        out.push_str(value.as_str());
        before = segments;
    }
    for _ in 0..before.len().max(1) {
        out.push('}');
    }
    RawJson::from_trusted(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, Value};

    use super::super::testing::{json, segment};
    use super::*;

    fn path(text: &str) -> Path {
        Path::parse(text).unwrap()
    }

    fn raw(text: &str) -> RawJson {
        RawJson::parse(text).unwrap()
    }

    fn flat(text: &str) -> Vec<(String, String)> {
        let leaves = flatten(&path("p"), &raw(text)).unwrap();
        leaves.iter().map(|(path, value)| (path.to_string(), value.to_string())).collect()
    }

    fn together(depth: usize, leaves: &[(&str, &str)]) -> String {
        assemble(depth, leaves.iter().map(|(at, value)| (path(at), raw(value)))).to_string()
    }

    fn owned(leaves: &[(&str, &str)]) -> Vec<(String, String)> {
        leaves.iter().map(|(path, value)| ((*path).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn object_flattens_to_one_leaf_per_scalar() {
        assert_eq!(
            flat(r#"{"title":"T","n":1,"nested":{"x":true,"y":[1,2]},"nul":null}"#),
            owned(&[
                ("p/n", "1"),
                ("p/nested/x", "true"),
                ("p/nested/y", "[1,2]"),
                ("p/nul", "null"),
                ("p/title", "\"T\"")
            ])
        );
        assert_eq!(flat(r#"{"a":{"b":1},"c":{}}"#), owned(&[("p/a/b", "1")]));
        assert_eq!(flat("{}"), []);
        assert_eq!(flat(r#"{"a":{}}"#), []);
        assert_eq!(flat(r#"{"a":1,"a":2}"#), owned(&[("p/a", "1")]));
        assert_eq!(
            flat(r#"{"a/b":1,"c~d":2,"e.f":3,"g h":4,"*":6}"#),
            owned(&[("p/*", "6"), ("p/a~1b", "1"), ("p/c~0d", "2"), ("p/e.f", "3"), ("p/g h", "4")])
        );
        assert_eq!(flat("[{}]"), owned(&[("p", "[{}]")]));
    }

    #[test]
    fn flattening_keeps_envelopes_and_digits() {
        let envelope = r#"{"_type":"decimal","_typed":"9.90"}"#;
        assert_eq!(flat(envelope), owned(&[("p", envelope)]));
        assert_eq!(flat(&format!(r#"{{"price":{envelope}}}"#)), owned(&[("p/price", envelope)]));
        assert_eq!(
            flat(r#"{"n":123456789012345678901234567890}"#),
            owned(&[("p/n", "123456789012345678901234567890")])
        );
        assert_eq!(flat(r#"{"_scalar":5,"x":1}"#), owned(&[("p/_scalar", "5"), ("p/x", "1")]));
    }

    #[test]
    fn empty_key_and_deep_object_are_refused() {
        let error = flatten(&path("p"), &raw(r#"{"a":{"":1}}"#)).unwrap_err();
        assert_eq!(error, ValueError::EmptyKey("p/a".into()));
        assert_eq!(error.name(), "empty_segment");
        let deep = format!("{}1{}", "{\"a\":".repeat(200_000), "}".repeat(200_000));
        assert_eq!(flatten(&path("p"), &raw(&deep)), Err(ValueError::TooDeep));
    }

    #[test]
    fn leaves_assemble_to_an_object() {
        let leaves = [("r/n", "1"), ("r/nested/x", "true"), ("r/nested/y", "[1,2]"), ("r/title", "\"T\"")];
        assert_eq!(together(1, &leaves), r#"{"n":1,"nested":{"x":true,"y":[1,2]},"title":"T"}"#);
        // The order of rendered paths is not that of segments: `a-b` comes between `a` and `a/b`.
        let leaves = [("r/a-b/x", "1"), ("r/a/b/c", "2"), ("r/a/d", "3"), ("r/a~1b", "4")];
        assert_eq!(together(1, &leaves), r#"{"a":{"b":{"c":2},"d":3},"a-b":{"x":1},"a/b":4}"#);
        assert_eq!(together(1, &[]), "{}");
    }

    #[test]
    fn assembly_prefers_upper_leaf_and_later_leaf() {
        assert_eq!(
            together(1, &[("zz/a", "1"), ("zz/a/b", "2"), ("zz/a/b/c", "3"), ("zz/c", "4")]),
            r#"{"a":1,"c":4}"#
        );
        assert_eq!(together(1, &[("FOO/a", "1"), ("foo/a", "2"), ("foo/b", "3")]), r#"{"a":2,"b":3}"#);
        assert_eq!(together(1, &[("FOO/a/x", "1"), ("foo/a", "2")]), r#"{"a":2}"#);
    }

    #[test]
    fn very_deep_path_is_assembled() {
        let deep = format!("p{}", "/d".repeat(100_000));
        let object = together(1, &[(&deep, "1")]);
        assert_eq!(object.len(), 100_000 * "{\"d\":}".len() + 1);
    }

    /// Removes what flattening loses or keeps whole: empty objects and envelopes.
    fn prune(value: Value) -> Value {
        match value {
            Value::Object(members) => {
                let kept: Map<String, Value> = members
                    .into_iter()
                    .filter(|(key, _)| !key.is_empty())
                    .map(|(key, value)| (key, prune(value)))
                    .filter(|(_, value)| value.as_object().is_none_or(|object| !object.is_empty()))
                    .collect();
                Value::Object(kept)
            }
            other => other,
        }
    }

    proptest! {
        #[test]
        fn objects_come_back(base in prop::collection::vec(segment(), 1..4), value in json()) {
            let value = prune(Value::Object(Map::from_iter([("k".to_owned(), value)])));
            let base = Path::from_segments(&base).unwrap();
            let leaves = flatten(&base, &RawJson::from(&value)).unwrap();
            let bytes = leaves.iter().map(|(path, value)| path.as_str().len() + value.as_str().len()).sum::<usize>();
            let measured = measure(base.as_str().len(), RawJson::from(&value).as_str()).unwrap();
            prop_assert_eq!(measured, (leaves.len(), bytes));
            for (path, _) in &leaves {
                prop_assert!(base.is_ancestor_of(path));
            }
            let back = assemble(base.depth(), leaves);
            prop_assert_eq!(back.to::<Value>().unwrap(), value);
        }

        #[test]
        fn any_leaves_make_valid_json(paths in prop::collection::vec(prop::collection::vec(segment(), 1..4), 0..8)) {
            let leaves = paths.iter().map(|segments| (Path::from_segments(segments).unwrap(), raw("1")));
            prop_assert!(RawJson::parse(assemble(0, leaves).as_str()).is_ok());
        }
    }
}
