//! Tests on a simulated disk that can be full, fail and lose power.

use std::sync::{Mutex, MutexGuard};

use std::io::Error as BackendIoError;

use redb::StorageBackend;

use super::*;
use crate::storage::Disk;

/// A file that keeps only synced changes after a loss of power.
#[derive(Clone, Default)]
pub(super) struct FakeDisk(Arc<Mutex<Platter>>);

#[derive(Default)]
struct Platter {
    bytes: Vec<u8>,
    /// Changes since the last sync, in order.
    unsynced: Vec<Change>,
    synced: Vec<u8>,
    syncs: usize,
    /// The capacity in bytes.
    room: Option<usize>,
    fails_to_sync: bool,
}

enum Change {
    Length(usize),
    Bytes(usize, Vec<u8>),
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Change::Length(length) => bytes.resize(*length, 0),
            Change::Bytes(at, data) => bytes[*at..*at + data.len()].copy_from_slice(data),
        }
    }
}

impl FakeDisk {
    fn lock(&self) -> MutexGuard<'_, Platter> {
        self.0.lock().unwrap()
    }

    pub(super) fn store(&self) -> Result<Store, StoreError> {
        self.store_with(Store::builder())
    }

    pub(super) fn store_with(&self, builder: StoreBuilder) -> Result<Store, StoreError> {
        let (opened, sized) = (self.clone(), self.clone());
        let open = move || {
            let handle = Handle(opened.clone());
            Database::builder().create_with_backend(handle).map_err(|error| opening(error, "the disk"))
        };
        let size = move || Some(sized.len() as u64);
        builder.open_on("the disk", Disk { open: Box::new(open), size: Box::new(size) })
    }

    /// The disk after a loss of power.
    pub(super) fn without_power(&self) -> FakeDisk {
        let synced = self.lock().synced.clone();
        FakeDisk(Arc::new(Mutex::new(Platter { bytes: synced.clone(), synced, ..Platter::default() })))
    }

    pub(super) fn len(&self) -> usize {
        self.lock().bytes.len()
    }

    pub(super) fn syncs(&self) -> usize {
        self.lock().syncs
    }

    pub(super) fn set_room(&self, bytes: Option<usize>) {
        self.lock().room = bytes;
    }

    pub(super) fn fail_to_sync(&self, fails: bool) {
        self.lock().fails_to_sync = fails;
    }
}

#[derive(Debug)]
struct Handle(FakeDisk);

impl std::fmt::Debug for FakeDisk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FakeDisk")
    }
}

fn full() -> BackendIoError {
    std::io::ErrorKind::StorageFull.into()
}

impl StorageBackend for Handle {
    fn len(&self) -> Result<u64, BackendIoError> {
        Ok(self.0.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), BackendIoError> {
        let at = offset as usize;
        out.copy_from_slice(&self.0.lock().bytes[at..at + out.len()]);
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<(), BackendIoError> {
        let mut platter = self.0.lock();
        if platter.room.is_some_and(|room| len as usize > room) {
            return Err(full());
        }
        let change = Change::Length(len as usize);
        change.apply(&mut platter.bytes);
        platter.unsynced.push(change);
        Ok(())
    }

    fn sync_data(&self) -> Result<(), BackendIoError> {
        let mut platter = self.0.lock();
        if platter.fails_to_sync {
            return Err(BackendIoError::other("the disk does not answer"));
        }
        platter.syncs += 1;
        for change in std::mem::take(&mut platter.unsynced) {
            change.apply(&mut platter.synced);
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), BackendIoError> {
        let mut platter = self.0.lock();
        let change = Change::Bytes(offset as usize, data.to_vec());
        change.apply(&mut platter.bytes);
        platter.unsynced.push(change);
        Ok(())
    }
}

#[test]
fn acknowledged_write_survives_loss_of_power() {
    let disk = FakeDisk::default();
    let store = disk.store().unwrap();
    for number in 1..=20_u64 {
        match number % 3 {
            0 => drop(store.try_batch(vec![Op::set(path("batch/n"), raw(&number.to_string()))]).unwrap()),
            1 => drop(store.set("n", &number.to_string())),
            _ => {
                let content = number.to_string().into_bytes();
                let file = dust_protocol::FileUpload::new(path("f"), content);
                store.put_file(file, None, &origin()).unwrap();
            }
        }
        let after = disk.without_power().store().unwrap();
        assert_eq!(after.current_seq(), number);
        assert_eq!(leaves(&after), leaves(&store));
    }
    store.compact().unwrap();
    let after = disk.without_power().store().unwrap();
    assert_eq!(after.snapshot().unwrap(), store.snapshot().unwrap());
}

#[tokio::test]
async fn acknowledged_async_write_survives_loss_of_power() {
    let disk = FakeDisk::default();
    let store = disk.store().unwrap();
    for number in 1..=5_u64 {
        let at = format!("n/{number}");
        store.write_async(op(&at, Mutation::Set(raw("1"))), None, origin()).await.unwrap();
        assert_eq!(disk.without_power().store().unwrap().current_seq(), number);
    }
}

#[test]
fn full_disk_refuses_writes_until_it_has_space() {
    let disk = FakeDisk::default();
    let store = disk.store().unwrap();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hear = Arc::clone(&heard);
    let subscription = store.on_each_op(move |op| hear.lock().unwrap().push(op.store_seq));
    store.set("small", "1");
    disk.set_room(Some(disk.len()));
    let large = raw(&format!("\"{}\"", "x".repeat(200_000)));
    let mut done = 1;
    let refused = loop {
        match store.try_do(op(&format!("large/{done}"), Mutation::Set(large.clone()))) {
            Ok(_) => done += 1,
            Err(refused) => break refused,
        }
        assert!(done < 1_000, "the disk never fills");
    };
    assert_eq!(refused.name(), "storage");
    // Again, with only an error of the operating system as the cause.
    for _ in 0..3 {
        assert_eq!(store.refuse(&format!("large/{done}"), Mutation::Set(large.clone())).name(), "storage");
        assert_eq!((store.value("small"), store.current_seq()), ("1".to_owned(), done));
        assert_eq!(store.entry_count().unwrap(), done);
    }

    disk.set_room(None);
    assert_eq!(store.set("after", "2"), done + 1);
    assert_eq!(store.set(&format!("large/{done}"), large.as_str()), done + 2);
    assert_eq!(*heard.lock().unwrap(), (1..=done + 2).collect::<Vec<_>>());
    drop(subscription);
    let after = disk.without_power().store().unwrap();
    assert_eq!(leaves(&after), leaves(&store));
}

#[test]
fn unconfirmed_write_is_refused_and_store_continues() {
    let disk = FakeDisk::default();
    let store = disk.store().unwrap();
    store.set("a", "1");
    disk.fail_to_sync(true);
    assert_eq!(store.refuse("a", Mutation::Set(raw("2"))).name(), "storage");
    disk.fail_to_sync(false);
    // The refused write may be committed or not, but its `store_seq` is used only once.
    let seq = store.set("b", "1");
    assert_eq!(store.ops_since(0, 10).unwrap().len() as u64, seq);
    assert_eq!(disk.without_power().store().unwrap().current_seq(), seq);
}
