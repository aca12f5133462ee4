//! Checks of seeds and imports, so that a store keeps all of their entries.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::json::RawJson;
use super::path::{Path, PathError};
use super::value::{self, ValueError};

/// The reason why an entry is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SeedError {
    /// Two paths, or parts of them, differ only in ASCII case.
    #[error(
        "`{path}` and `{other}` differ only in case: what removes one in a store removes the other; rename one of them"
    )]
    DiffersInCase {
        /// The later path, down to the segment that differs.
        path: String,
        /// The earlier path.
        other: String,
    },
    /// A leaf that occurs twice.
    #[error("`{0}` comes twice; leave one of them out")]
    Twice(String),
    /// An empty object, of which a store keeps nothing.
    #[error(
        "`{0}` is an empty object, of which a store keeps nothing; leave it out, or write [\"$json\",{{}}] where a \
         field of an entity is to hold an empty object"
    )]
    EmptyObject(String),
    /// An empty key, which cannot be a segment of a path.
    #[error(
        "`{0}` has an empty key, which is no segment of a path (empty_segment); rename the key, or write \
         [\"$json\",{{\"\":..}}] where a field of an entity is to hold the object"
    )]
    EmptyKey(String),
    /// A value that every store refuses.
    #[error("`{path}`: {error}")]
    Value {
        /// Its path.
        path: String,
        /// The reason.
        error: ValueError,
    },
}

/// Checks the entries of a seed or an import one after another.
///
/// ```
/// use dust_protocol::{Path, RawJson, SeedCheck};
///
/// let mut check = SeedCheck::default();
/// check.entry(&Path::parse("links/dust")?, &RawJson::parse(r#"{"title":"Dust"}"#)?)?;
/// let error = check.entry(&Path::parse("Links/rust")?, &RawJson::parse("1")?).unwrap_err();
/// assert!(error.to_string().contains("`Links` and `links` differ only in case"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Default)]
pub struct SeedCheck {
    /// The paths so far and their ancestors, by their lower-case form.
    cases: HashMap<String, Box<str>>,
    leaves: HashSet<Box<str>>,
}

impl SeedCheck {
    /// Adds a leaf that the store holds already. An entry may replace it, but not in another case.
    pub fn existing(&mut self, path: &Path) {
        for prefix in prefixes(path) {
            self.cases.entry(prefix.to_ascii_lowercase()).or_insert_with(|| prefix.into());
        }
    }

    /// Checks an entry against all earlier ones.
    ///
    /// # Errors
    ///
    /// The reason for the refusal, which names the path of the leaf or object.
    pub fn entry(&mut self, path: &Path, value: &RawJson) -> Result<(), SeedError> {
        let fails = |error| SeedError::Value { path: path.to_string(), error };
        value::check_depth(value.as_str()).map_err(fails)?;
        self.value(path, value.as_str())?;
        value::normalise(value).map(drop).map_err(fails)
    }

    fn value(&mut self, path: &Path, text: &str) -> Result<(), SeedError> {
        let fails = |error: ValueError| SeedError::Value { path: path.as_str().escape_debug().to_string(), error };
        let loses = |reason: String| Err(fails(ValueError::NotJson(reason)));
        if path.as_str().contains('\0') {
            return loses("a server loses leaves whose path has a NUL character; rename the key".to_owned());
        }
        let is_object = text.starts_with('{');
        let known = if is_object { value::members(text).map_err(fails)? } else { BTreeMap::new() };
        let is_envelope = value::is_envelope_of(&known);
        if !is_object || is_envelope {
            if let Some(key) = repeated_key(text) {
                return loses(format!("the key {key:?} comes twice"));
            }
            let beside = known.keys().find(|key| !matches!(key.as_ref(), "_type" | "_typed"));
            return match beside.filter(|_| known.contains_key("_typed")) {
                Some(key) => loses(format!("a store keeps nothing of {key:?} beside `_typed`; leave it out")),
                None => self.leaf(path),
            };
        }
        if known.contains_key("_scalar") {
            return loses(
                "a server takes an object with the key `_scalar` for that member; rename the key, or write \
                 [\"$json\",{..}] where a field of an entity is to hold the object"
                    .to_owned(),
            );
        }
        let members = members(text).map_err(|error| fails(ValueError::NotJson(error.to_string())))?;
        self.cased(path)?;
        if members.is_empty() {
            return Err(SeedError::EmptyObject(path.to_string()));
        }
        for (key, value) in members {
            let child = path.child(&key).map_err(|error| match error {
                PathError::EmptySegment => SeedError::EmptyKey(path.to_string()),
                other => SeedError::Value { path: path.to_string(), error: ValueError::NotJson(other.to_string()) },
            })?;
            self.value(&child, value.get())?;
        }
        Ok(())
    }

    fn leaf(&mut self, path: &Path) -> Result<(), SeedError> {
        self.cased(path)?;
        if self.leaves.insert(path.as_str().into()) { Ok(()) } else { Err(SeedError::Twice(path.to_string())) }
    }

    /// Refuses a path that is known in another case, itself or an ancestor.
    fn cased(&mut self, path: &Path) -> Result<(), SeedError> {
        for prefix in prefixes(path) {
            match self.cases.get(&prefix.to_ascii_lowercase()) {
                Some(known) if **known == *prefix => {}
                Some(other) => {
                    return Err(SeedError::DiffersInCase { path: prefix.to_owned(), other: other.to_string() });
                }
                None => {
                    self.cases.insert(prefix.to_ascii_lowercase(), prefix.into());
                }
            }
        }
        Ok(())
    }
}

/// A path and its ancestors, from the top.
fn prefixes(path: &Path) -> impl Iterator<Item = &str> {
    let text = path.as_str();
    text.match_indices('/').map(|(at, _)| at).chain([text.len()]).map(|end| &text[..end])
}

/// The members of an object in the order of the text, equal keys included.
fn members(object: &str) -> Result<Vec<(String, &RawValue)>, serde_json::Error> {
    struct Members<'a>(Vec<(String, &'a RawValue)>);

    impl<'de> Deserialize<'de> for Members<'de> {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Members<'de>, D::Error> {
            struct Pairs;

            impl<'de> Visitor<'de> for Pairs {
                type Value = Members<'de>;

                fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str("an object")
                }

                fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                    let mut members = Vec::new();
                    while let Some(member) = map.next_entry()? {
                        members.push(member);
                    }
                    Ok(Members(members))
                }
            }

            deserializer.deserialize_map(Pairs)
        }
    }

    serde_json::from_str::<Members<'_>>(object).map(|Members(members)| members)
}

/// A key that comes twice in one object, at any depth. Text that is not JSON is refused elsewhere.
fn repeated_key(text: &str) -> Option<String> {
    match text.as_bytes().first() {
        Some(b'[') => value::items(text).ok()?.into_iter().find_map(|item| repeated_key(item.get())),
        Some(b'{') => {
            let members = members(text).ok()?;
            let mut seen = HashSet::new();
            let repeated = members.iter().find(|(key, _)| !seen.insert(key.as_str())).map(|(key, _)| key.clone());
            repeated.or_else(|| members.iter().find_map(|(_, value)| repeated_key(value.get())))
        }
        _ => None,
    }
}

/// An entry of a seed, with its place in the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeedEntry {
    /// The path as it is written.
    pub path: String,
    /// Its value.
    pub value: RawJson,
    /// The offset of the value in the text, in bytes.
    pub offset: usize,
}

/// The entries of a seed that is an object of paths and values, in the order of the text and with equal paths.
///
/// # Errors
///
/// The error of `serde_json` if the text is not an object, with line and column.
pub fn seed_entries(text: &str) -> Result<Vec<SeedEntry>, serde_json::Error> {
    let entry = |(path, value): (String, &RawValue)| {
        let offset = (value.get().as_ptr() as usize).saturating_sub(text.as_ptr() as usize);
        SeedEntry { path, value: RawJson::from_trusted(value.get()), offset }
    };
    Ok(members(text)?.into_iter().map(entry).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(entries: &[(&str, &str)]) -> Result<(), String> {
        let mut check = SeedCheck::default();
        check.existing(&Path::parse("Held/a").unwrap());
        for (path, value) in entries {
            let (path, value) = (Path::parse(path).unwrap(), RawJson::parse(value).unwrap());
            check.entry(&path, &value).map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    #[test]
    fn entries_without_loss_pass() {
        let entries = [
            ("links/dust", r#"{"title":"Dust","tags":["",{}],"price":{"_type":"decimal","_typed":"1.20"}}"#),
            ("links/dust/more", "[{}]"),
            ("links", "1"),
            ("Held/a", "2"),
            ("empty", r#"["$json",{}]"#),
        ];
        assert_eq!(check(&entries), Ok(()));
    }

    #[test]
    fn lossy_entry_is_refused_with_its_path() {
        for (entries, path, reason) in [
            (&[("a", "{}")][..], "`a`", "empty object"),
            (&[("a", r#"{"b":{"c":{}}}"#)], "`a/b/c`", "empty object"),
            (&[("a", r#"{"b":{"":1}}"#)], "`a/b`", "empty key"),
            (&[("a", r#"{"b":1,"b":2}"#)], "`a/b`", "twice"),
            (&[("a/b", "1"), ("a", r#"{"b":2}"#)], "`a/b`", "twice"),
            (&[("a", "1"), ("A", "2")], "`A` and `a`", "differ only in case"),
            (&[("links/a", "1"), ("Links/b", "2")], "`Links` and `links`", "differ only in case"),
            (&[("a", r#"{"t":1,"T":2}"#)], "`a/T` and `a/t`", "differ only in case"),
            (&[("held/b", "1")], "`held` and `Held`", "differ only in case"),
            (&[("a", r#"{"_type":"decimal","_typed":"x"}"#)], "`a`", "decimal"),
        ] {
            let error = check(entries).unwrap_err();
            assert!(error.contains(path) && error.contains(reason), "{entries:?}: {error}");
        }
    }

    #[test]
    fn entry_has_its_offset_in_the_text() {
        let text = "{\n \"a\": 1, \"a\" :{\"b\":2}}";
        let entries = seed_entries(text).unwrap();
        let seen: Vec<_> = entries.iter().map(|entry| (entry.path.as_str(), &text[entry.offset..])).collect();
        assert_eq!(seen, [("a", "1, \"a\" :{\"b\":2}}"), ("a", "{\"b\":2}}")]);
    }
}
