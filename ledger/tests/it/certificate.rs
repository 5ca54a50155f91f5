//! Certificates: every known way of making one say two things is refused.

use expect_test::expect_file;
use proptest::prelude::*;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyUsagePurpose,
    PKCS_ED25519, PublicKeyData, SanType, SerialNumber, SignatureAlgorithm, date_time_ymd,
};
use trine_ledger::certificate::{public_key, uri, verify};
use trine_ledger::{CertificateError, CertificateRole, Claims, SigningKey, peer_id};

use crate::fixture::{hex, key};

const CLUSTER: &str = "0123456789abcdef0123456789abcdef";
/// 2026-06-01, between the certificates' dates.
const NOW: i64 = 1_780_272_000;

/// A key as rcgen wants it.
struct Holder(SigningKey, [u8; 32]);

impl Holder {
    fn new(seed: u8) -> Self {
        Self(key(seed), key(seed).verifying_key().to_bytes())
    }
}

impl PublicKeyData for Holder {
    fn der_bytes(&self) -> &[u8] {
        &self.1
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ED25519
    }
}

impl rcgen::SigningKey for Holder {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        use ed25519_dalek::Signer;
        Ok(self.0.sign(message).to_vec())
    }
}

fn node_uri() -> String {
    let region = "us-east-1".parse().expect("a region's name");
    uri(CLUSTER, CertificateRole::Node, Some(&region), "us-east-1-a", &Holder::new(5).1)
}

fn params(names: &[&str]) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.not_before = date_time_ymd(2026, 1, 1);
    params.not_after = date_time_ymd(2027, 1, 1);
    params.serial_number = Some(SerialNumber::from(7_u64));
    params.subject_alt_names = names.iter().map(|name| SanType::URI((*name).try_into().expect("ASCII"))).collect();
    params
}

fn issue(params: &CertificateParams, ca: u8) -> Vec<u8> {
    let issuer = Issuer::new(CertificateParams::default(), Holder::new(ca));
    params.signed_by(&Holder::new(5), &issuer).expect("it can be written").der().to_vec()
}

fn check(der: &[u8]) -> Result<Claims, CertificateError> {
    verify(der, &key(1).verifying_key(), CLUSTER, NOW)
}

fn named(name: &str) -> Result<Claims, CertificateError> {
    check(&issue(&params(&[name]), 1))
}

#[test]
fn the_peer_id_is_libp2ps() {
    // The Ed25519 key of libp2p's peer id specification.
    let key = [
        0x1e, 0xd1, 0xe8, 0xfa, 0xe2, 0xc4, 0xa1, 0x44, 0xb8, 0xbe, 0x8f, 0xd4, 0xb4, 0x7b, 0xf3, 0xd3, 0xb3, 0x4b,
        0x87, 0x1c, 0x3c, 0xac, 0xf6, 0x01, 0x0f, 0x0e, 0x42, 0xd4, 0x74, 0xfc, 0xe2, 0x7e,
    ];
    assert_eq!(peer_id(&key), "12D3KooWBtg3aaRMjxwedh83aGiUkwSxDwUZkzuJcfaqUmo7R3pq");
}

#[test]
fn the_ca_says_who_a_key_is() {
    let der = issue(&params(&[&node_uri()]), 1);
    expect_file!["../../testdata/certificate.hex"].assert_eq(&hex(&der));
    let claims = check(&der).expect("it is good");
    assert_eq!((claims.role, claims.name.as_str()), (CertificateRole::Node, "us-east-1-a"));
    assert_eq!(claims.region, "us-east-1".parse().ok());
    assert_eq!((claims.public_key, claims.peer.clone()), (Holder::new(5).1, peer_id(&Holder::new(5).1)));
    assert_eq!(claims.uri(), node_uri());
    assert_eq!(public_key(&der), Ok(key(5).verifying_key()));
    for role in [CertificateRole::Admin, CertificateRole::Writer, CertificateRole::Reader] {
        let claims = named(&uri(CLUSTER, role, None, "ops", &Holder::new(5).1)).expect("it is good");
        assert_eq!((claims.role, claims.region), (role, None));
    }
}

#[test]
fn usual_extensions_do_no_harm() {
    let mut usual = params(&[&node_uri()]);
    usual.is_ca = IsCa::ExplicitNoCa;
    usual.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    usual.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    usual.use_authority_key_identifier_extension = true;
    assert!(check(&issue(&usual, 1)).is_ok());
}

#[test]
fn time_and_cluster_are_checked() {
    let der = issue(&params(&[&node_uri()]), 1);
    let at = |now| verify(&der, &key(1).verifying_key(), CLUSTER, now);
    let (not_before, not_after) = (1_767_225_600, 1_798_761_600);
    assert!(at(not_before).is_ok() && at(not_after).is_ok());
    assert_eq!(at(not_before - 1), Err(CertificateError::NotYet { not_before }));
    assert_eq!(at(not_after + 1), Err(CertificateError::Expired { not_after }));
    let found = CLUSTER.to_owned();
    let other = verify(&der, &key(1).verifying_key(), "ffffffffffffffffffffffffffffffff", NOW);
    assert_eq!(other, Err(CertificateError::Cluster { found }));
}

#[test]
fn nobody_but_the_ca_certifies() {
    assert_eq!(check(&issue(&params(&[&node_uri()]), 2)), Err(CertificateError::Signature));
    let own = params(&[&node_uri()]).self_signed(&Holder::new(5)).expect("it can be written");
    assert_eq!(check(own.der()), Err(CertificateError::Signature));
}

#[test]
fn one_name_and_no_other() {
    let two = CertificateError::Name("not exactly one URI");
    assert_eq!(check(&issue(&params(&[&node_uri(), &node_uri()]), 1)), Err(two.clone()));
    for other in [
        SanType::DnsName("us-east-1-a".try_into().expect("ASCII")),
        SanType::IpAddress([127, 0, 0, 1].into()),
        SanType::Rfc822Name("a@example.com".try_into().expect("ASCII")),
    ] {
        let mut mixed = params(&[&node_uri()]);
        mixed.subject_alt_names.push(other.clone());
        assert_eq!(check(&issue(&mixed, 1)), Err(two.clone()), "{other:?}");
        mixed.subject_alt_names = vec![other];
        assert_eq!(check(&issue(&mixed, 1)), Err(two.clone()));
    }
    assert_eq!(check(&issue(&params(&[]), 1)), Err(CertificateError::Name("no URI")));
}

/// The extension of subject alternative names with these bytes as its one URI.
fn raw_name(uri: &[u8]) -> CustomExtension {
    let length = u8::try_from(uri.len()).expect("short");
    let content = [&[0x30, 0x81, length + 3, 0x86, 0x81, length], uri].concat();
    CustomExtension::from_oid_content(&[2, 5, 29, 17], content)
}

#[test]
fn a_second_extension_of_names_is_refused() {
    let mut twice = params(&[&node_uri()]);
    twice.custom_extensions.push(raw_name(node_uri().as_bytes()));
    assert_eq!(check(&issue(&twice, 1)), Err(CertificateError::Extension { oid: "2.5.29.17".into() }));
}

#[test]
fn names_are_plain() {
    let raw = |uri: &[u8]| {
        let mut raw = params(&[]);
        raw.custom_extensions.push(raw_name(uri));
        check(&issue(&raw, 1))
    };
    let good = node_uri();
    assert!(raw(good.as_bytes()).is_ok(), "the raw extension itself is sound");
    let replaced = |from: &str, to: &str| good.replacen(from, to, 1).into_bytes();
    let tricks = [
        replaced("us-east-1-a", "us-east-1-a\0"),
        replaced("us-east-1-a", "*"),
        replaced("us-east-1-a", "us-east-1-\u{e4}"),
        replaced("us-east-1-a", "us%2Deast"),
        replaced("us-east-1-a", ""),
        replaced("us-east-1-a", "a/b"),
        replaced("us-east-1-a", "a b"),
        replaced("/us-east-1/", "/_/"),
        replaced("/us-east-1/", "/US-EAST-1/"),
        replaced("/us-east-1/", "/*/"),
        replaced("/node/", "/root/"),
        replaced("/node/", "/Node/"),
        replaced("/node/", "/admin/"),
        replaced("trine://", "https://"),
        replaced("trine://", "TRINE://"),
        [good.as_bytes(), b"/"].concat(),
        [good.as_bytes(), b"?role=admin"].concat(),
        [good.as_bytes(), b"#"].concat(),
        [good.as_bytes(), b"\n"].concat(),
        b"trine://".to_vec(),
        Vec::new(),
    ];
    for trick in tricks {
        assert!(raw(&trick).is_err(), "{}", String::from_utf8_lossy(&trick));
    }
    // UTF-8 that is none.
    assert!(raw(&[good.as_bytes(), &[0xff]].concat()).is_err());
}

#[test]
fn a_stolen_peer_id_is_refused() {
    let region = "us-east-1".parse().expect("a region's name");
    let stolen = uri(CLUSTER, CertificateRole::Node, Some(&region), "us-east-1-a", &Holder::new(6).1);
    assert_eq!(named(&stolen), Err(CertificateError::Peer));
}

#[test]
fn who_is_certified_does_not_certify() {
    let mut ca = params(&[&node_uri()]);
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    assert_eq!(check(&issue(&ca, 1)), Err(CertificateError::Ca));
    let mut signer = params(&[&node_uri()]);
    signer.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyCertSign];
    assert_eq!(check(&issue(&signer, 1)), Err(CertificateError::Ca));
}

#[test]
fn unknown_extensions_are_passed_over_unless_critical() {
    let unknown = |critical| {
        let mut extension = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99999, 1], vec![5, 0]);
        extension.set_criticality(critical);
        let mut params = params(&[&node_uri()]);
        params.custom_extensions.push(extension);
        check(&issue(&params, 1))
    };
    assert!(unknown(false).is_ok());
    assert_eq!(unknown(true), Err(CertificateError::Extension { oid: "1.3.6.1.4.1.99999.1".into() }));
}

#[test]
fn no_changed_byte_is_accepted() {
    let der = issue(&params(&[&node_uri()]), 1);
    for (at, bit) in (0..der.len()).flat_map(|at| (0..8).map(move |bit| (at, bit))) {
        let mut changed = der.clone();
        changed[at] ^= 1 << bit;
        assert!(check(&changed).is_err(), "byte {at}, bit {bit}");
    }
    for end in 0..der.len() {
        assert!(check(&der[..end]).is_err());
    }
    assert!(check(&[&der[..], &[0]].concat()).is_err());
}

proptest! {
    #[test]
    fn noise_is_refused_without_a_panic(noise in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(check(&noise).is_err());
        let mut dressed = issue(&params(&[&node_uri()]), 1);
        let at = dressed.len().saturating_sub(noise.len());
        dressed[at..].copy_from_slice(&noise[..noise.len().min(300)]);
        prop_assert!(noise.is_empty() || check(&dressed).is_err());
    }
}
