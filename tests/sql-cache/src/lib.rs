//! The SQL cache of the realtime client: see `tests/`.
