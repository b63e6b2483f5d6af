# Short names for what is done often; each is one command that works without `just` too.

# Show what there is.
default:
    @just --list

# Format the code.
fmt:
    cargo fmt --all

# Format, clippy, documentation, shell scripts, dependencies.
lint:
    scripts/test lint

# Every test; or parts: just test unit e2e
test *parts:
    scripts/test {{parts}}

# Instruction budgets, then the timed benches.
bench:
    scripts/test budgets
    cargo bench --workspace

# Measure: connections, requests, datagrams, bulk, latency, memory. See docs/benchmarking.md.
load *options:
    scripts/bench {{options}}

# Two revisions by instructions executed: just compare main HEAD
compare *revisions:
    scripts/bench-compare {{revisions}}

# Build and start on conf/quickstart.yaml, or on a configuration of your own.
run *conf:
    scripts/run {{conf}}
