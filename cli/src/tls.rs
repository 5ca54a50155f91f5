//! `trine tls …`

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use trine_identity::authority::IssueError;
use trine_identity::{Bundle, Ca, HttpsCa, IdentityFileError, Key, files};
use trine_ledger::Genesis;
use trine_protocol::Role;

use super::args::Globals;
use super::exit::{Exit, Failure};
use super::output::{Output, pairs};
use super::verify::GENESIS_FILE;

/// Certificates of nodes and clients.
#[derive(Debug, Subcommand)]
pub enum TlsCommand {
    /// Make the certificate authority of a new cluster
    Ca(CaArgs),
    /// Issue a node's certificate and key
    Node(NodeArgs),
    /// Issue what a node shows over HTTPS: a certificate for its hosts, and its key
    Https(HttpsArgs),
    /// Issue a client's certificate and key
    Client(ClientArgs),
    /// Make a region's log key, which signs its ledger's checkpoints; copy it to all nodes of the region
    LogKey(LogKeyArgs),
    /// Sign the genesis document of a new cluster
    Genesis(GenesisArgs),
}

/// `trine tls ca`.
#[derive(Debug, Args)]
pub struct CaArgs {
    /// Where to keep ca.crt and ca.key
    #[arg(long, value_name = "DIR", default_value = "ca")]
    out: PathBuf,
}

/// `trine tls node`.
#[derive(Debug, Args)]
pub struct NodeArgs {
    /// Its name, such as us-east-1-a; --region says where it stands
    name: String,
    /// A name or IP address under which its HTTP API is addressed, besides its own name, localhost and loopback; several times
    #[arg(long, value_name = "HOST")]
    host: Vec<String>,
    /// The authority's directory
    #[arg(long, value_name = "DIR", default_value = "ca")]
    ca: PathBuf,
    /// Where to write ca.crt, tls.crt and tls.key, and for HTTPS https-ca.crt, https.crt and https.key
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// `trine tls https`.
#[derive(Debug, Args)]
pub struct HttpsArgs {
    /// The node's name, such as us-east-1-a
    name: String,
    /// A name or IP address under which the node is addressed, besides its own name, localhost and loopback; several times
    #[arg(long, value_name = "HOST")]
    host: Vec<String>,
    /// The authority's directory
    #[arg(long, value_name = "DIR", default_value = "ca")]
    ca: PathBuf,
    /// Where to write https-ca.crt, https.crt and https.key
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// `trine tls client`.
#[derive(Debug, Args)]
pub struct ClientArgs {
    /// Its name
    name: String,
    /// What it may do
    #[arg(long, value_enum, default_value_t = ClientRole::Writer)]
    role: ClientRole,
    /// The authority's directory
    #[arg(long, value_name = "DIR", default_value = "ca")]
    ca: PathBuf,
    /// Where to write ca.crt, tls.crt and tls.key
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// What a client may do.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum ClientRole {
    /// Everything
    Admin,
    /// Read and write
    Writer,
    /// Read
    Reader,
}

/// `trine tls log-key`.
#[derive(Debug, Args)]
pub struct LogKeyArgs {
    /// Where to write it
    #[arg(long, value_name = "FILE", default_value = "log.key")]
    out: PathBuf,
}

/// `trine tls genesis`.
#[derive(Debug, Args)]
pub struct GenesisArgs {
    /// The regions, their log keys and first nodes, as JSON: {"regions":[{"id","log_key","nodes":[{"name","peer","addresses","raft"}]}]}
    contents: PathBuf,
    /// The authority's directory
    #[arg(long, value_name = "DIR", default_value = "ca")]
    ca: PathBuf,
    /// Where to write it
    #[arg(long, value_name = "FILE", default_value = GENESIS_FILE)]
    out: PathBuf,
}

impl From<IssueError> for Failure {
    fn from(error: IssueError) -> Self {
        match error {
            IssueError::File(error) => error.into(),
            IssueError::Name(_) | IssueError::Host(_) | IssueError::Role => Self::usage(error.to_string()),
            error => Self::new(Exit::Failed, error.to_string()),
        }
    }
}

impl From<IdentityFileError> for Failure {
    fn from(error: IdentityFileError) -> Self {
        let exit = match error {
            IdentityFileError::Exists { .. } => Exit::Conflict,
            IdentityFileError::Exposed { .. } => Exit::Refused,
            _ => Exit::Failed,
        };
        Self::new(exit, error.to_string())
    }
}

/// Runs the command.
///
/// # Errors
/// When a file exists already, cannot be written or cannot be read.
pub fn run(globals: &Globals, command: &TlsCommand) -> Result<Output, Failure> {
    match command {
        TlsCommand::Ca(args) => {
            let ca = Ca::create(&args.out)?;
            HttpsCa::of(&ca)?;
            let json = serde_json::json!({ "cluster": ca.cluster(), "directory": args.out });
            let people = pairs(&[("cluster", ca.cluster().to_owned()), ("directory", args.out.display().to_string())]);
            Ok(Output::new(&json, people).ids([ca.cluster()]).changed().note(
                "keep ca.key and https-ca.key off the nodes: who has them can admit anybody, or pose as any node",
            ))
        }
        TlsCommand::Node(args) => {
            let region = globals.region.as_ref().ok_or_else(|| {
                Failure::usage("a node's certificate names its region").hint("say --region us-east-1, for example")
            })?;
            let ca = Ca::open(&args.ca)?;
            let https = HttpsCa::of(&ca)?.issue(&args.name, &args.host)?;
            let output = issued("node", &args.name, &args.out, &ca.issue_node(region, &args.name)?)?;
            globals.afterwards.keep(untold(https.write(&args.out), "the files for HTTPS"));
            Ok(output)
        }
        TlsCommand::Https(args) => {
            HttpsCa::of(&Ca::open(&args.ca)?)?.issue(&args.name, &args.host)?.write(&args.out)?;
            let json = serde_json::json!({ "name": args.name, "hosts": args.host, "directory": args.out });
            let people = pairs(&[
                ("name", args.name.clone()),
                ("hosts", args.host.join(", ")),
                ("directory", args.out.display().to_string()),
            ]);
            Ok(Output::new(&json, people)
                .ids([&args.name])
                .changed()
                .note("a node reads its files anew when they change; callers trust https-ca.crt, or ca.crt"))
        }
        TlsCommand::Client(args) => {
            let (role, name) = match args.role {
                ClientRole::Admin => (Role::Admin, "admin"),
                ClientRole::Writer => (Role::Writer, "writer"),
                ClientRole::Reader => (Role::Reader, "reader"),
            };
            let ca = Ca::open(&args.ca)?;
            // A client verifies proofs by the genesis; it gets the one beside the authority, when there is one.
            let genesis = args.ca.join(GENESIS_FILE);
            let genesis = if genesis.exists() { Some(files::read(&genesis)?) } else { None };
            let (bundle, https) = (ca.issue_client(role, &args.name)?, HttpsCa::of(&ca)?);
            let output = issued(name, &args.name, &args.out, &bundle)?;
            globals.afterwards.keep(untold(https.tell(&args.out), "HTTPS' authority"));
            if let Some(document) = genesis {
                let path = args.out.join(GENESIS_FILE);
                globals.afterwards.keep(untold(files::create_public(&path, &document), "the genesis"));
            }
            Ok(output)
        }
        TlsCommand::LogKey(args) => {
            let key = Key::generate();
            key.write(&args.out)?;
            let public = trine_doors::model::value::base64(&key.public());
            let json = serde_json::json!({ "log_key": public, "file": args.out });
            let people = pairs(&[("log key", public.clone()), ("file", args.out.display().to_string())]);
            Ok(Output::new(&json, people).ids([public]).changed())
        }
        TlsCommand::Genesis(args) => genesis(args),
    }
}

/// What could not be written after the certificate was.
fn untold(written: Result<(), IdentityFileError>, what: &str) -> Result<(), Failure> {
    written
        .map_err(|error| Failure::new(Exit::DoneUntold, format!("the certificate is issued, but not {what}: {error}")))
}

fn issued(role: &str, name: &str, out: &Path, bundle: &Bundle) -> Result<Output, Failure> {
    bundle.write(out)?;
    let peer = bundle.key.peer().to_string();
    let json = serde_json::json!({ "name": name, "role": role, "peer": peer, "directory": out });
    let people = pairs(&[
        ("name", name.to_owned()),
        ("role", role.to_owned()),
        ("peer", peer.clone()),
        ("directory", out.display().to_string()),
    ]);
    Ok(Output::new(&json, people).ids([peer]).changed())
}

fn genesis(args: &GenesisArgs) -> Result<Output, Failure> {
    let ca = Ca::open(&args.ca)?;
    let wrong = |what: String| Failure::usage(format!("{}: {what}", args.contents.display()));
    let mut contents: serde_json::Value =
        serde_json::from_slice(&files::read(&args.contents)?).map_err(|error| wrong(error.to_string()))?;
    if let Some(fields) = contents.as_object_mut() {
        fields.entry("cluster").or_insert_with(|| ca.cluster().into());
    }
    let genesis: Genesis = serde_json::from_value(contents).map_err(|error| wrong(error.to_string()))?;
    if genesis.cluster != ca.cluster() {
        return Err(wrong(format!("the cluster is {}, and the authority's is {}", genesis.cluster, ca.cluster())));
    }
    let document = ca.sign_genesis(&genesis).map_err(|error| wrong(error.to_string()))?;
    files::create_public(&args.out, &document)?;
    let nodes: usize = genesis.regions.iter().map(|region| region.nodes.len()).sum();
    let json = serde_json::json!({ "cluster": genesis.cluster, "file": args.out, "regions": genesis.regions.len(), "nodes": nodes });
    let people = format!("signed: {} regions, {nodes} nodes, in {}", genesis.regions.len(), args.out.display());
    Ok(Output::new(&json, people).ids([&genesis.cluster]).changed())
}
