//! The first bytes of an encrypted channel: a certificate behind its length, as listeners and diallers read it.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::io::{AsyncRead, AsyncReadExt as _};
use trine_identity::admission::{AdmittedStream, Authority, Gate, Refusal, Verify as _, admit};
use trine_ledger::CertificateRole;

use super::certificate::{issue, name, params};
use crate::fixture::{CA, CLUSTER, NOW_UNIX_S, key};
use crate::target::{Memory, Sample, Target, Verdict};

/// How many bytes a read brings at most, and a channel. Two readers, who let in the same but for what a node alone may do,
/// say so once, and leave what follows the certificate whole.
pub const TARGET: Target = Target { name: "admission", run, samples, memory: Memory::OURS };

/// The holder of the certificates here.
const HOLDER: u8 = 5;

fn run(bytes: &[u8]) -> Verdict {
    let Some((most, bytes)) = bytes.split_first() else { return Verdict::Refused };
    let channel = || Pieces { rest: bytes, most: usize::from(*most).max(1), ready: false };
    let rest = |channel: &Pieces<'_>| channel.rest.to_vec();
    let peer = authority().verify(&certificates()[0].1, NOW_UNIX_S).expect("issued here").peer;

    let (gate, refusals) = gate();
    let mut io = channel();
    let listener = futures::executor::block_on(admit(&mut io, &gate, peer));
    let known = gate.admitted(&peer);
    assert_eq!(listener.is_ok(), known.is_some(), "let in and not known, or the other way round");
    assert_eq!(refusals.lock().expect("one thread").clone(), listener.clone().err().into_iter().collect::<Vec<_>>());
    let is_node = known.map(|known| {
        let issued = certificates().iter().find(|(_, certificate)| *certificate == known.certificate);
        let (role, certificate) = issued.expect("a certificate was let in that the authority did not issue");
        assert_eq!(bytes[4..], [certificate, &rest(&io)[..]].concat(), "a listener lost what follows");
        *role == CertificateRole::Node
    });

    let (gate, refusals) = self::gate();
    let mut io = AdmittedStream::pending(channel(), Arc::clone(&gate), peer);
    let mut after = Vec::new();
    let dialler = futures::executor::block_on(io.read_to_end(&mut after));
    assert_eq!(dialler.is_ok(), is_node == Some(true), "a listener and a dialler judge differently: {dialler:?}");
    assert_eq!(dialler.is_ok(), gate.admitted(&peer).is_some());
    if dialler.is_ok() {
        assert!(bytes.ends_with(&after) && bytes.len() == 4 + certificates()[0].1.len() + after.len());
        return Verdict::Accepted;
    }
    assert!(after.is_empty(), "something was read behind a certificate that was refused");
    assert!(futures::executor::block_on(io.read(&mut [0; 16])).is_err(), "a second read went through");
    assert_eq!(refusals.lock().expect("one thread").len(), 1, "a refusal is reported once");
    // What a dialler says of a client's certificate differs; of all else it says the same.
    let said = refusals.lock().expect("one thread")[0].clone();
    assert_eq!(said, listener.err().unwrap_or(Refusal::Role));
    if is_node.is_some() { Verdict::Accepted } else { Verdict::Refused }
}

fn authority() -> Authority {
    Authority::new(key(CA).verifying_key(), CLUSTER)
}

type Refusals = Arc<Mutex<Vec<Refusal>>>;

/// A door, and what it refused.
fn gate() -> (Arc<Gate>, Refusals) {
    let refusals = Refusals::default();
    let told = Arc::clone(&refusals);
    let refused = move |_, refusal: &Refusal| told.lock().expect("one thread").push(refusal.clone());
    (Arc::new(Gate::new(Bytes::new(), Arc::new(authority()), refused)), refusals)
}

/// A channel that brings a few bytes at a time, and nothing every other time that it is asked.
struct Pieces<'a> {
    rest: &'a [u8],
    most: usize,
    ready: bool,
}

impl AsyncRead for Pieces<'_> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        self.ready = !self.ready;
        if !self.ready {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let (piece, rest) = self.rest.split_at(self.rest.len().min(self.most).min(buf.len()));
        buf[..piece.len()].copy_from_slice(piece);
        self.rest = rest;
        Poll::Ready(Ok(piece.len()))
    }
}

/// What the authority issued, the node's first.
fn certificates() -> &'static [(CertificateRole, Bytes)] {
    static ISSUED: std::sync::OnceLock<Vec<(CertificateRole, Bytes)>> = std::sync::OnceLock::new();
    ISSUED.get_or_init(|| {
        use CertificateRole::{Admin, Node, Reader, Writer};
        let issued = |role| (role, issue(&params(&[&name(role, HOLDER)]), HOLDER, CA).into());
        [Node, Admin, Writer, Reader].map(issued).into()
    })
}

/// A certificate behind its length.
fn frame(certificate: &[u8]) -> Vec<u8> {
    let length = u32::try_from(certificate.len()).expect("short").to_be_bytes();
    [&length[..], certificate].concat()
}

fn samples() -> Vec<Sample> {
    let whole = frame(&certificates()[0].1);
    let mut samples: Vec<Sample> = certificates()
        .iter()
        .map(|(role, certificate)| Sample::valid(role.as_str(), frame(certificate)).behind(255))
        .collect();
    let cut = |at: usize| Sample::hostile(&format!("cut-{at}"), &whole[..at]).behind(255);
    samples.extend([0, 3, 4, whole.len() - 1].map(cut));
    let stranger = issue(&params(&[&name(CertificateRole::Node, HOLDER)]), HOLDER, 2);
    let another = issue(&params(&[&name(CertificateRole::Node, 6)]), 6, CA);
    samples.extend([
        Sample::valid("byte-by-byte", &whole).behind(1),
        Sample::valid("followed", [&whole[..], b"/yamux/1.0.0"].concat()).behind(7),
        Sample::hostile("of-nothing", [0; 64]).behind(255),
        Sample::hostile("of-2-32", [0xff; 64]).behind(255),
        Sample::hostile("one-byte-too-long", [&8193_u32.to_be_bytes()[..], &[0x30; 8193]].concat()).behind(255),
        Sample::hostile("zeros", [&8192_u32.to_be_bytes()[..], &[0; 8192]].concat()).behind(255),
        Sample::hostile("of-another-authority", frame(&stranger)).behind(255),
        Sample::hostile("of-another-key", frame(&another)).behind(255),
        Sample::hostile("without-a-length", &certificates()[0].1).behind(255),
    ]);
    samples
}
