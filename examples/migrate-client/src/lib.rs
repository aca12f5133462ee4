//! Migration from a client that was written by hand.
//!
//! [`before`] is a program with a typical Dust client; [`after`] is the same program on dust-orm. `tests/same_store.rs`
//! checks that both print the same and leave the same store.
//!
//! | step | before | after |
//! |---|---|---|
//! | 1. the client is removed | `client`: URLs, headers, statuses | `DustRepo::connect` or `DustRepo::from_env` |
//! | 2. the schema becomes an entity | `schema`: leaves to struct and back | `link::Model` with two derives |
//! | 3. checks become a changeset | `schema::check`, one message at a time | `link::changeset`, all errors, by field |
//! | 4. tuple errors become kinds | `Err(("conflict", _))`, compared as text | `ErrKind::Conflict` |
//! | 5. N PUTs become one batch | a PUT for each field; a failure leaves half a record | one atomic request for a write or a batch |
//! | 6. revisions become opaque | the revision of one leaf, kept by the caller | `find_versioned` and `.if_match(&seen.revision)` |
//! | 7. soft delete becomes delete | a leaf `deleted_at`, which every read checks | `delete_by_id` |
//!
//! Step 7 needs care: the new entity has no field `deleted_at`, so softly deleted records would reappear. Run
//! [`after::purge`] once, when the last old program has stopped.

pub mod after;
pub mod before;

use dust_emulator::Emulator;

/// The address of a store.
#[derive(Clone, Debug)]
pub struct Server {
    pub url: String,
    pub store: String,
    pub token: String,
}

impl From<&Emulator> for Server {
    fn from(emulator: &Emulator) -> Server {
        Server { url: emulator.url(), store: emulator.store(), token: emulator.token().to_owned() }
    }
}
