//! Integration tests of places at a listener.

mod crowds;
