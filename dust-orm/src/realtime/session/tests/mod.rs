mod recorded;
mod rules;
pub(crate) mod server;
mod simulation;
