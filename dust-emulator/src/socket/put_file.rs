//! The message `put_file`: the bytes of a file and the path of its reference.

use std::sync::LazyLock;

use data_encoding::Encoding;
use dust_protocol::{FileUpload, OpKind, Path, RawJson, content_hash};

use super::message_context::{Crash, Failure, MessageContext, Refused};
use super::{status, write};
use crate::json::Object;
use crate::uri::{self, Params};

/// Standard base64 with padding. The bits of the last digit that belong to no byte are ignored.
static BASE64: LazyLock<Encoding> = LazyLock::new(|| {
    let mut lenient = data_encoding::BASE64.specification();
    lenient.check_trailing_bits = false;
    lenient.encoding().unwrap_or(data_encoding::BASE64)
});

pub(super) fn put_file(context: &MessageContext, payload: &Params) -> Result<(), Failure> {
    let member = |name: &str| {
        payload.get(name).ok_or_else(|| Crash(format!("put_file without `{name}` crashes the channel: send it")))
    };
    let (path, content) = (member("path")?, member("content")?);
    member("client_op_id")?;
    context.authorise("files:write")?;
    context.count()?;
    let path = file_path(path)?;
    let content: String =
        content.to().map_err(|_| Crash("put_file whose content is no string crashes the channel".to_owned()))?;
    let content = BASE64.decode(content.as_bytes()).map_err(|_| Refused::because("invalid_base64"))?;
    let stored = status::files(&context.held.store).map_err(|error| write::refused(OpKind::PutFile, &error))?;
    if context.reply_fault.one_file && stored.is_some_and(|files| files.count > 0) {
        return Err(Crash("the second put_file of a store crashes the channel, by a fault".to_owned()).into());
    }
    if stored.is_none() {
        let why = "a leaf that refers to a file without its size crashes the channel at the next put_file: delete it";
        return Err(Crash(why.to_owned()).into());
    }
    let client_op_id = write::client_op_id(payload)?;
    let filename = uri::text(payload, "filename");
    let content_type = uri::text(payload, "content_type");
    let file = FileUpload::new(path, content).with_filename(filename).with_content_type(content_type);
    let hash = content_hash(&file.content);
    let _order = context.held.push_in_order();
    let origin = write::origin(context, &client_op_id);
    let op =
        context.held.store.put_file(file, None, &origin).map_err(|error| write::refused(OpKind::PutFile, &error))?;
    let answer = Object::new().string("hash", &hash).number("store_seq", op.store_seq).end();
    context.committed(&op, &client_op_id, &answer);
    Ok(())
}

fn file_path(path: &RawJson) -> Result<Path, Refused> {
    if path.is_null() {
        return Err(Refused::because("missing_path"));
    }
    let path: String = path.to().map_err(|_| Refused::because("invalid_path"))?;
    Path::parse(&path).map_err(|error| Refused::because(error.name()))
}

#[cfg(test)]
mod tests {
    use super::BASE64;

    #[test]
    fn base64_is_decoded() {
        let table = [("", ""), ("Zg==", "f"), ("Zh==", "f"), ("Zm8=", "fo"), ("Zm9v", "foo"), ("aGVsbG8=", "hello")];
        for (text, expected) in table {
            assert_eq!(BASE64.decode(text.as_bytes()).unwrap(), expected.as_bytes(), "{text}");
        }
        assert_eq!(BASE64.decode(b"+//+").unwrap(), [0xfb, 0xff, 0xfe]);
    }

    #[test]
    fn invalid_base64_is_refused() {
        for text in ["!!!", "Zg", "Zg=", "Zg=x", "Z===", "====", "Zm9v\n", "Zm-_", "=Zg="] {
            assert!(BASE64.decode(text.as_bytes()).is_err(), "{text}");
        }
    }
}
