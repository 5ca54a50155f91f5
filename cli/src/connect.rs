//! From the options to a client: which nodes to ask, and who is asking.
//!
//! Without options this is the cluster that `trine up` started last on this machine, asked as its administrator. An
//! endpoint names nodes elsewhere (or one of the cluster's nodes, by name); the identity then comes from
//! `--identity`, or from the cluster here when there is one.

use std::io::IsTerminal as _;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::PathBuf;

use trine_client::{Builder, CallOptions, Client, RegionId};
use trine_identity::{IdentityFileError, bundle, files};
use trine_node::config::multiaddr;
use trine_protocol::reply::{Answer, Reply};
use trine_protocol::request::Append;
use trine_protocol::{Consistency, Durability, Request};

use super::args::{Globals, ReadArgs, WriteArgs};
use super::exit::{Exit, Failure};
use super::session_file::{Afterwards, SessionFile};
use crate::say;
use crate::up::choice::{self, Found, Why};
use crate::up::cluster::{Cluster, ClusterFileError};

/// Who is asked, and by whom.
pub struct Connection {
    client: Client,
    session_file: Option<SessionFile>,
    afterwards: Afterwards,
    region: Option<RegionId>,
}

impl Connection {
    /// Prepares a client as the options want it; nothing is dialled yet.
    ///
    /// # Errors
    /// When no cluster is named and none runs here, or the identity is unusable.
    pub fn open(globals: &Globals) -> Result<Self, Failure> {
        let cluster = cluster(globals)?;
        tell(globals);
        let addresses = addresses(globals, cluster.as_ref())?;
        let mut builder = builder(globals, cluster.as_ref())?;
        for address in &addresses {
            builder = builder.seed(address)?;
        }
        let pinned = globals.endpoint.is_some() && addresses.len() == 1;
        if pinned {
            builder = builder.pinned();
        }
        builder = match &globals.region {
            // One node of another region is not what was asked for.
            Some(region) if pinned => builder.region_only(region.clone()),
            Some(region) => builder.region(region.clone()).writes_stay(),
            None => builder,
        };
        let mut session_file = None;
        if let Some(path) = &globals.session {
            let (file, session) = SessionFile::open(path)?;
            builder = builder.session(session);
            session_file = Some(file);
        }
        let region = globals.region.clone();
        Ok(Self { client: builder.build()?, session_file, afterwards: globals.afterwards.clone(), region })
    }

    /// The client.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Asks for something that is read.
    ///
    /// # Errors
    /// As the cluster answers.
    pub async fn read(&self, read: &ReadArgs, request: Request) -> Result<Reply, Failure> {
        self.ask(read.consistency, None, request).await
    }

    /// Asks for something that changes what is stored.
    ///
    /// # Errors
    /// As the cluster answers.
    pub async fn write(&self, write: &WriteArgs, request: Request) -> Result<Reply, Failure> {
        self.ask(None, write.durability, request).await
    }

    /// Asks for something that has no levels.
    ///
    /// # Errors
    /// As the cluster answers.
    pub async fn plain(&self, request: Request) -> Result<Reply, Failure> {
        self.ask(None, None, request).await
    }

    async fn ask(
        &self,
        consistency: Option<Consistency>,
        durability: Option<Durability>,
        request: Request,
    ) -> Result<Reply, Failure> {
        let mut call = CallOptions::new();
        call.consistency = consistency;
        call.durability = durability;
        if let Request::Append(Append { idempotency_key: Some(key), .. }) = &request {
            call = call.idempotency_key(key.clone());
        }
        let Answer { reply, .. } = self.client.request(&call, request).await?;
        if let Some(file) = &self.session_file {
            self.afterwards.keep(file.save(&self.client.session()));
        }
        self.tell_elsewhere();
        Ok(reply)
    }

    /// Says that another region than the one named has answered. Of what is written none does.
    fn tell_elsewhere(&self) {
        if let (Some(region), Some(asked)) = (&self.region, self.client.endpoint())
            && asked.region != *region
        {
            say::people(format_args!(
                "no node of {region} was reached: {} of {} has answered",
                asked.name, asked.region
            ));
        }
    }
}

/// Tells a person which cluster is asked when that is not plain from where they are.
fn tell(globals: &Globals) {
    if globals.quiet || globals.endpoint.is_some() || !std::io::stderr().is_terminal() {
        return;
    }
    if let Ok(Some(Found { directory, why, .. })) = found(globals)
        && why != Why::Nearest
    {
        say::people(format_args!("asking the cluster in {} ({why})", directory.display()));
    }
}

/// The cluster that runs here: the one named, otherwise the one that [`choice`] finds.
///
/// # Errors
/// When the one named is none.
pub fn cluster(globals: &Globals) -> Result<Option<Cluster>, Failure> {
    match &globals.cluster {
        Some(directory) => Cluster::read(directory).map(Some).map_err(unusable),
        None => Ok(found(globals)?.map(|found| found.cluster)),
    }
}

/// The cluster that is asked without being named, and why it is that one.
///
/// # Errors
/// When its file cannot be read.
pub fn found(globals: &Globals) -> Result<Option<Found>, Failure> {
    match (&globals.cluster, &globals.endpoint) {
        (Some(_), _) => Ok(None),
        // A choice of a cluster that was removed is no failure while an endpoint is named.
        (None, Some(_)) => Ok(choice::find().ok().flatten()),
        (None, None) => choice::find().map_err(unusable),
    }
}

/// A cluster's directory that is none.
pub fn unusable(error: ClusterFileError) -> Failure {
    Failure::usage(error.to_string())
        .hint("start a cluster with `trine up --data DIR`, name its DIR with --cluster, or choose with `trine use`")
}

/// A client's settings as far as all of its connections share them.
///
/// # Errors
/// When there is no identity or it is unusable.
pub fn builder(globals: &Globals, cluster: Option<&Cluster>) -> Result<Builder, Failure> {
    let identity = globals.identity.clone().or_else(|| Some(cluster?.client.clone())).ok_or_else(|| {
        Failure::usage("no identity to ask with")
            .hint("name the directory of ca.crt, tls.crt and tls.key with --identity; `trine tls client` makes one")
    })?;
    // A key that others can read is not only this person's any more.
    let key = files::read_secret(&identity.join(bundle::KEY_FILE));
    // What else is wrong with the files, the client says.
    if let Err(exposed @ IdentityFileError::Exposed { .. }) = key {
        return Err(exposed.into());
    }
    Ok(Client::builder().directory(&identity)?.deadline(globals.timeout))
}

/// The directory of whoever asks: the one named, otherwise that of the cluster here.
///
/// # Errors
/// When the cluster named is none.
pub fn identity(globals: &Globals) -> Result<Option<PathBuf>, Failure> {
    match &globals.identity {
        Some(directory) => Ok(Some(directory.clone())),
        None => Ok(cluster(globals)?.map(|cluster| cluster.client)),
    }
}

/// The nodes to ask, as multiaddrs.
fn addresses(globals: &Globals, cluster: Option<&Cluster>) -> Result<Vec<String>, Failure> {
    match (&globals.endpoint, cluster) {
        (Some(endpoints), cluster) => endpoints.split(',').map(|endpoint| address(endpoint.trim(), cluster)).collect(),
        (None, Some(cluster)) => Ok(cluster.nodes.iter().map(|node| node.libp2p.clone()).collect()),
        (None, None) => Err(nobody(&choice::known())),
    }
}

/// Why there is nobody to ask.
fn nobody(known: &[PathBuf]) -> Failure {
    match known {
        [] => Failure::usage("no cluster runs here and no --endpoint is given")
            .hint("start one with `trine up`, or name a node with --endpoint HOST:PORT"),
        several => {
            let several: Vec<String> = several.iter().map(|directory| directory.display().to_string()).collect();
            Failure::usage(format!("several clusters were started here, and none is chosen: {}", several.join(", ")))
                .hint("choose one with `trine use DIR`, or name it with --cluster DIR")
        }
    }
}

/// One endpoint as a multiaddr: it may be one already, `host:port`, or the name of a node that runs here.
///
/// # Errors
/// When it is none of these.
pub fn address(endpoint: &str, cluster: Option<&Cluster>) -> Result<String, Failure> {
    if endpoint.starts_with('/') {
        return Ok(endpoint.to_owned());
    }
    if let Some(node) = cluster.and_then(|cluster| cluster.nodes.iter().find(|node| node.name == endpoint)) {
        return Ok(node.libp2p.clone());
    }
    let wrong = || {
        Failure::usage(format!("`{endpoint}` is no endpoint"))
            .hint("use HOST:PORT, a multiaddr such as /ip4/127.0.0.1/tcp/7421, or the name of a node that runs here")
    };
    let (host, port) = endpoint.rsplit_once(':').ok_or_else(wrong)?;
    let port: u16 = port.parse().map_err(|_| wrong())?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() || host.contains('/') {
        return Err(wrong());
    }
    // The client dials addresses; names are looked up here.
    let found = (host, port)
        .to_socket_addrs()
        .map_err(|error| Failure::new(Exit::Unhealthy, format!("cannot find the host `{host}`: {error}")))?;
    found.into_iter().min_by_key(SocketAddr::is_ipv6).map(multiaddr).ok_or_else(wrong)
}
