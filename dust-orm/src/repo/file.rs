//! Files: `put_file`, `fetch_file` and `download`.

use std::future::IntoFuture;
use std::path::{Path as FilePath, PathBuf};

use dust_protocol::{Fence, FileUpload, RawJson, content_hash};
use futures_core::future::BoxFuture;
use sea_orm::ColumnTrait;

use super::DustRepo;
use super::field::{self, FieldOf, unreadable};
use crate::entity::{DustEntity, FileRef, KeyOf};
use crate::error::DustErr;

impl DustRepo {
    /// Stores a file's bytes and makes a field refer to them, in one op. Answers the reference.
    ///
    /// The column says which entity is meant; its type is [`FileRef`], usually as an `Option`. As
    /// [`increment`](DustRepo::increment) it writes the one field, whether or not there is a record, and runs no hooks. A
    /// server takes files up to some 6 MB, the embedded store what fits into memory. A
    /// server's `put_file` knows no fence: there a fenced one is [`NotSupported`](DustErr::NotSupported), as over HTTP any.
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
    pub fn put_file<C>(
        &self,
        key: impl Into<KeyOf<C::EntityName>>,
        column: C,
        content: impl Into<Vec<u8>>,
    ) -> PutFile<'_>
    where
        C: ColumnTrait,
        C::EntityName: DustEntity<Column = C>,
    {
        let file = FieldOf::find(key.into(), column).and_then(|field| {
            let mut file = FileUpload::new(field.path.clone(), Vec::new());
            field.check("put_file", &file.reference(""))?;
            file.content = content.into();
            Ok(file)
        });
        PutFile { repo: self, file, fence: None }
    }

    /// The bytes that a field refers to, held in memory as a whole. Works over HTTP, too.
    ///
    /// They are checked: bytes that do not have the reference's SHA-256 are
    /// [`ChecksumMismatch`](DustErr::ChecksumMismatch). A file that nothing in the store refers to any more is
    /// [`NotFound`](DustErr::NotFound); a server answers [`Unauthorized`](DustErr::Unauthorized), because it does not
    /// tell that from a token that may not read files.
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
                what: format!("the file `{}`: {} bytes came whose hash is `{found}`", file.hash, content.len()),
            })
        }
    }

    /// Fetches a file, as [`fetch_file`](DustRepo::fetch_file) does, and writes it to the disk, in place of what is there. It
    /// appears whole or not at all: it is written beside its place first, under the same name and `.part`.
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

fn replace(to: &FilePath, content: &[u8]) -> std::io::Result<()> {
    let mut part = to.as_os_str().to_owned();
    part.push(".part");
    std::fs::write(&part, content)?;
    std::fs::rename(&part, to)
}

/// A file being stored, made by [`DustRepo::put_file`]: `.await` it.
#[must_use = "a write happens when it is awaited"]
#[derive(Debug)]
pub struct PutFile<'r> {
    repo: &'r DustRepo,
    file: Result<FileUpload, DustErr>,
    fence: Option<Fence>,
}

impl PutFile<'_> {
    /// The name under which it may be downloaded.
    pub fn filename(mut self, filename: impl Into<String>) -> Self {
        if let Ok(file) = &mut self.file {
            file.filename = Some(filename.into());
        }
        self
    }

    /// The media type. The default is `application/octet-stream`.
    pub fn content_type(mut self, content_type: impl Into<String>) -> Self {
        if let Ok(file) = &mut self.file {
            file.content_type = Some(content_type.into());
        }
        self
    }

    /// Stores the file only while the lease at `fence.key` is held with `fence.token`; otherwise it is
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
            field::check("put_file", fence.as_ref(), transport)?;
            let path = file.path.clone();
            let value = transport.put_file(file, fence).await?.value.unwrap_or_else(RawJson::null);
            value.to().map_err(|error| unreadable(&path, &error.to_string(), error))
        })
    }
}
