//! An emulator without a network.

use std::fmt;
use std::sync::Arc;

use dust_store::Store;

use crate::auth::Token;
use crate::error::EmulatorError;
use crate::socket::LoopbackSocket;
use crate::state::State;
use crate::stores::StoreName;

/// The server's side of WebSockets without a network, a runtime or threads, which a simulation drives frame by frame.
/// Made by [`EmulatorBuilder::unplugged`](crate::EmulatorBuilder::unplugged).
///
/// ```
/// use dust_emulator::{Emulator, ReplyFault};
///
/// let server = Emulator::builder().store("acme/main").unplugged()?;
/// let mut socket = server.connect("laptop");
/// assert!(socket.receive(r#"["1","1","store:acme/main","phx_join",{"last_store_seq":0}]"#, ReplyFault::default()));
/// assert!(socket.next_frame().unwrap().contains("\"store_seq\":0"));
/// socket.catch_up(10);
/// assert!(socket.next_frame().unwrap().contains("catch_up_complete"));
/// # Ok::<(), dust_emulator::EmulatorError>(())
/// ```
pub struct InProcessServer {
    pub(crate) state: Arc<State>,
    pub(crate) token: Arc<Token>,
    pub(crate) store: StoreName,
    pub(crate) skipped_seeds: Vec<String>,
}

impl InProcessServer {
    /// Connects a client, with the token without restrictions.
    pub fn connect(&self, device_id: &str) -> LoopbackSocket {
        LoopbackSocket::new(&self.state, Arc::clone(&self.token), device_id)
    }

    /// Direct access to a store. See [`Emulator::store_handle`](crate::Emulator::store_handle).
    pub fn store_handle(&self, name: &str) -> Result<Store, EmulatorError> {
        Ok(self.state.stores.open_or_create(&StoreName::parse(name)?)?.store)
    }

    /// Restores a store as of an op, as a server that was restored from a backup. Returns false for an op in the future
    /// or before the last compaction.
    ///
    /// Earlier sockets and [handles](InProcessServer::store_handle) still refer to the previous store: drop them.
    pub fn restore(&self, name: &str, store_seq: u64) -> Result<bool, EmulatorError> {
        self.state.stores.restore(&StoreName::parse(name)?, store_seq)
    }
}

impl fmt::Debug for InProcessServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InProcessServer").field("store", &self.store.to_string()).finish_non_exhaustive()
    }
}
