//! The daemon `trine`.

fn main() {}
