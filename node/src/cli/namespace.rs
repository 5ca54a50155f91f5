//! `trine namespace …`

use clap::{Args, Subcommand, ValueEnum};
use trine_protocol::Request;
use trine_protocol::reply::Reply;
use trine_protocol::request::NamespaceKind;

use super::args::{Globals, ReadArgs};
use super::connect::Connection;
use super::exit::{Exit, Failure};
use super::output::{Output, table};
use crate::model::{Namespace, Namespaces};

/// Namespaces of ledgers and objects.
#[derive(Debug, Subcommand)]
pub enum NamespaceCommand {
    /// Create a namespace
    Create(CreateArgs),
    /// All namespaces
    List(ListArgs),
    /// The namespaces of a name or id
    Show(ShowArgs),
}

/// What a namespace holds.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Kind {
    /// Records
    Ledger,
    /// Objects
    Objects,
}

/// `trine namespace create`.
#[derive(Debug, Args)]
pub struct CreateArgs {
    /// Its name
    name: String,
    /// What it holds; fixed
    #[arg(long, value_enum)]
    kind: Kind,
    /// How many partitions (objects): a power of two; fixed
    #[arg(long)]
    slots: Option<u32>,
    /// Say what would be done and do nothing
    #[arg(long)]
    dry_run: bool,
}

/// `trine namespace list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    #[command(flatten)]
    read: ReadArgs,
}

/// `trine namespace show`.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// A name or an id such as us-east-1/17
    namespace: String,
    #[command(flatten)]
    read: ReadArgs,
}

/// Does it.
///
/// # Errors
/// As the cluster answers.
pub async fn run(globals: &Globals, command: &NamespaceCommand) -> Result<Output, Failure> {
    match command {
        NamespaceCommand::Create(args) => create(globals, args).await,
        NamespaceCommand::List(args) => listed(globals, &args.read, Request::NamespaceList).await,
        NamespaceCommand::Show(args) => {
            let request = Request::NamespaceShow { namespace: args.namespace.clone() };
            listed(globals, &args.read, request).await
        }
    }
}

async fn create(globals: &Globals, args: &CreateArgs) -> Result<Output, Failure> {
    let kind = match args.kind {
        Kind::Ledger => NamespaceKind::Ledger,
        Kind::Objects => NamespaceKind::Objects,
    };
    if args.slots.is_some_and(|slots| !slots.is_power_of_two()) {
        return Err(Failure::usage("--slots must be a power of two"));
    }
    let connection = Connection::open(globals)?;
    if args.dry_run {
        let what = format!("would create the namespace {}", args.name);
        return Ok(Output::new(&serde_json::json!({ "dry_run": true, "name": args.name }), what));
    }
    let request = Request::NamespaceCreate { name: args.name.clone(), kind, slots: args.slots };
    match connection.plain(request).await? {
        Reply::Namespace(view) => {
            let namespace = Namespace::from(&view);
            Ok(shown(&namespace, std::slice::from_ref(&namespace)).changed())
        }
        _ => Err(Failure::unexpected()),
    }
}

async fn listed(globals: &Globals, read: &ReadArgs, request: Request) -> Result<Output, Failure> {
    let Reply::Namespaces(views) = Connection::open(globals)?.read(read, request.clone()).await? else {
        return Err(Failure::unexpected());
    };
    if let (Request::NamespaceShow { namespace }, true) = (&request, views.is_empty()) {
        return Err(Failure::new(Exit::NotFound, format!("namespace {namespace} not found")));
    }
    let namespaces: Vec<Namespace> = views.iter().map(Namespace::from).collect();
    Ok(shown(&Namespaces { namespaces: namespaces.clone() }, &namespaces))
}

fn shown(json: &impl serde::Serialize, namespaces: &[Namespace]) -> Output {
    let rows = namespaces.iter().map(|namespace| {
        vec![namespace.id.clone(), namespace.name.clone(), namespace.kind.clone(), namespace.slots.to_string()]
    });
    Output::new(json, table(&["id", "name", "kind", "slots"], rows))
        .ids(namespaces.iter().map(|namespace| &namespace.id))
}
