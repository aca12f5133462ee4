//! Files: their bytes by hash, and the paths of their references.

use std::collections::HashSet;

use redb::{ReadableTable, TableError, WriteTransaction};

use dust_protocol::{CommittedOp, Fence, FileUpload, JsonObject, Leaf, LeafKind, Mutation, Op, RawJson, envelope};

use super::Store;
use super::error::{StoreError, StoreErrorKind};
use super::tables::{FILE_PATHS, FILES, LEAVES, NOTHING, to_leaf};
use super::transaction::Job;
use super::write::Origin;

impl Store {
    /// Stores a file and writes a reference to it, in one op. The bytes are kept once for any number of references,
    /// until a [compaction](Store::compact) after the last reference is removed.
    ///
    /// ```
    /// use dust_protocol::{FileUpload, Path, content_hash};
    /// use dust_store::{Origin, Store};
    ///
    /// let store = Store::in_memory()?;
    /// let (path, content) = (Path::parse("users/ada/avatar")?, b"GIF89a".to_vec());
    /// let file = FileUpload::new(path, content).with_content_type(Some("image/gif".to_owned()));
    /// store.put_file(file, None, &Origin::new("laptop", "1"))?;
    /// assert_eq!(store.file_content(&content_hash(b"GIF89a"))?.unwrap(), b"GIF89a");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn put_file(&self, file: FileUpload, fence: Option<Fence>, origin: &Origin) -> Result<CommittedOp, StoreError> {
        one(self.submit(self.file_job(file, fence, origin.clone())?)?)
    }

    /// As [`put_file`](Store::put_file), for async code: waits for the disk without blocking the thread.
    pub async fn put_file_async(
        &self,
        file: FileUpload,
        fence: Option<Fence>,
        origin: Origin,
    ) -> Result<CommittedOp, StoreError> {
        one(self.submit_async(self.file_job(file, fence, origin)?).await?)
    }

    fn file_job(&self, file: FileUpload, fence: Option<Fence>, origin: Origin) -> Result<Job, StoreError> {
        let reference = file.reference(&envelope::iso(self.inner.now().wall_ms, 6));
        let op = Op::new(file.path, Mutation::PutFile(reference));
        Ok(Job { content: Some(file.content), ..Job::one(op, fence, origin)? })
    }

    /// An existing reference that `put_file` wrote to the file with this hash. `None` if there is none: then the bytes
    /// must not be given out, although they may still be stored.
    pub fn file_reference(&self, hash: &str) -> Result<Option<RawJson>, StoreError> {
        self.inner.read(|view| {
            let Some(paths) = if_there(view.txn.open_table(FILE_PATHS))? else { return Ok(None) };
            for row in paths.range((hash.as_bytes(), NOTHING)..)? {
                let (key, _) = row?;
                let (of, path) = key.value();
                if of != hash.as_bytes() {
                    break;
                }
                if let Some(leaf) = view.leaf(path)?
                    && hash_of(&leaf).as_deref() == Some(hash)
                {
                    return Ok(Some(leaf.value));
                }
            }
            Ok(None)
        })
    }

    /// The bytes with this hash if they are stored, with or without a reference.
    pub fn file_content(&self, hash: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.inner.read(|view| {
            let Some(files) = if_there(view.txn.open_table(FILES))? else { return Ok(None) };
            Ok(files.get(hash.as_bytes())?.map(|content| content.value().to_vec()))
        })
    }
}

/// The op of a request that always commits exactly one.
fn one(mut ops: Vec<CommittedOp>) -> Result<CommittedOp, StoreError> {
    ops.pop().ok_or_else(|| StoreErrorKind::Storage("the op was not committed".into()).into())
}

/// Stores the path of a committed `put_file` and the bytes, if it has any.
pub(super) fn keep(txn: &WriteTransaction, op: &CommittedOp, content: Option<&[u8]>) -> Result<(), StoreError> {
    let Some(hash) = hash_in(&op.value) else { return Ok(()) };
    let hash = hash.as_bytes();
    txn.open_table(FILE_PATHS)?.insert((hash, op.path.as_str().as_bytes()), ())?;
    if let Some(content) = content {
        txn.open_table(FILES)?.insert(hash, content)?;
    }
    Ok(())
}

/// Removes the files without a reference.
pub(super) fn sweep(txn: &WriteTransaction) -> Result<(), StoreError> {
    let leaves = txn.open_table(LEAVES)?;
    let mut used = HashSet::new();
    let mut failed = None;
    txn.open_table(FILE_PATHS)?.retain(|(hash, path), ()| {
        let refers = leaves.get(path).map_err(StoreError::from).and_then(|leaf| {
            let Some(leaf) = leaf else { return Ok(false) };
            Ok(hash_of(&to_leaf(leaf.value())?).is_some_and(|known| known.as_bytes() == hash))
        });
        let refers = refers.unwrap_or_else(|error| {
            failed = Some(error);
            true
        });
        if refers {
            used.insert(hash.to_vec());
        }
        refers
    })?;
    if let Some(error) = failed {
        return Err(error);
    }
    txn.open_table(FILES)?.retain(|hash, _| used.contains(hash))?;
    Ok(())
}

/// The hash that a leaf refers to. Only references of `put_file` count: a reference written by `set` is a plain value,
/// as on a server.
fn hash_of(leaf: &Leaf) -> Option<String> {
    (leaf.kind == LeafKind::File).then(|| hash_in(&leaf.value)).flatten()
}

fn hash_in(reference: &RawJson) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Reference {
        hash: String,
    }
    reference.to::<JsonObject<Reference>>().ok().map(|JsonObject(reference)| reference.hash)
}

/// The tables of files are made with the first file, so that a store without files does not have them.
fn if_there<T>(table: Result<T, TableError>) -> Result<Option<T>, StoreError> {
    match table {
        Ok(table) => Ok(Some(table)),
        Err(TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
