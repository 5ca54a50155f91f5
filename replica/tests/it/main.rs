//! Stories of one core among a few: scripted inputs, disks in memory, no chance.

mod answers;
mod clock;
mod deltas;
mod disk;
mod durable;
mod forks;
mod founding;
mod joining;
mod journeys;
mod mirrors;
mod namespaces;
mod nodes_listed;
mod nothing;
mod objects_listed;
mod restart;
mod signing;
mod standing;
mod world;
