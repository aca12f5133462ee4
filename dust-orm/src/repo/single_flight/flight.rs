//! The result of `single_flight`.

/// The result of [`single_flight`](crate::DustRepo::single_flight).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Flight<T> {
    /// The value, as it is read from the store.
    pub value: T,
    /// The origin of the value.
    pub source: Source,
    /// True if the value is not fresh, and is returned because no fresh one came in time.
    pub stale: bool,
    /// True if the work was coordinated with other callers. False if Dust was unreachable and the work ran all the
    /// same: nothing was published, and other callers may have done the same work.
    pub coordinated: bool,
}

/// The origin of the value of a [`Flight`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Source {
    /// The store had it at the first look.
    Stored,
    /// This caller computed it.
    Computed,
    /// Another caller computed it while this one waited.
    Awaited,
}

impl<T> Flight<T> {
    pub(super) fn new(value: T, source: Source) -> Flight<T> {
        Flight { value, source, stale: false, coordinated: true }
    }
}
