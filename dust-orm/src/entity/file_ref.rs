//! [`FileRef`]: a field that refers to the bytes of a file.

use dust_protocol::JsonObject;
use serde::{Deserialize, Serialize};

use super::json_column::json_column;

/// A field that refers to a file's bytes, which the store keeps beside the record: written by
/// [`put_file`](crate::DustRepo::put_file), and read with [`fetch_file`](crate::DustRepo::fetch_file).
///
/// In SQL it is a JSON column. A record usually has its file later than itself: declare the field as `Option<FileRef>`.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), dust_orm::DustErr> {
/// use dust_orm::DustRepo;
///
/// mod user {
///     use dust_orm::entity::prelude::*;
///
///     #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, DeriveDustEntity, Serialize, Deserialize)]
///     #[sea_orm(table_name = "users")]
///     #[dust(prefix = "users")]
///     pub struct Model {
///         #[sea_orm(primary_key, auto_increment = false)]
///         pub name: String,
///         pub avatar: Option<FileRef>,
///     }
///
///     #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
///     pub enum Relation {}
///
///     impl ActiveModelBehavior for ActiveModel {}
/// }
///
/// let repo = DustRepo::embedded();
/// let avatar = repo.put_file("ada", user::Column::Avatar, b"GIF89a").filename("ada.gif").content_type("image/gif").await?;
/// assert_eq!((avatar.size, avatar.filename.as_deref()), (6, Some("ada.gif")));
/// assert_eq!(repo.fetch_file(&avatar).await?, b"GIF89a");
/// # Ok(())
/// # }
/// ```
///
/// # Copies
///
/// A store gives out bytes for references that `put_file` has made, for as long as one of them is in the store. A reference
/// that was written in another way (an insert, a put, in map mode any update) is only a value: when it replaces or outlives
/// the one that `put_file` made, the bytes are out of reach. Leave the field alone in other writes, which an update in flat
/// mode does by itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "JsonObject<Wire>", into = "Wire")]
pub struct FileRef {
    /// What the bytes are asked for by: `sha256:` and 64 hexadecimal digits, their SHA-256.
    pub hash: String,
    /// How many bytes.
    pub size: u64,
    /// Its media type. A store says `application/octet-stream` where none was given.
    pub content_type: Option<String>,
    /// Its name, if it has one.
    pub filename: Option<String>,
    /// When it was stored: ISO 8601, in UTC, by the store's clock.
    pub uploaded_at: String,
}

json_column!(impl[] FileRef, "FileRef");

/// A reference as it stands in a leaf. `_type` is what tells it from an object of several leaves.
#[derive(Serialize, Deserialize)]
struct Wire {
    _type: Tag,
    hash: String,
    size: u64,
    content_type: Option<String>,
    filename: Option<String>,
    #[serde(default)]
    uploaded_at: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Tag {
    File,
}

impl From<JsonObject<Wire>> for FileRef {
    fn from(JsonObject(wire): JsonObject<Wire>) -> FileRef {
        let Wire { _type: Tag::File, hash, size, content_type, filename, uploaded_at } = wire;
        FileRef { hash, size, content_type, filename, uploaded_at }
    }
}

impl From<FileRef> for Wire {
    fn from(file: FileRef) -> Wire {
        let FileRef { hash, size, content_type, filename, uploaded_at } = file;
        Wire { _type: Tag::File, hash, size, content_type, filename, uploaded_at }
    }
}

#[cfg(test)]
mod tests {
    use sea_orm::Value;
    use sea_orm::sea_query::{Nullable, ValueType};

    use super::*;

    /// As a server has written it.
    const RECORDED: &str = r#"{"_type":"file","content_type":"text/plain","filename":"h.txt","hash":"sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824","size":5,"uploaded_at":"2026-11-22T07:26:55.777391Z"}"#;

    #[test]
    fn reads_what_a_server_wrote_and_writes_the_same() {
        let file: FileRef = serde_json::from_str(RECORDED).unwrap();
        assert_eq!((file.size, file.filename.as_deref()), (5, Some("h.txt")));
        let written = serde_json::to_value(&file).unwrap();
        assert_eq!(written, serde_json::from_str::<serde_json::Value>(RECORDED).unwrap());
        assert_eq!(<FileRef as ValueType>::try_from(Value::from(file.clone())).unwrap(), file);
        assert_eq!(<Option<FileRef> as ValueType>::try_from(FileRef::null()).unwrap(), None);
    }

    #[test]
    fn other_objects_are_no_files() {
        for other in
            [r#"{"hash":"x","size":1}"#, r#"{"_type":"lease","hash":"x","size":1}"#, r#"{"_type":"file"}"#, "null"]
        {
            assert!(serde_json::from_str::<FileRef>(other).is_err(), "{other}");
        }
    }

    #[test]
    fn an_array_is_no_file() {
        let array = r#"["file","sha256:x",5,null,null,"2026-11-22T07:26:55Z"]"#;
        assert!(serde_json::from_str::<FileRef>(array).is_err());
        assert!(serde_json::from_str::<FileRef>(r#"["file","sha256:x",5,null,null]"#).is_err());
    }
}
