//! Benchmarks of dust-orm: `cargo bench -p bench`.
