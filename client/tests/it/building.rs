//! What a client needs before it is one.

use trine_client::{BuildError, Client};

#[test]
fn what_is_missing_is_named() {
    assert!(matches!(Client::builder().build(), Err(BuildError::Missing("a seed"))));
    let seeded = Client::builder().seed("/ip4/127.0.0.1/tcp/7421").expect("an address");
    assert!(matches!(seeded.build(), Err(BuildError::Missing(what)) if what.contains("key")));
    let wrong = Client::builder().seed("127.0.0.1:7421");
    assert!(matches!(wrong.map(|_| ()), Err(BuildError::Address { address }) if address == "127.0.0.1:7421"));
}

#[test]
fn files_that_are_no_identity_are_refused() {
    let pem = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let built = Client::builder().pem(pem.as_bytes(), pem.as_bytes(), b"no key");
    assert!(matches!(built.map(|_| ()), Err(BuildError::Identity { .. })));
    let missing = Client::builder().directory(std::path::Path::new("/nowhere/at/all"));
    assert!(matches!(missing.map(|_| ()), Err(BuildError::File { path, .. }) if path.ends_with("ca.crt")));
}
