//! Stores as text, in the two forms that [`import`](super::import) reads.

use dust_protocol::{Entry, ListItem, ListRequest, Pattern, envelope};
use dust_store::{Store, StoreError};

use crate::json::{self, Object};

/// The supported version of the server's export.
const PATH_SCHEMA_VERSION: u64 = 3;

/// Every leaf, with decimals and datetimes as plain strings.
pub(crate) fn leaves(store: &Store) -> Result<Vec<Entry>, StoreError> {
    let mut leaves = Vec::new();
    // Cannot fail: `**` is a pattern.
    let Ok(everything) = Pattern::parse("**") else { return Ok(leaves) };
    let mut request = ListRequest::pattern(everything);
    loop {
        let page = store.list(&request)?;
        leaves.extend(page.items.into_iter().filter_map(ListItem::into_entry));
        match page.next_cursor {
            Some(cursor) => request.after = Some(cursor),
            None => return Ok(leaves),
        }
    }
}

/// A store in the export format of a server.
pub(crate) fn export_lines(name: &str, store: &Store, now_ms: i64) -> Result<String, StoreError> {
    let seq = store.current_seq();
    let leaves = leaves(store)?;
    let mut text = Object::new()
        .raw("_header", "true")
        .number("entry_count", leaves.len() as u64)
        .string("exported_at", &envelope::iso(now_ms, 6))
        .number("path_schema_version", PATH_SCHEMA_VERSION)
        .number("seq", seq)
        .string("store", name)
        .end();
    text.push('\n');
    for leaf in leaves {
        let line = Object::new().string("path", leaf.path.as_str()).string("type", leaf.kind.name());
        text.push_str(&line.value("value", &leaf.value).end());
        text.push('\n');
    }
    Ok(text)
}

/// A store as an object of paths and leaf values, one line each.
pub(crate) fn export_object(store: &Store) -> Result<String, StoreError> {
    let members = leaves(store)?.into_iter().map(|leaf| {
        let mut line = format!("  {}: ", json::string(leaf.path.as_str()));
        json::push_value(&leaf.value, &mut line);
        line
    });
    let members: Vec<String> = members.collect();
    Ok(if members.is_empty() { "{}\n".to_owned() } else { format!("{{\n{}\n}}\n", members.join(",\n")) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::import;

    #[test]
    fn exported_object_is_imported_unchanged() {
        let store = Store::in_memory().unwrap();
        let count = import(&store, r#"{"links/dust": {"title": "Dust", "n": 1e3}, "a~1b": [1]}"#).unwrap();
        assert_eq!(count, 2);
        let text = export_object(&store).unwrap();
        assert_eq!(text, "{\n  \"a~1b\": [1],\n  \"links/dust/n\": 1.0e3,\n  \"links/dust/title\": \"Dust\"\n}\n");
        let again = Store::in_memory().unwrap();
        import(&again, &text).unwrap();
        assert_eq!(export_object(&again).unwrap(), text);
        assert_eq!(export_object(&Store::in_memory().unwrap()).unwrap(), "{}\n");
        assert_eq!(import(&again, " \n").unwrap(), 0);
    }

    #[test]
    fn export_keeps_types_of_files_and_counters() {
        let lines = concat!(
            r#"{"_header":true,"entry_count":3,"path_schema_version":3,"seq":3,"store":"a/b"}"#,
            "\n\n",
            r#"{"path":"c","type":"counter","value":3}"#,
            "\n",
            r#"{"path":"f","type":"file","value":{"_type":"file","hash":"sha256:x"}}"#,
            "\n",
            r#"{"path":"t","type":"string","value":"x"}"#,
            "\n",
        );
        let store = Store::in_memory().unwrap();
        assert_eq!(import(&store, lines).unwrap(), 3);
        let kinds: Vec<_> = leaves(&store).unwrap().iter().map(|leaf| leaf.kind.name()).collect();
        assert_eq!(kinds, ["counter", "file", "string"]);
        let exported = export_lines("a/b", &store, 0).unwrap();
        let again = Store::in_memory().unwrap();
        import(&again, &exported).unwrap();
        assert_eq!(export_lines("a/b", &again, 0).unwrap(), exported);
    }
}
