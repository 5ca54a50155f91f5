//! Who this node is, as its files prove it.

use std::fs::File;
use std::path::PathBuf;

use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use trine_identity::tls::Trust;
use trine_identity::{Bundle, Key, files};
use trine_ledger::certificate::CertificateRole;
use trine_ledger::{Genesis, GenesisRegion};

use crate::config::Config;

/// Certificate, keys and the cluster's founding document, checked against each other.
pub(super) struct Identity {
    pub(super) bundle: Bundle,
    pub(super) trust: Trust,
    pub(super) genesis: Genesis,
    /// As the authority signed it.
    pub(super) document: Bytes,
    pub(super) log_key: Key,
    pub(super) name: String,
    pub(super) peer: String,
}

impl Identity {
    /// Reads and checks the files that the configuration names.
    ///
    /// # Errors
    /// What is missing or does not belong together, worded for the operator.
    pub(super) fn open(config: &Config) -> anyhow::Result<Self> {
        let tls = &config.tls;
        unread(config)?;
        let bundle = Bundle::read(&tls.ca_file, &tls.certificate_file, &tls.key_file)?;
        let trust = Trust::new(&bundle.ca).with_context(|| tls.ca_file.display().to_string())?;
        let claims = trust.claims(&bundle.certificate).with_context(|| tls.certificate_file.display().to_string())?;
        if claims.role != CertificateRole::Node {
            bail!("{} is the certificate of a client, not of a node", tls.certificate_file.display());
        }
        let file = tls.certificate_file.display();
        ensure!(
            claims.name == config.node.name,
            "node.name is `{}`, but {file} names `{}`",
            config.node.name,
            claims.name
        );
        ensure!(
            claims.region.as_ref() == Some(&config.node.region),
            "node.region is `{}`, but {file} names another region",
            config.node.region
        );
        let path = &config.cluster.genesis_file;
        let document = Bytes::from(files::read(path)?);
        let genesis = Genesis::open(&document, trust.key()).with_context(|| path.display().to_string())?;
        ensure!(genesis.cluster == trust.cluster(), "{} founds another cluster than the CA's", path.display());
        let log_key = Key::read(&tls.log_key_file)?;
        let peer = bundle.key.peer().to_string();
        let identity = Self { peer, name: claims.name, bundle, trust, genesis, document, log_key };
        let region = identity.region(config)?;
        ensure!(
            region.log_key == identity.log_key.public(),
            "{} is not the log key of region `{}`",
            tls.log_key_file.display(),
            region.id
        );
        Ok(identity)
    }

    /// This node's region as the genesis founded it.
    pub(super) fn region(&self, config: &Config) -> anyhow::Result<&GenesisRegion> {
        let region = self.genesis.region(&config.node.region);
        region.with_context(|| format!("the genesis knows no region `{}`", config.node.region))
    }

    /// Whether the genesis names this node, with this key, among the region's founders.
    pub(super) fn founds(&self, region: &GenesisRegion) -> bool {
        region.nodes.iter().any(|node| node.name == self.name && node.peer == self.peer)
    }

    /// The node's certificate, DER.
    pub(super) fn certificate(&self) -> Bytes {
        Bytes::copy_from_slice(&self.bundle.certificate)
    }
}

/// Refuses files that cannot be read, all of them at once, each with the key that names it.
fn unread(config: &Config) -> anyhow::Result<()> {
    let files = [
        ("cluster.genesis_file", &config.cluster.genesis_file),
        ("tls.ca_file", &config.tls.ca_file),
        ("tls.certificate_file", &config.tls.certificate_file),
        ("tls.key_file", &config.tls.key_file),
        ("tls.log_key_file", &config.tls.log_key_file),
    ];
    let error = |(key, path): (&str, &PathBuf)| Some(format!("{key}: {}: {}", path.display(), File::open(path).err()?));
    let errors: Vec<String> = files.into_iter().filter_map(error).collect();
    ensure!(errors.is_empty(), "{}", errors.join("; "));
    Ok(())
}
