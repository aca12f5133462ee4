use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use async_trait::async_trait;
use dust_protocol::{CommittedOp, Entry, OpKind, Path, RawJson};

use super::*;
use crate::realtime::cache::{CacheRead, CacheWrite};

/// A cache in memory, which fails as often as it should.
#[derive(Debug, Default)]
struct Kept {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    cursor: Option<Cursor>,
    leaves: BTreeMap<String, Entry>,
    failing_commits: usize,
    /// The number of leaves that each transaction wrote or removed.
    transactions: Vec<usize>,
    /// The time that each commit takes.
    commit_time: Duration,
    /// The time that each change takes.
    change_time: Duration,
}

struct Writing {
    kept: Arc<Kept>,
    leaves: BTreeMap<String, Entry>,
    count: usize,
}

struct Reading(Option<Cursor>, Vec<Entry>);

#[derive(Debug)]
struct Handle(Arc<Kept>);

impl Kept {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    fn paths(&self) -> Vec<String> {
        self.inner().leaves.keys().cloned().collect()
    }

    fn seq(&self) -> Option<u64> {
        self.inner().cursor.as_ref().map(|cursor| cursor.seq)
    }
}

#[async_trait]
impl Cache for Handle {
    async fn read(&self, _: &str) -> Result<Box<dyn CacheRead>, DustErr> {
        let inner = self.0.inner();
        Ok(Box::new(Reading(inner.cursor.clone(), inner.leaves.values().cloned().collect())))
    }

    async fn write(&self, _: &str) -> Result<Box<dyn CacheWrite>, DustErr> {
        let leaves = self.0.inner().leaves.clone();
        Ok(Box::new(Writing { kept: Arc::clone(&self.0), leaves, count: 0 }))
    }
}

#[async_trait]
impl CacheRead for Reading {
    async fn cursor(&mut self) -> Result<Option<Cursor>, DustErr> {
        Ok(self.0.clone())
    }

    async fn next_leaves(&mut self) -> Result<Vec<Entry>, DustErr> {
        Ok(std::mem::take(&mut self.1))
    }
}

#[async_trait]
impl CacheWrite for Writing {
    async fn cursor(&mut self) -> Result<Option<Cursor>, DustErr> {
        Ok(self.kept.inner().cursor.clone())
    }

    async fn clear(&mut self, at_most: usize) -> Result<bool, DustErr> {
        let removed: Vec<String> = self.leaves.keys().take(at_most).cloned().collect();
        self.count += removed.len();
        removed.iter().for_each(|path| _ = self.leaves.remove(path));
        Ok(!self.leaves.is_empty())
    }

    async fn change(&mut self, set: Vec<Entry>, removed: Vec<Path>) -> Result<(), DustErr> {
        self.count += set.len() + removed.len();
        removed.iter().for_each(|path| _ = self.leaves.remove(path.as_str()));
        self.leaves.extend(set.into_iter().map(|entry| (entry.path.to_string(), entry)));
        let time = self.kept.inner().change_time;
        if !time.is_zero() {
            tokio::time::sleep(time).await;
        }
        Ok(())
    }

    /// Commits, and then takes its time: another writer has its turn before the answer arrives.
    async fn commit(self: Box<Self>, cursor: Cursor) -> Result<(), DustErr> {
        let time = {
            let mut inner = self.kept.inner();
            if inner.failing_commits > 0 {
                inner.failing_commits -= 1;
                return Err(DustErr::network("the disk is full"));
            }
            inner.transactions.push(self.count);
            (inner.cursor, inner.leaves) = (Some(cursor), self.leaves);
            inner.commit_time
        };
        if !time.is_zero() {
            tokio::time::sleep(time).await;
        }
        Ok(())
    }
}

fn op(store_seq: u64, op: OpKind, path: &str) -> CommittedOp {
    CommittedOp::new(store_seq, op, Path::parse(path).unwrap(), RawJson::null())
        .written_by("d".into(), store_seq.to_string().into())
}

fn place(kept: &Arc<Kept>, writer: &str) -> CacheTarget {
    CacheTarget::new(Arc::new(Handle(Arc::clone(kept))), "http://here".to_owned(), writer.to_owned())
}

fn followed(kept: &Arc<Kept>) -> (CacheTarget, StoreShared) {
    let mut mirror = Mirror::default();
    mirror.keep_journal(None);
    let place = place(kept, "one");
    (place, StoreShared::new("acme/main".to_owned(), mirror, false, Arc::default(), 1 << 20))
}

#[tokio::test]
async fn failed_changes_are_written_by_the_next_flush() {
    let kept = Arc::new(Kept::default());
    let (place, store) = followed(&kept);
    store.apply(vec![op(1, OpKind::Set, "a"), op(2, OpKind::Set, "gone")]).unwrap();
    place.flush(&store).await.unwrap();
    assert_eq!((kept.paths(), kept.seq(), store.saved()), (vec!["a".into(), "gone".into()], Some(2), Some(2)));

    store.apply(vec![op(3, OpKind::Set, "b"), op(4, OpKind::Delete, "gone")]).unwrap();
    kept.inner().failing_commits = 2;
    place.flush(&store).await.unwrap_err();
    place.flush(&store).await.unwrap_err();
    assert_eq!((kept.seq(), store.saved()), (Some(2), Some(2)));
    // Nothing has changed since.
    place.flush(&store).await.unwrap();
    assert_eq!((kept.paths(), kept.seq(), store.saved()), (vec!["a".into(), "b".into()], Some(4), Some(4)));
}

#[tokio::test]
async fn failed_changes_are_written_with_later_ones() {
    let kept = Arc::new(Kept::default());
    let (place, store) = followed(&kept);
    store.apply(vec![op(1, OpKind::Set, "a")]).unwrap();
    kept.inner().failing_commits = 1;
    place.flush(&store).await.unwrap_err();
    store.apply(vec![op(2, OpKind::Set, "b")]).unwrap();
    place.flush(&store).await.unwrap();
    store.apply(vec![op(3, OpKind::Set, "c")]).unwrap();
    kept.inner().failing_commits = 1;
    place.flush(&store).await.unwrap_err();
    store.apply(vec![op(4, OpKind::Set, "d")]).unwrap();
    place.flush(&store).await.unwrap();
    assert_eq!((kept.paths(), kept.seq()), (["a", "b", "c", "d"].map(String::from).to_vec(), Some(4)));
}

mod large;
