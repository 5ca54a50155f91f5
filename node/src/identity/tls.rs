//! TLS both ways with the cluster's certificates. (Verifiers follow with the ledger crate's certificate check.)
