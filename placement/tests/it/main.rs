//! Who is chosen, told in stories.

mod rendezvous;
mod route;
mod voters;
