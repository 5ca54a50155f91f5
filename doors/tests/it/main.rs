//! Integration tests of the doors, before a node of a few lines.

mod coverage;
mod crowds;
mod fake_node;
mod http_bodies;
mod http_client;
mod http_conditions;
mod http_doors;
mod http_ledger;
mod http_objects;
mod http_tls;
