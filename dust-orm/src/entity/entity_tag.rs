//! Entity tags in an `If-Match` header.

/// True if the value of an `If-Match` header is `*` or a list that contains `etag`, which has its quotes. Weak tags are
/// compared as strong ones. A value that is neither contains no tag.
pub(super) fn contains(if_match: &str, etag: &str) -> bool {
    let if_match = if_match.trim_matches(is_space);
    if_match == "*" || tags(if_match).is_some_and(|tags| tags.contains(&etag))
}

/// The tags of a list, with their quotes and without `W/`; `None` if it is malformed. Empty items are allowed, as RFC
/// 9110 demands of a reader.
fn tags(list: &str) -> Option<Vec<&str>> {
    let mut tags = Vec::new();
    let mut rest = list;
    loop {
        rest = rest.trim_start_matches(is_space);
        let tag = rest.strip_prefix("W/").unwrap_or(rest);
        if let Some(opened) = tag.strip_prefix('"') {
            let (tag, after) = tag.split_at_checked(opened.find('"')? + 2)?;
            tags.push(tag);
            rest = after.trim_start_matches(is_space);
        }
        match rest.strip_prefix(',') {
            Some(next) => rest = next,
            None => return rest.is_empty().then_some(tags),
        }
    }
}

fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\t')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::contains;

    const ETAG: &str = "\"0123\"";

    #[test]
    fn list_with_the_tag_matches() {
        for header in [
            "\"0123\"",
            " \t\"0123\" ",
            "W/\"0123\"",
            "\"a\",\"0123\"",
            "\"a\" , W/\"0123\" ,\"b\"",
            ", ,\"0123\",",
            "\"a,b\", \"0123\"",
            "\"\",\"0123\"",
            "\"é\", \"0123\"",
            "*",
            " * ",
        ] {
            assert!(contains(header, ETAG), "{header:?}");
        }
    }

    #[test]
    fn other_value_never_matches() {
        for header in [
            "",
            "0123",
            "\"0123",
            "0123\"",
            "\"012\"",
            "\"01234\"",
            "w/\"0123\"",
            "W/ \"0123\"",
            "W/",
            "W/W/\"0123\"",
            "\"0123\"x",
            "x\"0123\"",
            "\"0123\" \"b\"",
            "\"0123\";\"b\"",
            "\"a, \"0123\"",
            "\",\"0123\",\"",
            "*, \"0123\"",
            "\"0123\", *",
            "**",
            "\"*\"",
            "\n\"0123\"",
        ] {
            assert!(!contains(header, ETAG), "{header:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read(header in "[\"W/*, 0-3é]{0,12}|\\PC{0,12}") {
            contains(&header, ETAG);
        }

        #[test]
        fn tag_is_found_anywhere_in_a_list(
            before in "(\"[^\"]{0,3}\" ?, ?){0,3}",
            weak in "(W/)?",
            after in "( ?, ?\"[^\"]{0,3}\"){0,3}",
        ) {
            let header = format!("{before}{weak}{ETAG}{after}");
            prop_assert!(contains(&header, ETAG), "{}", header);
        }
    }
}
