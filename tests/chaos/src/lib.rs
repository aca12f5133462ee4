//! Checks of the realtime client's promises under faults.
//!
//! [`sim`] runs several sessions, their mirrors and a server in one thread, with a scheduler and a virtual clock: a
//! seed determines the whole run. [`sockets`] runs clients and a server on real sockets, in real time.

pub mod beside;
pub mod child;
pub mod dice;
pub mod ledger;
pub mod seeds;
pub mod sim;
pub mod sockets;
pub mod violation;
