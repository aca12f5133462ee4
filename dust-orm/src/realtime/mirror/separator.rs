//! The separators that determine the block of a path.

use std::cmp::Ordering;

/// Maximum length of a separator that is stored in place: a search among many then follows no pointers.
const SHORT: usize = 30;

/// A value greater than every path before it, and not greater than the paths from it on.
#[derive(Clone, Debug)]
pub(super) enum Separator {
    Short { len: u8, bytes: [u8; SHORT] },
    Long(Box<[u8]>),
}

impl Separator {
    /// The separator before every path.
    pub(super) const FIRST: Separator = Separator::Short { len: 0, bytes: [0; SHORT] };

    /// The shortest separator between a path and the next one. It may end inside a character.
    pub(super) fn between(left: &str, right: &str) -> Separator {
        let (left, right) = (left.as_bytes(), right.as_bytes());
        let shared = left.iter().zip(right).take_while(|(left, right)| left == right).count();
        Separator::new(right.get(..=shared).unwrap_or(right))
    }

    /// The separator for the search of a path.
    pub(super) fn at(path: &str) -> Separator {
        Separator::new(path.as_bytes())
    }

    /// The separator for the search of the leaves below a path.
    pub(super) fn below(path: &str) -> Separator {
        match Separator::new(path.as_bytes()) {
            Separator::Short { len, mut bytes } if usize::from(len) < SHORT => {
                bytes[path.len()] = b'/';
                Separator::Short { len: len + 1, bytes }
            }
            _ => Separator::new(&[path.as_bytes(), b"/"].concat()),
        }
    }

    fn new(text: &[u8]) -> Separator {
        match u8::try_from(text.len()) {
            Ok(len) if text.len() <= SHORT => {
                let mut bytes = [0; SHORT];
                bytes[..text.len()].copy_from_slice(text);
                Separator::Short { len, bytes }
            }
            _ => Separator::Long(text.into()),
        }
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        match self {
            Separator::Short { len, bytes } => bytes.get(..usize::from(*len)).unwrap_or(bytes),
            Separator::Long(bytes) => bytes,
        }
    }
}

/// Orders separators by their bytes.
impl Ord for Separator {
    fn cmp(&self, other: &Separator) -> Ordering {
        match (self, other) {
            // Both are compared as two numbers. The shorter one is filled with zeros; if that makes them equal, it
            // comes first.
            (Separator::Short { len, bytes }, Separator::Short { len: other_len, bytes: others }) => {
                let by_first = number(bytes.first_chunk()).cmp(&number(others.first_chunk()));
                let by_last = || number(bytes.last_chunk()).cmp(&number(others.last_chunk()));
                by_first.then_with(by_last).then(len.cmp(other_len))
            }
            _ => self.as_bytes().cmp(other.as_bytes()),
        }
    }
}

fn number(bytes: Option<&[u8; 16]>) -> Option<u128> {
    bytes.map(|bytes| u128::from_be_bytes(*bytes))
}

impl PartialOrd for Separator {
    fn partial_cmp(&self, other: &Separator) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Separator {
    fn eq(&self, other: &Separator) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Separator {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn it_is_as_short_as_can_be() {
        assert_eq!(Separator::between("pages/a/title", "pages/b/note").as_bytes(), b"pages/b");
        assert_eq!(Separator::between("a", "a/b").as_bytes(), b"a/");
        assert!(matches!(Separator::between(&"x".repeat(30), &"x".repeat(31)), Separator::Long(_)));
    }

    proptest! {
        #[test]
        fn they_order_by_their_bytes(left in "[\\x00ab]{0,40}", right in "[\\x00ab]{0,40}") {
            let order = Separator::at(&left).cmp(&Separator::at(&right));
            prop_assert_eq!(order, left.as_bytes().cmp(right.as_bytes()));
        }

        #[test]
        fn it_lies_between(mut paths in prop::collection::btree_set("[ab/é]{1,40}", 2)) {
            let (left, right) = (paths.pop_first().unwrap(), paths.pop_first().unwrap());
            let separator = Separator::between(&left, &right);
            prop_assert!(left.as_bytes() < separator.as_bytes() && separator.as_bytes() <= right.as_bytes());
            prop_assert!(separator > Separator::FIRST && separator == separator.clone());
            prop_assert_eq!(Separator::below(&left), Separator::at(&format!("{left}/")));
        }
    }
}
