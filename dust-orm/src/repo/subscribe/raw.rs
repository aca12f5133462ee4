//! Subscriptions to ops instead of records.

use std::fmt;
use std::future::poll_fn;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use dust_protocol::value::is_claim;
use dust_protocol::{CommittedOp, OpKind, Pattern};
use futures_core::Stream;
use futures_util::StreamExt;

use super::Subscribe;
use crate::entity::DustEntity;
use crate::error::DustErr;
use crate::feed::{Delivery, Ops};
use crate::transport::Transport;

/// An item of a [`RawSubscription`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RawEvent {
    /// A committed op.
    Op(RawOp),
    /// Ops are missing here: the subscriber fell too far behind, or the client did.
    Resync,
}

/// An op as it was committed: [`op`](CommittedOp::op), [`path`](CommittedOp::path), [`value`](CommittedOp::value),
/// [`store_seq`](CommittedOp::store_seq), [`device_id`](CommittedOp::device_id) and
/// [`client_op_id`](CommittedOp::client_op_id), and [`own`](RawOp::own).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RawOp {
    /// The op, shared with the other subscribers.
    pub committed: Arc<CommittedOp>,
    /// True if it was written through the transport of this repo.
    pub own: bool,
}

impl Deref for RawOp {
    type Target = CommittedOp;

    fn deref(&self) -> &CommittedOp {
        &self.committed
    }
}

impl<E: DustEntity> Subscribe<'_, E> {
    /// Subscribes to the ops themselves instead of the records that they make; see [`RawSubscription`].
    ///
    /// # Errors
    ///
    /// The same as those of [`subscribe`](crate::DustRepo::subscribe).
    pub async fn raw(self) -> Result<RawSubscription, DustErr> {
        let transport = self.repo.source_for::<E>();
        let range = self.part.selected()?.range;
        let pattern = Pattern::subtree(&range.base)?;
        let hub = transport.op_hub().await?;
        let ops = match range.text_start() {
            Some(start) => hub.subscribe_below(&pattern, start, self.capacity),
            None => hub.subscribe(&pattern, self.capacity),
        };
        Ok(RawSubscription { ops, transport })
    }
}

/// The ops that concern the records of an entity, each once, in the order of `store_seq`: those at paths below its
/// prefix, and those that replace or remove leaves there by a path above it or one that differs in case. A stream of
/// [`RawEvent`]s. Dropping it unsubscribes at once.
///
/// It omits the claim by which [`if_absent`](crate::repo::Insert::if_absent) reserves a path over HTTP, as readers
/// treat it as an absent leaf.
///
/// When more ops wait than its queue holds, ops whose effect a later one replaces are dropped (an older `set` of the
/// same path); when that is not enough, [`Resync`](RawEvent::Resync) replaces all of them. The stream ends only when
/// the transport is closed: it keeps an embedded store open, and ends with its realtime client.
///
/// ```
/// # use dust_orm::{DustRepo, entity::prelude::*, repo::RawEvent, tests_cfg::link};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), dust_orm::DustErr> {
/// # let repo = DustRepo::embedded();
/// let mut ops = repo.subscribe::<link::Entity>().raw().await?;
/// repo.delete_by_id::<link::Entity>("dust").await?;
///
/// let Some(RawEvent::Op(op)) = ops.next().await else { panic!("an op") };
/// assert_eq!((op.op.name(), op.path.as_str(), op.store_seq, op.own), ("delete", "links/dust", 1, true));
/// # Ok(())
/// # }
/// ```
#[must_use = "dropping the subscription ends it"]
pub struct RawSubscription {
    ops: Ops,
    transport: Arc<dyn Transport>,
}

impl RawSubscription {
    /// The next op. `None` only when the transport is closed.
    ///
    /// It equals `next` of a `StreamExt`, without that trait. Dropping the future loses no op.
    pub async fn next(&mut self) -> Option<RawEvent> {
        poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await
    }
}

impl Stream for RawSubscription {
    type Item = RawEvent;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<RawEvent>> {
        let this = self.get_mut();
        loop {
            return Poll::Ready(match ready!(this.ops.poll_next_unpin(context)) {
                Some(Delivery::Op(committed)) if claims(&committed) => continue,
                Some(Delivery::Op(committed)) => {
                    let own = this.transport.is_own(&committed);
                    Some(RawEvent::Op(RawOp { committed, own }))
                }
                Some(Delivery::Resync) => Some(RawEvent::Resync),
                None => None,
            });
        }
    }
}

/// True for the claim of an insert that is under way, which reads like an absent leaf.
fn claims(op: &CommittedOp) -> bool {
    op.op == OpKind::Set && is_claim(op.value.as_str())
}

impl fmt::Debug for RawSubscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawSubscription").field("transport", &self.transport.name()).finish_non_exhaustive()
    }
}
