//! What a flight comes to.

/// What [`single_flight`](crate::DustRepo::single_flight) answers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Flight<T> {
    /// The value, as it is read from the store.
    pub value: T,
    /// Where it comes from.
    pub source: Source,
    /// Whether it is not fresh, and the answer only because no fresh one came in time.
    pub stale: bool,
    /// Whether the others knew. `false` when Dust was not reached and the work was done regardless: nothing was published,
    /// and others may have done the same work.
    pub coordinated: bool,
}

/// Where the value of a [`Flight`] comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Source {
    /// It was there.
    Stored,
    /// This caller has computed it.
    Computed,
    /// Another caller computed it while this one waited.
    Awaited,
}

impl<T> Flight<T> {
    pub(super) fn new(value: T, source: Source) -> Flight<T> {
        Flight { value, source, stale: false, coordinated: true }
    }
}
