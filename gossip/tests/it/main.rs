//! How gossip spreads and heals, told in stories.

mod chance;
mod lattice;
mod link;
mod metadata;
mod network;
mod repair;
mod rumor;
mod vectors;
