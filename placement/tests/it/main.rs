//! Who is chosen, told in stories.

mod rendezvous;
mod voters;
