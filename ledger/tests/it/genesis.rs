//! The founding document: exact bytes, one signer.

use expect_test::expect_file;
use proptest::prelude::*;
use trine_ledger::{Genesis, GenesisError, GenesisNode, GenesisRegion};

use crate::fixture::key;

fn genesis() -> Genesis {
    let regions = [("us-east-1", 10_u8), ("eu-west-1", 20), ("ap-south-1", 30)];
    let node = |region: &str, letter: char| GenesisNode {
        name: format!("{region}-{letter}"),
        peer: format!("peer-{region}-{letter}"),
        addresses: vec!["/ip4/127.0.0.1/tcp/7421".to_owned()],
        raft: "127.0.0.1:7422".to_owned(),
    };
    let region = |(id, seed): (&str, u8)| GenesisRegion {
        id: id.parse().expect("a region's name"),
        log_key: key(seed).verifying_key().to_bytes(),
        nodes: ['a', 'b', 'c'].map(|letter| node(id, letter)).to_vec(),
    };
    Genesis { cluster: "0123456789abcdef0123456789abcdef".to_owned(), regions: regions.map(region).to_vec() }
}

#[test]
fn every_node_reads_what_the_ca_signed() {
    let document = genesis().sign(&key(1)).expect("it founds a cluster");
    expect_file!["../../testdata/genesis.json"].assert_eq(std::str::from_utf8(&document).expect("text"));
    assert_eq!(Genesis::open(&document, &key(1).verifying_key()), Ok(genesis()));
    assert_eq!(Genesis::signer(&document), Ok(key(1).verifying_key()));
}

#[test]
fn nobody_else_founds_this_cluster() {
    let document = genesis().sign(&key(2)).expect("it founds a cluster");
    assert_eq!(Genesis::open(&document, &key(1).verifying_key()), Err(GenesisError::OtherCa));
    // The trusted CA's name under another's signature.
    let ours = genesis().sign(&key(1)).expect("it founds a cluster");
    let field = |document: &[u8], name: &str| {
        let text = std::str::from_utf8(document).expect("text");
        text.lines().find(|line| line.contains(name)).expect("the field").to_owned()
    };
    let text = std::str::from_utf8(&document).expect("text");
    let forged = text.replace(&field(&document, "\"ca\""), &field(&ours, "\"ca\""));
    assert_eq!(Genesis::open(forged.as_bytes(), &key(1).verifying_key()), Err(GenesisError::Signature));
    let mut moved = genesis();
    moved.regions[0].nodes[0].raft = "203.0.113.9:7422".to_owned();
    let moved = moved.sign(&key(1)).expect("it founds a cluster");
    let mixed = std::str::from_utf8(&ours).expect("text");
    let mixed = mixed.replace(&field(&ours, "\"payload\""), &field(&moved, "\"payload\""));
    assert_eq!(Genesis::open(mixed.as_bytes(), &key(1).verifying_key()), Err(GenesisError::Signature));
}

#[test]
fn what_founds_no_cluster_is_not_signed() {
    let refused = |change: fn(&mut Genesis)| {
        let mut genesis = genesis();
        change(&mut genesis);
        genesis.sign(&key(1)).expect_err("it founds no cluster")
    };
    let changes: [fn(&mut Genesis); 7] = [
        |genesis| genesis.cluster = "my-cluster".to_owned(),
        |genesis| genesis.regions.clear(),
        |genesis| genesis.regions[1].id = genesis.regions[0].id.clone(),
        |genesis| genesis.regions[1].log_key = genesis.regions[0].log_key,
        |genesis| genesis.regions[1].log_key = [0; 32],
        |genesis| genesis.regions[1].nodes.clear(),
        |genesis| genesis.regions[1].nodes[0].name = genesis.regions[0].nodes[0].name.clone(),
    ];
    for change in changes {
        assert!(matches!(refused(change), GenesisError::Malformed(_)));
    }
}

proptest! {
    #[test]
    fn no_changed_byte_changes_what_is_read(position in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut document = genesis().sign(&key(1)).expect("it founds a cluster").to_vec();
        let position = position.index(document.len());
        document[position] = byte;
        // Blanks between the fields may change; the payload is under the signature.
        if let Ok(read) = Genesis::open(&document, &key(1).verifying_key()) {
            prop_assert_eq!(read, genesis());
        }
    }

    #[test]
    fn noise_is_refused_without_a_panic(noise in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(Genesis::open(&noise, &key(1).verifying_key()).is_err());
        prop_assert!(Genesis::signer(&noise).is_err());
    }
}
