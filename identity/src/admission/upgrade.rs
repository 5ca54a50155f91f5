//! The step that authenticates a connection: noise, then certificates.

use std::io;
use std::pin::Pin;
use std::sync::Arc;

use futures::future::Future;
use futures::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use libp2p::core::UpgradeInfo;
use libp2p::core::upgrade::{InboundConnectionUpgrade, OutboundConnectionUpgrade};
use libp2p::{PeerId, noise};

use super::{AdmittedStream, Gate, Refusal};
use crate::limits::CERTIFICATE_BYTES_MAX;

/// Noise with admission.
#[derive(Clone)]
pub struct Admission {
    noise: noise::Config,
    gate: Arc<Gate>,
}

/// Why a connection could not be authenticated.
#[derive(Debug, thiserror::Error)]
pub enum AdmissionError {
    /// Noise failed.
    #[error(transparent)]
    Noise(#[from] noise::Error),
    /// The connection broke.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The other side was refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

impl Admission {
    /// Admits by `gate` after noise with `noise`'s key.
    #[must_use]
    pub fn new(noise: noise::Config, gate: Arc<Gate>) -> Self {
        Self { noise, gate }
    }
}

impl UpgradeInfo for Admission {
    type Info = &'static str;
    type InfoIter = std::iter::Once<Self::Info>;

    fn protocol_info(&self) -> Self::InfoIter {
        self.noise.protocol_info()
    }
}

type Upgrade<T> = Result<(PeerId, AdmittedStream<noise::Output<T>>), AdmissionError>;

impl<T> InboundConnectionUpgrade<T> for Admission
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Output = (PeerId, AdmittedStream<noise::Output<T>>);
    type Error = AdmissionError;
    type Future = Pin<Box<dyn Future<Output = Upgrade<T>> + Send>>;

    fn upgrade_inbound(self, socket: T, info: Self::Info) -> Self::Future {
        Box::pin(async move {
            let (peer, mut io) = self.noise.upgrade_inbound(socket, info).await?;
            admit(&mut io, &self.gate, peer).await?;
            send(&mut io, self.gate.certificate()).await?;
            Ok((peer, AdmittedStream::open(io)))
        })
    }
}

impl<T> OutboundConnectionUpgrade<T> for Admission
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Output = (PeerId, AdmittedStream<noise::Output<T>>);
    type Error = AdmissionError;
    type Future = Pin<Box<dyn Future<Output = Upgrade<T>> + Send>>;

    fn upgrade_outbound(self, socket: T, info: Self::Info) -> Self::Future {
        Box::pin(async move {
            let (peer, mut io) = self.noise.upgrade_outbound(socket, info).await?;
            send(&mut io, self.gate.certificate()).await?;
            Ok((peer, AdmittedStream::pending(io, self.gate, peer)))
        })
    }
}

/// A listener's half of admission: reads the certificate of `peer` from the encrypted channel, and lets it in or reports
/// the refusal. Nothing behind the certificate is read.
///
/// # Errors
/// Why it is refused.
pub async fn admit(io: &mut (impl AsyncRead + Unpin), gate: &Gate, peer: PeerId) -> Result<(), Refusal> {
    match receive(io).await {
        Ok(certificate) => gate.admit(peer, &certificate, false),
        Err(refusal) => {
            gate.refuse(Some(peer), &refusal);
            Err(refusal)
        }
    }
}

async fn send(io: &mut (impl AsyncWrite + Unpin), certificate: &[u8]) -> io::Result<()> {
    let length = u32::try_from(certificate.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let mut frame = Vec::with_capacity(4 + certificate.len());
    frame.extend_from_slice(&length.to_be_bytes());
    frame.extend_from_slice(certificate);
    io.write_all(&frame).await?;
    io.flush().await
}

async fn receive(io: &mut (impl AsyncRead + Unpin)) -> Result<Vec<u8>, Refusal> {
    let mut header = [0; 4];
    io.read_exact(&mut header).await.map_err(|_| Refusal::NoCertificate)?;
    let bytes = u32::from_be_bytes(header) as usize;
    if bytes == 0 || bytes > CERTIFICATE_BYTES_MAX {
        return Err(Refusal::TooLarge { bytes });
    }
    let mut certificate = vec![0; bytes];
    io.read_exact(&mut certificate).await.map_err(|_| Refusal::NoCertificate)?;
    Ok(certificate)
}
