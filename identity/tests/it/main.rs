//! Integration tests: certificates on real files and sockets.

mod identity;
