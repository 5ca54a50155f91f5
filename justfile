# What CI runs; changes nothing.
check:
    .ci/run

# Mends what can be mended by machine.
fix:
    cargo fmt --all
    cargo clippy --workspace --all-targets --fix --allow-dirty --allow-staged
