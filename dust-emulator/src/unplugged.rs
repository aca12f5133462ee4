//! An emulator without a network.

use std::fmt;
use std::sync::Arc;

use dust_store::Store;

use crate::auth::Token;
use crate::error::EmulatorError;
use crate::socket::Line;
use crate::state::State;
use crate::stores::StoreName;

/// A Dust server's side of its WebSockets, without a network, a runtime or threads: what a simulation drives frame by
/// frame. Made by [`EmulatorBuilder::unplugged`](crate::EmulatorBuilder::unplugged).
///
/// ```
/// use dust_emulator::{Emulator, Twist};
///
/// let server = Emulator::builder().store("acme/main").unplugged()?;
/// let mut line = server.connect("laptop");
/// assert!(line.receive(r#"["1","1","store:acme/main","phx_join",{"last_store_seq":0}]"#, Twist::default()));
/// assert!(line.next_frame().unwrap().contains("\"store_seq\":0"));
/// line.catch_up(10);
/// assert!(line.next_frame().unwrap().contains("catch_up_complete"));
/// # Ok::<(), dust_emulator::EmulatorError>(())
/// ```
pub struct Unplugged {
    pub(crate) state: Arc<State>,
    pub(crate) token: Arc<Token>,
    pub(crate) store: StoreName,
    pub(crate) skipped_seeds: Vec<String>,
}

impl Unplugged {
    /// A client connects, with the token that may do everything.
    pub fn connect(&self, device_id: &str) -> Line {
        Line::new(&self.state, Arc::clone(&self.token), device_id)
    }

    /// A store, past the protocol. See [`Emulator::store_handle`](crate::Emulator::store_handle).
    pub fn store_handle(&self, name: &str) -> Result<Store, EmulatorError> {
        Ok(self.state.stores.open_or_create(&StoreName::parse(name)?)?.store)
    }

    /// Puts a store back to what it was after an op, as if a server had been restored from a backup. False where that is not
    /// known: for an op that is still to come, or before the last compaction.
    ///
    /// Lines and [handles](Unplugged::store_handle) from before keep to the store as it was then: drop them.
    pub fn restore(&self, name: &str, store_seq: u64) -> Result<bool, EmulatorError> {
        self.state.stores.restore(&StoreName::parse(name)?, store_seq)
    }
}

impl fmt::Debug for Unplugged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unplugged").field("store", &self.store.to_string()).finish_non_exhaustive()
    }
}
