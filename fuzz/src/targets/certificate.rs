//! Certificates: the only thing that a stranger may say before it is known who speaks.

use rcgen::{
    CertificateParams, CustomExtension, Issuer, PKCS_ED25519, PublicKeyData, SanType, SerialNumber, SignatureAlgorithm,
    date_time_ymd,
};
use trine_ledger::certificate::{public_key, uri, verify};
use trine_ledger::{CertificateRole, SigningKey};

use crate::fixture::{CA, CLUSTER, NOW_UNIX_S, key, region};
use crate::target::{Memory, Sample, Target, Verdict};

/// `certificate::verify`: no certificate is accepted but those that the CA signed, to the byte.
pub const TARGET: Target = Target { name: "certificate", run, samples, memory: Memory::OURS };

fn run(bytes: &[u8]) -> Verdict {
    let _ = public_key(bytes);
    let Ok(claims) = verify(bytes, &key(CA).verifying_key(), CLUSTER, NOW_UNIX_S) else { return Verdict::Refused };
    let issued = good().iter().any(|(_, certificate)| certificate == bytes);
    assert!(issued, "a certificate was accepted that the CA did not issue: {claims:?}");
    assert_eq!(public_key(bytes).expect("read already").to_bytes(), claims.public_key);
    let again = uri(&claims.cluster, claims.role, claims.region.as_ref(), &claims.name, &claims.public_key);
    assert_eq!(again, claims.uri());
    Verdict::Accepted
}

/// A key as rcgen wants it.
pub struct Holder(SigningKey, [u8; 32]);

impl Holder {
    /// The holder of a seed.
    pub fn new(seed: u8) -> Self {
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

/// What a certificate says, valid for longer than these tests will live.
pub fn params(names: &[&str]) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2200, 1, 1);
    params.serial_number = Some(SerialNumber::from(7_u64));
    params.subject_alt_names = names.iter().map(|name| SanType::URI((*name).try_into().expect("ASCII"))).collect();
    params
}

/// The certificate of a holder, signed by the key of a seed.
pub fn issue(params: &CertificateParams, holder: u8, ca: u8) -> Vec<u8> {
    let issuer = Issuer::new(CertificateParams::default(), Holder::new(ca));
    params.signed_by(&Holder::new(holder), &issuer).expect("it can be written").der().to_vec()
}

/// The name of a holder.
pub fn name(role: CertificateRole, holder: u8) -> String {
    let region = (role == CertificateRole::Node).then(region);
    uri(CLUSTER, role, region.as_ref(), "us-east-1-a", &key(holder).verifying_key().to_bytes())
}

fn good() -> &'static [(&'static str, Vec<u8>)] {
    static GOOD: std::sync::OnceLock<Vec<(&'static str, Vec<u8>)>> = std::sync::OnceLock::new();
    GOOD.get_or_init(|| {
        use CertificateRole::{Admin, Node, Reader, Writer};
        [Node, Admin, Writer, Reader].map(|role| (role.as_str(), issue(&params(&[&name(role, 5)]), 5, CA))).into()
    })
}

/// A certificate whose one name is these bytes.
fn named(uri: &[u8]) -> Vec<u8> {
    let length = u8::try_from(uri.len()).expect("short");
    let content = [&[0x30, 0x81, length + 3, 0x86, 0x81, length], uri].concat();
    let mut params = params(&[]);
    params.custom_extensions.push(CustomExtension::from_oid_content(&[2, 5, 29, 17], content));
    issue(&params, 5, CA)
}

fn samples() -> Vec<Sample> {
    let good_name = name(CertificateRole::Node, 5);
    let with = |from: &str, to: &str| named(good_name.replacen(from, to, 1).as_bytes());
    let mut samples: Vec<Sample> = good().iter().map(|(name, der)| Sample::valid(name, der)).collect();
    samples.extend(Sample::broken("node", &good()[0].1));
    let (mut ended, mut early) = (params(&[&good_name]), params(&[&good_name]));
    ended.not_after = date_time_ymd(2021, 1, 1);
    early.not_before = date_time_ymd(2199, 1, 1);
    samples.extend([
        Sample::hostile("another-ca", issue(&params(&[&good_name]), 5, 2)),
        Sample::hostile("its-own-ca", issue(&params(&[&good_name]), 5, 5)),
        Sample::hostile("two-names", issue(&params(&[&good_name, &good_name]), 5, CA)),
        Sample::hostile("no-name", issue(&params(&[]), 5, CA)),
        Sample::hostile("a-stolen-name", issue(&params(&[&good_name]), 6, CA)),
        Sample::hostile("ended", issue(&ended, 5, CA)),
        Sample::hostile("early", issue(&early, 5, CA)),
        Sample::hostile("with-nul", with("us-east-1-a", "us-east-1-a\0")),
        Sample::hostile("above", with("us-east-1-a", "..%2f..")),
        Sample::hostile("a-part-more", with("us-east-1-a", "../us-east-1-a")),
        Sample::hostile("another-role", with("/node/", "/root/")),
        Sample::hostile("a-wildcard", with("us-east-1-a", "*")),
        Sample::hostile("no-text", named(&[0xff; 100])),
        Sample::hostile("a-sequence-of-2-63", [0x30, 0x88, 0x80, 0, 0, 0, 0, 0, 0, 0]),
        Sample::hostile("a-sequence-that-never-ends", [0x30, 0x80, 0x30, 0x80, 0x30, 0x80]),
        Sample::hostile("sequences-in-sequences", [0x30, 0x82, 0x1f, 0xfc].repeat(1024)),
        Sample::hostile("long", [0x30; 8193]),
    ]);
    samples
}
