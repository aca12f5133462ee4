mod rules;
mod server;
mod simulation;
