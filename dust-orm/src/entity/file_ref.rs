//! [`FileRef`]: a field that refers to the bytes of a file.

use dust_protocol::JsonObject;
use serde::{Deserialize, Serialize};

use super::json_column::json_column;

/// A field that refers to a file's bytes, which the store keeps beside the record.
/// [`put_file`](crate::DustRepo::put_file) writes it, [`fetch_file`](crate::DustRepo::fetch_file) reads the bytes.
///
/// In SQL it is a JSON column. A record usually exists before its file does: declare the field as `Option<FileRef>`.
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
/// let upload = repo.put_file("ada", user::Column::Avatar, b"GIF89a");
/// let avatar = upload.filename("ada.gif").content_type("image/gif").await?;
/// assert_eq!((avatar.size, avatar.filename.as_deref()), (6, Some("ada.gif")));
/// assert_eq!(repo.fetch_file(&avatar).await?, b"GIF89a");
/// # Ok(())
/// # }
/// ```
///
/// # Copies
///
/// A store returns the bytes of references that `put_file` has written, as long as one of them is in the store. A
/// reference that was written in another way (an insert, a put, in map mode any update) is only a value: once it has
/// replaced or outlived the reference that `put_file` wrote, the bytes can no longer be fetched. Leave the field out of
/// other writes; an update in flat mode does so by itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "JsonObject<FileRefJson>", into = "FileRefJson")]
pub struct FileRef {
    /// The SHA-256 of the bytes, by which they are fetched: `sha256:` and 64 hexadecimal digits.
    pub hash: String,
    /// The size of the file, in bytes.
    pub size: u64,
    /// The media type. A store sets `application/octet-stream` if the upload had none.
    pub content_type: Option<String>,
    /// The name of the file; `None` if the upload had none.
    pub filename: Option<String>,
    /// The time of the upload by the store's clock, as ISO 8601 in UTC.
    pub uploaded_at: String,
}

json_column!(impl[] FileRef, "FileRef");

/// The JSON of a leaf that holds a reference. The member `_type` distinguishes it from an object of several leaves.
#[derive(Serialize, Deserialize)]
struct FileRefJson {
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

impl From<JsonObject<FileRefJson>> for FileRef {
    fn from(JsonObject(wire): JsonObject<FileRefJson>) -> FileRef {
        let FileRefJson { _type: Tag::File, hash, size, content_type, filename, uploaded_at } = wire;
        FileRef { hash, size, content_type, filename, uploaded_at }
    }
}

impl From<FileRef> for FileRefJson {
    fn from(file: FileRef) -> FileRefJson {
        let FileRef { hash, size, content_type, filename, uploaded_at } = file;
        FileRefJson { _type: Tag::File, hash, size, content_type, filename, uploaded_at }
    }
}

#[cfg(test)]
mod tests {
    use sea_orm::Value;
    use sea_orm::sea_query::{Nullable, ValueType};

    use super::*;

    /// The JSON that a server wrote.
    const RECORDED: &str = r#"{"_type":"file","content_type":"text/plain","filename":"h.txt","hash":"sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824","size":5,"uploaded_at":"2026-11-22T07:26:55.777391Z"}"#;

    #[test]
    fn recorded_reference_round_trips() {
        let file: FileRef = serde_json::from_str(RECORDED).unwrap();
        assert_eq!((file.size, file.filename.as_deref()), (5, Some("h.txt")));
        let written = serde_json::to_value(&file).unwrap();
        assert_eq!(written, serde_json::from_str::<serde_json::Value>(RECORDED).unwrap());
        assert_eq!(<FileRef as ValueType>::try_from(Value::from(file.clone())).unwrap(), file);
        assert_eq!(<Option<FileRef> as ValueType>::try_from(FileRef::null()).unwrap(), None);
    }

    #[test]
    fn object_without_file_members_is_refused() {
        for other in
            [r#"{"hash":"x","size":1}"#, r#"{"_type":"lease","hash":"x","size":1}"#, r#"{"_type":"file"}"#, "null"]
        {
            assert!(serde_json::from_str::<FileRef>(other).is_err(), "{other}");
        }
    }

    #[test]
    fn array_is_refused() {
        let array = r#"["file","sha256:x",5,null,null,"2026-11-22T07:26:55Z"]"#;
        assert!(serde_json::from_str::<FileRef>(array).is_err());
        assert!(serde_json::from_str::<FileRef>(r#"["file","sha256:x",5,null,null]"#).is_err());
    }
}
