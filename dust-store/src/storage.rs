//! The redb database of a store, which is opened again after a failure of the disk.
//!
//! After a failure of the disk redb refuses every call until the database is opened again. A store has to survive a
//! full disk, so [`Storage::reopen`] does that, and the failed reads are repeated.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use redb::{Database, ReadableDatabase, WriteTransaction};

use super::error::{StoreError, StoreErrorKind};
use super::tables::View;

/// The disk of a database that is not in memory.
pub(super) struct Disk {
    /// Opens the database, the first time and after a failure.
    pub(super) open: Box<dyn Fn() -> Result<Database, StoreError> + Send + Sync>,
    /// The size of the file in bytes, if it is known.
    pub(super) size: Box<dyn Fn() -> Option<u64> + Send + Sync>,
}

/// The time that [`Storage::shrink`] waits for running reads.
const READERS_END: Duration = Duration::from_millis(200);

/// The database and its last commit.
pub(super) struct Storage {
    open: RwLock<State>,
    /// The last `store_seq` that readers see. It is known even if the database is closed.
    seq: AtomicU64,
    /// The number of times that the database was opened again. Each time, commits that are not durable are lost.
    opened: AtomicU64,
    /// `None` for a store in memory.
    disk: Option<Disk>,
}

enum State {
    Open(Open),
    /// The reason why the database could not be opened again.
    Failed(StoreError),
    Closed,
}

struct Open {
    /// The last commit, for readers. Declared before the database, because it has to be dropped first.
    view: Arc<View>,
    db: Database,
}

impl Open {
    fn new(db: Database) -> Result<Open, StoreError> {
        Ok(Open { view: Arc::new(View::open(db.begin_read()?)?), db })
    }
}

impl Storage {
    pub(super) fn new(db: Database, disk: Option<Disk>) -> Result<Storage, StoreError> {
        let open = Open::new(db)?;
        let seq = open.view.seq.into();
        Ok(Storage { seq, open: RwLock::new(State::Open(open)), opened: AtomicU64::new(0), disk })
    }

    /// True if there is a disk, so that writes wait for it.
    pub(super) fn is_persistent(&self) -> bool {
        self.disk.is_some()
    }

    /// The store as of the last commit.
    pub(super) fn view(&self) -> Result<Arc<View>, StoreError> {
        self.with(|open| Ok(Arc::clone(&open.view)))
    }

    /// The last `store_seq`.
    pub(super) fn seq(&self) -> u64 {
        self.seq.load(Ordering::SeqCst)
    }

    /// The number of times that the database was opened again.
    pub(super) fn opened(&self) -> u64 {
        self.opened.load(Ordering::SeqCst)
    }

    /// The size of the file in bytes, if there is one and its size is known.
    pub(super) fn size(&self) -> Option<u64> {
        self.disk.as_ref().and_then(|disk| (disk.size)())
    }

    pub(super) fn is_closed(&self) -> bool {
        matches!(*self.open.read().unwrap_or_else(PoisonError::into_inner), State::Closed)
    }

    /// Begins the write transaction. Called by the writer only.
    pub(super) fn begin_write(&self) -> Result<WriteTransaction, StoreError> {
        self.with(|open| Ok(open.db.begin_write()?))
    }

    /// Shows the last commit to readers. Called by the writer only.
    pub(super) fn refresh(&self) -> Result<(), StoreError> {
        let view = self.with(|open| Ok(Arc::new(View::open(open.db.begin_read()?)?)))?;
        let seq = view.seq;
        // The previous view is dropped outside of the lock, as the last reader of a view frees its pages.
        let _before = match &mut *self.open.write().unwrap_or_else(PoisonError::into_inner) {
            State::Open(open) => Some(std::mem::replace(&mut open.view, view)),
            State::Failed(_) | State::Closed => None,
        };
        self.seq.store(seq, Ordering::SeqCst);
        Ok(())
    }

    /// Closes the database and opens it again, as redb requires after a failure of the disk. Called by the writer only.
    ///
    /// Readers of an older view fail from now on and have to get a new view.
    pub(super) fn reopen(&self) -> Result<(), StoreError> {
        let Some(disk) = &self.disk else { return Ok(()) };
        let mut state = self.open.write().unwrap_or_else(PoisonError::into_inner);
        if matches!(*state, State::Closed) {
            return Err(closed());
        }
        // The file is locked until the old database is dropped.
        *state = State::Closed;
        self.opened.fetch_add(1, Ordering::SeqCst);
        match (disk.open)().and_then(Open::new) {
            Ok(open) => {
                self.seq.store(open.view.seq, Ordering::SeqCst);
                *state = State::Open(open);
                Ok(())
            }
            Err(error) => {
                *state = State::Failed(error.clone());
                Err(error)
            }
        }
    }

    /// Moves the used pages to the beginning of the file and returns the rest to the disk. Returns `false` if running
    /// reads, which hold pages, do not end soon. Called by the writer only.
    ///
    /// Reads wait during that, about as long as it takes to write the used pages.
    pub(super) fn shrink(&self) -> Result<bool, StoreError> {
        let mut state = self.open.write().unwrap_or_else(PoisonError::into_inner);
        let State::Open(Open { view, mut db }) = std::mem::replace(&mut *state, State::Closed) else {
            return Err(closed());
        };
        let give_up_at = Instant::now() + READERS_END;
        while Arc::strong_count(&view) > 1 {
            if Instant::now() >= give_up_at {
                *state = State::Open(Open { view, db });
                return Ok(false);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        drop(view);
        let shrunk = match db.compact() {
            Ok(_) => Ok(true),
            // A reader outside of this struct holds a view.
            Err(redb::CompactionError::Storage(error)) => Err(error.into()),
            Err(_) => Ok(false),
        };
        match (shrunk, Open::new(db)) {
            (Ok(shrunk), Ok(open)) => {
                *state = State::Open(open);
                Ok(shrunk)
            }
            (Err(error), _) | (_, Err(error)) => {
                *state = State::Failed(error.clone());
                Err(error)
            }
        }
    }

    /// Closes the database. Every later call fails.
    pub(super) fn close(&self) {
        let state = std::mem::replace(&mut *self.open.write().unwrap_or_else(PoisonError::into_inner), State::Closed);
        drop(state);
    }

    fn with<T>(&self, call: impl FnOnce(&Open) -> Result<T, StoreError>) -> Result<T, StoreError> {
        // Every change of the state is one assignment, so that a panic elsewhere cannot leave it inconsistent.
        match &*self.open.read().unwrap_or_else(PoisonError::into_inner) {
            State::Open(open) => call(open),
            State::Failed(error) => Err(error.clone()),
            State::Closed => Err(closed()),
        }
    }
}

fn closed() -> StoreError {
    StoreErrorKind::Storage("the store is closed".into()).into()
}
