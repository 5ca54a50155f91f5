<<<<<<< HEAD
//! `trine`: one binary for the node and for the people who run it.

=======
//! The daemon `trine`.
>>>>>>> ab6c963 (Say what a region's Raft group offers to the driver)
fn main() {}
