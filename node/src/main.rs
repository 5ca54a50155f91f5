//! `trine`: one binary for the node and for the people who run it.

fn main() {}
