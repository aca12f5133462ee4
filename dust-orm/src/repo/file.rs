//! Files: `put_file`, `fetch_file` and `download`.

use std::future::IntoFuture;
use std::path::{Path as FilePath, PathBuf};

use dust_protocol::{Fence, FileUpload, RawJson, content_hash};
use futures_core::future::BoxFuture;
use sea_orm::ColumnTrait;

use super::DustRepo;
use super::field::check_typed_op;
use super::field_leaf::{FieldLeaf, check_growth, unreadable};
use crate::entity::{DustEntity, FileRef, IntoKey};
use crate::error::DustErr;

/// The most bytes of the hash and the time in a file's reference.
const HASH_AND_TIME: usize = 128;

impl DustRepo {
    /// Stores the bytes of a file and a reference to them in a field, in one op. Returns the reference.
    ///
    /// The column determines the entity; its type is [`FileRef`], usually in an `Option`. As with
    /// [`increment`](DustRepo::increment) only this field is written, even if the record does not exist, and hooks do
    /// not run. A server accepts files of up to about 6 MB, the embedded store those that fit into memory.
    ///
    /// # Errors
    /// [`NotSupported`](DustErr::NotSupported) over HTTP, and on a server with a [fence](PutFile::fence);
    /// [`InvalidParams`](DustErr::InvalidParams) if the field's type cannot hold a reference; errors of the
    /// [transport](crate::Transport::put_file).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), dust_orm::DustErr> {
    /// # use dust_orm::{DustRepo, tests_cfg::page};
    /// let repo = DustRepo::embedded();
    /// let cover = repo.put_file("home", page::Column::Cover, "<svg/>").content_type("image/svg+xml").await?;
    /// assert_eq!(repo.fetch_file(&cover).await?, b"<svg/>");
    /// # Ok(())
    /// # }
    /// ```
    #[must_use = "a write happens when it is awaited"]
    pub fn put_file<C>(&self, key: impl IntoKey<C::EntityName>, column: C, content: impl Into<Vec<u8>>) -> PutFile<'_>
    where
        C: ColumnTrait,
        C::EntityName: DustEntity<Column = C>,
    {
        let file = FieldLeaf::find(self, key, column).and_then(|field| {
            let mut file = FileUpload::new(field.path.clone(), Vec::new());
            field.check("put_file", &file.reference(""))?;
            file.content = content.into();
            Ok(file)
        });
        PutFile { repo: self, file, fence: None }
    }

    /// Fetches the bytes that a reference names into memory, and checks their SHA-256. Works over HTTP, too.
    ///
    /// # Errors
    /// - [`ChecksumMismatch`](DustErr::ChecksumMismatch) if the bytes do not have the hash of the reference.
    /// - [`NotFound`](DustErr::NotFound) if no leaf of the store refers to the file any more. A server returns
    ///   [`Unauthorized`](DustErr::Unauthorized) instead, as for a token that may not read files.
    /// - Errors of the [transport](crate::Transport::fetch_file).
    ///
    /// ```
    /// # use dust_orm::{DustRepo, tests_cfg::page};
    /// # async fn example(repo: DustRepo) -> Result<(), dust_orm::DustErr> {
    /// if let Some(cover) = repo.get::<page::Entity>("home").await?.cover {
    ///     let content: Vec<u8> = repo.fetch_file(&cover).await?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn fetch_file(&self, file: &FileRef) -> Result<Vec<u8>, DustErr> {
        let content = self.active().fetch_file(&file.hash).await?;
        let found = content_hash(&content);
        if found == file.hash {
            Ok(content)
        } else {
            Err(DustErr::ChecksumMismatch {
                what: format!(
                    "the file `{}`: the {} bytes that came have the hash `{found}`",
                    file.hash,
                    content.len()
                ),
            })
        }
    }

    /// Fetches a file as [`fetch_file`](DustRepo::fetch_file) does, and writes it to the path `to`, in place of an
    /// existing file. The bytes are first written to the same path with the suffix `.part`, so that no other program
    /// reads a part of the file.
    ///
    /// # Errors
    /// As [`fetch_file`](DustRepo::fetch_file); [`InvalidParams`](DustErr::InvalidParams) with the I/O error as its
    /// source if the file cannot be written.
    ///
    /// ```
    /// # use dust_orm::{DustRepo, entity::FileRef};
    /// # async fn example(repo: DustRepo, avatar: FileRef) -> Result<(), dust_orm::DustErr> {
    /// repo.download(&avatar, "avatars/ada.gif").await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn download(&self, file: &FileRef, to: impl Into<PathBuf>) -> Result<(), DustErr> {
        let to = to.into();
        let content = self.fetch_file(file).await?;
        let shown = to.display().to_string();
        let written = match tokio::runtime::Handle::try_current() {
            Ok(runtime) => match runtime.spawn_blocking(move || replace(&to, &content)).await {
                Ok(written) => written,
                Err(stopped) => Err(std::io::Error::other(stopped)),
            },
            Err(_) => replace(&to, &content),
        };
        written.map_err(|error| {
            DustErr::invalid_params(format!("the file cannot be written to {shown}: {error}")).with_source(error)
        })
    }
}

/// Writes a file by way of a `.part` file.
fn replace(to: &FilePath, content: &[u8]) -> std::io::Result<()> {
    let mut part = to.as_os_str().to_owned();
    part.push(".part");
    std::fs::write(&part, content)?;
    std::fs::rename(&part, to)
}

/// A file to store. [`DustRepo::put_file`] makes it; `.await` sends it.
#[must_use = "a write happens when it is awaited"]
#[derive(Debug)]
pub struct PutFile<'r> {
    repo: &'r DustRepo,
    file: Result<FileUpload, DustErr>,
    fence: Option<Fence>,
}

impl PutFile<'_> {
    /// Sets the file name for downloads (default: none).
    pub fn filename(mut self, filename: impl Into<String>) -> Self {
        if let Ok(file) = &mut self.file {
            file.filename = Some(filename.into());
        }
        self
    }

    /// Sets the media type (default: `application/octet-stream`).
    pub fn content_type(mut self, content_type: impl Into<String>) -> Self {
        if let Ok(file) = &mut self.file {
            file.content_type = Some(content_type.into());
        }
        self
    }

    /// Stores the file only while the lease at `fence.key` is held with `fence.token`; otherwise it fails with
    /// [`Fenced`](DustErr::Fenced).
    pub fn fence(mut self, fence: Fence) -> Self {
        self.fence = Some(fence);
        self
    }
}

impl<'r> IntoFuture for PutFile<'r> {
    type Output = Result<FileRef, DustErr>;
    type IntoFuture = BoxFuture<'r, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let PutFile { repo, file, fence } = self;
            let transport = &*repo.active();
            let file = file?;
            check_typed_op("put_file", fence.as_ref(), transport)?;
            let path = file.path.clone();
            check_growth(&path, file.reference("").as_str().len() + HASH_AND_TIME, transport).await?;
            let value = transport.put_file(file, fence).await?.value.unwrap_or_else(RawJson::null);
            value.to().map_err(|error| unreadable(&path, &error.to_string(), error))
        })
    }
}
