//! An embedded Dust store: the behaviour of a server for one store, in this process.
//!
//! [`Store`] keeps leaves, a log of committed ops and an optional snapshot in [redb](https://docs.rs/redb), in memory
//! or in one file. Every write or batch changes leaves, log and sequence in one transaction. Acknowledged writes
//! survive a crash. Readers see the last commit and do not wait for a writer. The store is synchronous and takes the
//! time from a [`Clock`].
//!
//! A store in a file has one writer thread: writes that wait for the disk share a commit, and each keeps its own
//! `store_seq`, conditions and result. After a failure of the disk, such as a full one, the store continues by itself
//! once the disk works again.
//!
//! A store [compacts itself](StoreBuilder::compaction) once its log is large compared with its leaves.
//!
//! ```
//! use dust_protocol::{ListRequest, Op, Path, Pattern, RawJson};
//! use dust_store::{Origin, Store};
//!
//! let store = Store::in_memory()?;
//! let record = RawJson::parse(r#"{"title":"Dust","url":"https://dustlayer.io"}"#)?;
//! store.write(Op::set(Path::parse("links/dust")?, record), None, &Origin::new("laptop", "1"))?;
//!
//! let page = store.list(&ListRequest::pattern(Pattern::parse("links/*/title")?))?;
//! assert_eq!(page.items[0].path().as_str(), "links/dust/title");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Where it differs from a server
//!
//! It behaves as a server does, including case-folded subtrees, sets with the newest member first, and an empty object
//! that deletes. In cases in which a server fails or loses data, it refuses or answers:
//!
//! | what | a Dust server | here |
//! |---|---|---|
//! | a decimal or datetime envelope that does not parse | stores it; every later read fails with 500 | `invalid_value` |
//! | an empty key in an object | crashes the channel, or 400 | `empty_segment` |
//! | a value nested deeper than 100 | stores it | `invalid_value` |
//! | an integer beyond the range of a double | stores it | `invalid_value` |
//! | `increment` of a string or another value without a number | an exception's text | `not_a_number` |
//! | `increment` beyond 128-bit integers or finite floats | an integer of any size, or an exception | `number_out_of_range` |
//! | a negative `ttl_ms` | a lease that has expired already | `invalid_lease_op` |
//! | a fence on a lease op | ignored | `invalid_precondition` |
//! | `if_absent` in a batch | ignored | honoured |
//! | "nothing at or below the path" ([`IfSubtreeAbsent`](dust_protocol::Precondition::IfSubtreeAbsent)) | unknown | honoured, for objects too |
//! | a fence on a batch | ignored | honoured |
//! | reading an object in which a leaf has leaves below it | 500 | the leaf counts, what is below it does not |
//! | `put_file` with something else than a file reference | stores it | `invalid_file` |
//! | a lease written by `set` over an older lease at its path | keeps the older one's deadline | its own `expires_at` |
//! | a batch | slower the larger the store is, its outcome unknown past 5 s | neither |
//! | a plan's limits and the rate limit | enforced | none |
//!
//! Numbers keep the text that was written: for `1e3` a server returns `1.0e3`, this store `1e3`.

mod changes;
mod clock;
mod compact;
mod copy;
mod error;
mod feed;
mod files;
mod guard;
mod lease;
mod log;
mod queue;
mod read;
mod storage;
mod tables;
mod transaction;
mod write;

use std::fmt;
use std::io::{self, ErrorKind};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path as FilePath;
use std::sync::{Arc, Mutex, OnceLock};

use redb::{Database, DatabaseError, ReadableDatabase, TableHandle};

pub use clock::{Clock, ManualClock, SystemClock};
pub use compact::Compaction;
pub use error::{StoreError, StoreErrorKind};
pub use feed::Subscription;
pub use log::Snapshot;
pub use write::Origin;

use changes::Sizes;
use feed::Feed;
use lease::Deadlines;
use queue::Queue;
use storage::{Disk, Storage};
use tables::{FOLDED, FORMAT, LEAVES, LOG, META, SNAPSHOT};

/// The format of the file that this version writes, and the newest that it reads.
const SUPPORTED_FORMAT: u64 = 1;

/// The largest size of redb's cache of pages, in bytes.
const CACHE_SIZE: usize = 128 * 1024 * 1024;

/// A Dust store in this process. Cheap to clone: clones are the same store.
///
/// The file is closed when the last clone is dropped.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
    _open: Arc<Opened>,
}

/// Closes the store with its last clone. A compaction may hold `Inner` longer.
struct Opened(Arc<Inner>);

impl Drop for Opened {
    fn drop(&mut self) {
        self.0.queue.close();
        // A running step of a compaction ends first.
        let _writer = self.0.writer();
        self.0.storage.close();
    }
}

struct Inner {
    storage: Storage,
    /// The state of the writer, locked by each write.
    writer: Mutex<Writer>,
    /// Requests that wait for the disk.
    queue: Arc<Queue>,
    feed: Arc<Feed>,
    clock: Arc<dyn Clock>,
    compaction: Compaction,
    /// The name of the file.
    file: Box<str>,
    /// The damage of the file, once a call has found it.
    damage: OnceLock<StoreError>,
}

struct Writer {
    deadlines: Deadlines,
    sizes: Sizes,
    /// The number of completed compactions.
    compactions: u64,
    is_compacting: bool,
}

/// Options for opening a [`Store`].
#[derive(Clone)]
pub struct StoreBuilder {
    clock: Arc<dyn Clock>,
    compaction: Compaction,
}

impl StoreBuilder {
    /// Sets the clock for leases (default: the operating system's).
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> StoreBuilder {
        self.clock = clock;
        self
    }

    /// Sets the condition for replacing the log by a snapshot in the background (default: a log of 8 MiB that is twice
    /// as large as the leaves). See [`Store::compact`].
    ///
    /// A reader that catches up from before the compaction begins with the snapshot.
    pub fn compaction(mut self, compaction: Compaction) -> StoreBuilder {
        self.compaction = compaction;
        self
    }

    /// Makes an empty store in memory, which is freed with its last clone.
    pub fn in_memory(self) -> Result<Store, StoreError> {
        let backend = redb::backends::InMemoryBackend::new();
        let db = Database::builder()
            .set_cache_size(CACHE_SIZE)
            .create_with_backend(backend)
            .map_err(|error| opening(error, "the memory"))?;
        self.start(db, "the memory", None)
    }

    /// Opens the store in a file, and creates the file if it is missing. Its directory must exist.
    ///
    /// # Errors
    ///
    /// The file is open already, here or in another process, it is not a store, it was cut, or a later version wrote
    /// it. A file that another program changed in the middle may be opened; then the first call that reads the damage
    /// fails, and if redb panics there, so do all later calls.
    pub fn open(self, file: impl AsRef<FilePath>) -> Result<Store, StoreError> {
        let file = file.as_ref().to_owned();
        let name = file.display().to_string();
        let sized = file.clone();
        let open = {
            let name = name.clone();
            move || {
                let mut builder = Database::builder();
                builder.set_cache_size(CACHE_SIZE).create(&file).map_err(|error| opening(error, &name))
            }
        };
        let size = move || std::fs::metadata(&sized).ok().map(|metadata| metadata.len());
        self.open_on(&name, Disk { open: Box::new(open), size: Box::new(size) })
    }

    /// Opens the store in the file of `disk`.
    fn open_on(self, name: &str, disk: Disk) -> Result<Store, StoreError> {
        // redb does not check the structure of its pages and panics if it is wrong. No state outlives the panic: all of
        // it is dropped here, and the file is not written.
        let opened = catch_unwind(AssertUnwindSafe(|| {
            let db = (disk.open)()?;
            self.start(db, name, Some(disk))
        }));
        opened.unwrap_or_else(|panic| Err(guard::given_up(name, &*panic))).map_err(|error| error.naming(name))
    }

    fn start(self, db: Database, file: &str, disk: Option<Disk>) -> Result<Store, StoreError> {
        prepare(&db, file)?;
        let storage = Storage::new(db, disk)?;
        let sizes = compact::sizes(&*storage.view()?)?;
        let deadlines = Deadlines::default();
        let inner = Arc::new(Inner {
            feed: Arc::new(Feed::starting_at(storage.seq())),
            storage,
            writer: Mutex::new(Writer { deadlines, sizes, compactions: 0, is_compacting: false }),
            queue: Arc::default(),
            clock: self.clock,
            compaction: self.compaction,
            file: file.into(),
            damage: OnceLock::new(),
        });
        Ok(Store { _open: Arc::new(Opened(Arc::clone(&inner))), inner })
    }
}

impl Store {
    /// Makes an empty store in memory, which is freed with its last clone.
    pub fn in_memory() -> Result<Store, StoreError> {
        Store::builder().in_memory()
    }

    /// Opens the store in a file, and creates the file if it is missing. See [`StoreBuilder::open`].
    pub fn open(file: impl AsRef<FilePath>) -> Result<Store, StoreError> {
        Store::builder().open(file)
    }

    /// True if the store is a file, so that its writes wait for the disk.
    pub fn is_persistent(&self) -> bool {
        self.inner.storage.is_persistent()
    }

    /// Returns a builder, to set the clock or the condition for compactions.
    pub fn builder() -> StoreBuilder {
        StoreBuilder { clock: Arc::new(SystemClock::default()), compaction: Compaction::default() }
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("seq", &self.current_seq()).finish_non_exhaustive()
    }
}

impl fmt::Debug for StoreBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreBuilder").finish_non_exhaustive()
    }
}

fn opening(error: DatabaseError, file: &str) -> StoreError {
    let file = file.to_owned();
    match error {
        DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => {
            StoreErrorKind::Locked { file }.into()
        }
        DatabaseError::UpgradeRequired(version) => {
            StoreErrorKind::NotAStore { file, reason: format!("redb file format {version}") }.into()
        }
        DatabaseError::Storage(redb::StorageError::Io(error)) => not_opened(&error, file).into(),
        DatabaseError::Storage(redb::StorageError::Corrupted(reason)) => {
            StoreErrorKind::Damaged { file, reason }.into()
        }
        other => StoreErrorKind::Storage(format!("cannot open {file}: {other}").into()).into(),
    }
}

/// The way out of each refusal of the operating system that a wrong path causes.
fn not_opened(error: &io::Error, file: String) -> StoreErrorKind {
    let message = match error.kind() {
        ErrorKind::InvalidData => return StoreErrorKind::NotAStore { file, reason: "not a redb file".to_owned() },
        ErrorKind::UnexpectedEof => return StoreErrorKind::Damaged { file, reason: "it ends too early".to_owned() },
        ErrorKind::NotFound if file.is_empty() => {
            "the path of the store is empty; name a file, such as dev.redb".to_owned()
        }
        ErrorKind::NotFound => format!("cannot open {file}: its folder does not exist; create the folder first"),
        ErrorKind::IsADirectory => {
            let file = file.trim_end_matches('/');
            format!("cannot open {file}: it is a folder; name a file in it, such as {file}/dev.redb")
        }
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => format!(
            "cannot open {file}: {error}; a store is read and written, so give this process write access to the file \
             and its folder, or choose another file"
        ),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            format!("cannot open {file}: {error}; make room, or choose a file on another disk")
        }
        _ => format!("cannot open {file}: {error}; choose another file"),
    };
    StoreErrorKind::Storage(message.into())
}

/// Checks that a database is a store of a known format, and makes an empty one a store.
fn prepare(db: &Database, file: &str) -> Result<(), StoreError> {
    let reading = db.begin_read()?;
    let tables: Vec<_> = reading.list_tables()?.collect();
    if !tables.is_empty() {
        let not_a_store = |reason: &str| StoreErrorKind::NotAStore { file: file.to_owned(), reason: reason.to_owned() };
        if !tables.iter().any(|table| table.name() == META.name()) {
            return Err(not_a_store("a redb file of another program").into());
        }
        let meta = reading.open_table(META).map_err(|_| not_a_store("a redb file of another program"))?;
        return match meta.get(FORMAT)?.map(|row| row.value()) {
            Some(SUPPORTED_FORMAT) => Ok(()),
            Some(found) if found > SUPPORTED_FORMAT => {
                let file = file.to_owned();
                Err(StoreErrorKind::NewerFormat { file, found, supported: SUPPORTED_FORMAT }.into())
            }
            _ => Err(not_a_store("it does not say its format").into()),
        };
    }
    drop(reading);
    let txn = db.begin_write()?;
    txn.open_table(META)?.insert(FORMAT, SUPPORTED_FORMAT)?;
    txn.open_table(LEAVES)?;
    txn.open_table(FOLDED)?;
    txn.open_table(LOG)?;
    txn.open_table(SNAPSHOT)?;
    txn.commit()?;
    Ok(())
}

#[cfg(test)]
mod tests;

/// The examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
