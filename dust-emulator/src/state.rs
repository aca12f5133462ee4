//! The state that all requests share.

use std::sync::Arc;

use dust_store::Clock;

use crate::auth::Tokens;
use crate::faults::Faults;
use crate::guard::Hosts;
use crate::journal::Journal;
use crate::limits::Limits;
use crate::socket::Hub;
use crate::stores::Stores;

pub(crate) struct State {
    /// The hosts that are answered in addition to those of this machine.
    pub(crate) hosts: Hosts,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) stores: Stores,
    pub(crate) tokens: Tokens,
    pub(crate) limits: Limits,
    pub(crate) faults: Faults,
    pub(crate) journal: Journal,
    pub(crate) hub: Hub,
}
