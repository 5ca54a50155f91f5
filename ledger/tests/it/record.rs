//! Records: what is committed to cannot be changed, and one record has one form.

use std::collections::BTreeMap;

use bytes::Bytes;
use expect_test::expect_file;
use proptest::prelude::*;
use trine_crdt::NamespaceId;
use trine_ledger::limits::{HEADER_BYTES_MAX, KEY_BYTES_MAX, SEEN_MAX};
use trine_ledger::record::metadata_to_bytes;
use trine_ledger::{Body, FormError, Record, RecordError, RecordHeader};

use crate::fixture::{at, body, header, hex};

fn record(body: &Body) -> Record {
    Record { header: header(at(0), body).to_bytes().expect("within bounds"), body: Some(body.clone()) }
}

#[test]
fn the_bytes_stay_what_they_were() {
    let body = body("orders/7", "paid");
    let seen = vec![[9; 32], [4; 32], [9; 32]];
    let header =
        RecordHeader::of(NamespaceId::default_ledger(), at(5), "text/plain".to_owned(), seen, Some([6; 16]), &body)
            .expect("within bounds");
    let record = Record { header: header.to_bytes().expect("within bounds"), body: Some(body) };
    expect_file!["../../testdata/record.hex"].assert_eq(&hex(&record.to_bytes().expect("within bounds")));
    expect_file!["../../testdata/leaf.hex"].assert_eq(&hex(&record.leaf()));
}

#[test]
fn a_body_belongs_to_one_header() {
    let good = record(&body("orders/7", "paid"));
    assert!(good.verify().is_ok());
    let changed = |change: fn(&mut Body)| {
        let mut body = good.body.clone().expect("it has one");
        change(&mut body);
        Record { body: Some(body), ..good.clone() }.verify().expect_err("another body")
    };
    let commitment = |part| RecordError::Commitment { part };
    assert_eq!(changed(|body| body.key.push('0')), commitment("key"));
    assert_eq!(changed(|body| body.salts[0][31] ^= 1), commitment("key"));
    assert_eq!(changed(|body| body.metadata.clear()), commitment("metadata"));
    assert_eq!(changed(|body| body.salts[1][0] ^= 1), commitment("metadata"));
    assert_eq!(changed(|body| body.value = Bytes::from_static(b"owed")), commitment("value"));
    assert_eq!(changed(|body| body.salts[2][0] ^= 1), commitment("value"));
    let stripped = Record { body: None, ..good.clone() };
    assert_eq!(stripped.verify(), Err(RecordError::NoBody));
    assert_eq!(stripped.leaf(), good.leaf(), "the tree does not know bodies");
}

#[test]
fn equal_values_do_not_look_alike_in_headers() {
    let (one, mut other) = (body("k", "yes"), body("k", "yes"));
    other.salts = [[8; 32]; 3];
    let (one, other) = (header(at(0), &one).commitments, header(at(0), &other).commitments);
    assert!((0..3).all(|part| one[part] != other[part]));
}

#[test]
fn what_is_too_large_is_refused() {
    let long = Body { key: "k".repeat(KEY_BYTES_MAX + 1), ..body("k", "v") };
    let too_long = FormError::TooLong { field: "key", size: KEY_BYTES_MAX + 1, max: KEY_BYTES_MAX };
    assert_eq!(long.check(), Err(too_long));
    assert!(Body { key: String::new(), ..body("k", "v") }.check().is_err());
    let metadata = BTreeMap::from([("n".to_owned(), "v".repeat(70_000))]);
    assert!(Body { metadata, ..body("k", "v") }.check().is_err());
    let seen = (0..200_u8).map(|byte| [byte; 32]).collect();
    let body = body("k", "v");
    let header = RecordHeader::of(NamespaceId::default_ledger(), at(0), String::new(), seen, None, &body);
    let header = header.expect("seen is cut to its bound");
    assert_eq!(header.seen.len(), SEEN_MAX);
    assert!(header.to_bytes().expect("within bounds").len() <= HEADER_BYTES_MAX);
}

#[test]
fn a_second_form_of_a_record_is_refused() {
    let bytes = record(&body("k", "v")).to_bytes().expect("within bounds");
    let longer = [&bytes[..], &[0]].concat();
    assert_eq!(Record::from_bytes(&longer.into()), Err(FormError::Trailing { size: 1 }));
    let mut newer = bytes.to_vec();
    newer[0] = 2;
    assert_eq!(Record::from_bytes(&newer.into()), Err(FormError::Version { field: "record", version: 2 }));
    for end in 0..bytes.len() {
        assert!(Record::from_bytes(&bytes.slice(..end)).is_err(), "cut at {end}");
    }
}

#[test]
fn metadata_has_one_order() {
    let pairs = |names: [&str; 2]| BTreeMap::from(names.map(|name| (name.to_owned(), String::new())));
    assert_eq!(metadata_to_bytes(&pairs(["a", "b"])), metadata_to_bytes(&pairs(["b", "a"])));
    let good = record(&Body { metadata: pairs(["a", "b"]), ..body("k", "v") }).to_bytes().expect("within bounds");
    let ordered = [0, 1, b'a', 0, 0, 0, 1, b'b', 0, 0];
    let at = good.windows(10).position(|window| window == ordered).expect("the pairs are in there");
    for names in [*b"ba", *b"aa"] {
        let mut other = good.to_vec();
        (other[at + 2], other[at + 7]) = (names[0], names[1]);
        assert_eq!(Record::from_bytes(&other.into()), Err(FormError::Malformed { field: "metadata" }));
    }
}

proptest! {
    #[test]
    fn records_go_through_their_bytes(
        key in "\\PC{1,40}",
        value in proptest::collection::vec(any::<u8>(), 0..200),
        metadata in proptest::collection::btree_map("[a-z]{0,8}", "\\PC{0,20}", 0..6),
        salts in any::<[[u8; 32]; 3]>(),
        with_body in any::<bool>(),
    ) {
        let body = Body { salts, key, metadata, value: value.into() };
        let whole = record(&body);
        prop_assert!(whole.verify().is_ok());
        let record = Record { body: with_body.then_some(body), ..whole };
        let bytes = record.to_bytes().expect("within bounds");
        let read = Record::from_bytes(&bytes).expect("our own bytes");
        prop_assert_eq!(&read, &record);
        prop_assert_eq!(read.to_bytes().expect("within bounds"), bytes);
    }

    #[test]
    fn whatever_is_accepted_is_canonical(position in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = record(&body("orders/7", "paid")).to_bytes().expect("within bounds").to_vec();
        let position = position.index(bytes.len());
        bytes[position] = byte;
        let bytes = Bytes::from(bytes);
        if let Ok(record) = Record::from_bytes(&bytes) {
            prop_assert_eq!(record.to_bytes().expect("within bounds"), bytes);
        }
    }

    #[test]
    fn noise_is_refused_without_a_panic(noise in proptest::collection::vec(any::<u8>(), 0..400)) {
        let noise = Bytes::from(noise);
        if let Ok(record) = Record::from_bytes(&noise) {
            prop_assert_eq!(record.to_bytes().expect("within bounds"), noise.clone());
        }
        let _ = RecordHeader::from_bytes(&noise).map(|header| assert_eq!(header.to_bytes().as_ref(), Ok(&noise)));
    }
}
