# Shortcuts: `just` shows them. Each is one command that also runs without just.

# Shows this list.
default:
    @just --list

# Everything that must hold before a change lands: about half an hour.
ci:
    .ci/run

# Format, lints, prose, the public items and the layers: a few minutes.
check:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings
    cargo run -q -p xtask -- prose
    cargo run -q -p xtask -- api
    cargo run -q -p xtask -- imports

# All tests, without PostgreSQL and a browser.
test *arguments:
    cargo test --workspace {{ arguments }}

# Every finding of prose below a path, such as `dust-orm/src/repo`.
prose path:
    cargo run -q -p xtask -- prose {{ path }}

# Accepts the public items as they are now.
api:
    cargo run -q -p xtask -- api --write

# The figures of docs/performance.md.
bench:
    cargo run --release -p bench

# Simulations of the realtime client under faults.
chaos seeds="2000":
    cargo run -p chaos -- --seeds {{ seeds }}

# Arbitrary bytes through parsers and client.
fuzz seconds="600":
    cargo run --release -p fuzz -- --seconds {{ seconds }}

# The reference and the guide.
docs:
    cargo doc -p dust-orm --all-features --no-deps
    mdbook build docs/guide
