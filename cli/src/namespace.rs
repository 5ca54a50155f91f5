//! `trine namespace …`

use std::collections::{BTreeMap, BTreeSet};

use clap::{Args, Subcommand, ValueEnum};
use trine_doors::model::{Namespace, Namespaces};
use trine_protocol::reply::{NamespaceView, Reply};
use trine_protocol::request::{NamespaceCreate, NamespaceDelete, NamespaceKind, NamespaceRename, NamespaceShow};
use trine_protocol::{Missing, Request, RequestError};

use super::args::{Globals, ReadArgs};
use super::connect::Connection;
use super::exit::{Exit, Failure};
use super::input::confirm;
use super::output::{Output, table};

/// Namespaces of ledgers and objects.
#[derive(Debug, Subcommand)]
pub enum NamespaceCommand {
    /// Create a namespace
    Create(CreateArgs),
    /// All namespaces
    List(ListArgs),
    /// The namespaces that a name stands for, or the one of an id
    Show(ShowArgs),
    /// Give a namespace another name; its id stays, and what it holds with it
    Rename(RenameArgs),
    /// Delete a namespace: its name is free, and what it holds is found under it no more
    Delete(DeleteArgs),
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

/// `trine namespace rename`.
#[derive(Debug, Args)]
pub struct RenameArgs {
    /// Its name, or its id such as us-east-1/17
    namespace: String,
    /// Its name from now on
    name: String,
    /// Say what would be done and do nothing
    #[arg(long)]
    dry_run: bool,
}

/// `trine namespace delete`.
#[derive(Debug, Args)]
pub struct DeleteArgs {
    /// Its name, or its id such as us-east-1/17
    namespace: String,
    /// Say what would be done and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Also while it holds objects, which nobody can read any more then, or records, which are found by their places alone
    #[arg(long)]
    force: bool,
}

/// Runs the command.
///
/// # Errors
/// As the cluster answers.
pub async fn run(globals: &Globals, command: &NamespaceCommand) -> Result<Output, Failure> {
    match command {
        NamespaceCommand::Create(args) => create(globals, args).await,
        NamespaceCommand::List(args) => listed(globals, &args.read, Request::NamespaceList).await,
        NamespaceCommand::Show(args) => {
            let request = Request::NamespaceShow(NamespaceShow { namespace: args.namespace.clone() });
            listed(globals, &args.read, request).await
        }
        NamespaceCommand::Rename(args) => rename(globals, args).await,
        NamespaceCommand::Delete(args) => delete(globals, args).await,
    }
}

async fn rename(globals: &Globals, args: &RenameArgs) -> Result<Output, Failure> {
    let connection = Connection::open(globals)?;
    let NamespaceView { id, name, .. } = find(&connection, &args.namespace).await?;
    if args.dry_run {
        let json = serde_json::json!({ "dry_run": true, "id": id.to_string(), "name": args.name });
        return Ok(Output::new(&json, format!("would rename the namespace {name} ({id}) to {}", args.name)));
    }
    // What was looked up is altered, and nothing that bears the name by now.
    let request = Request::NamespaceRename(NamespaceRename { namespace: id.to_string(), name: args.name.clone() });
    match connection.plain(request).await? {
        Reply::Namespace(view) => {
            let namespace = Namespace::from(&view);
            Ok(shown(&namespace, std::slice::from_ref(&namespace)).changed())
        }
        _ => Err(Failure::unexpected()),
    }
}

async fn delete(globals: &Globals, args: &DeleteArgs) -> Result<Output, Failure> {
    let connection = Connection::open(globals)?;
    let NamespaceView { id, name, .. } = find(&connection, &args.namespace).await?;
    let json = serde_json::json!({ "dry_run": args.dry_run, "id": id.to_string(), "name": name });
    if args.dry_run {
        let unless = if args.force { "" } else { ", unless it holds something" };
        return Ok(Output::new(&json, format!("would delete the namespace {name} ({id}){unless}")));
    }
    let holds = if args.force { "What it holds is found under it no more" } else { "Its name is free then" };
    confirm(globals, &format!("{holds}, and nothing brings it back. Delete {name} ({id})?"))?;
    let request =
        Request::NamespaceDelete(NamespaceDelete { namespace: id.to_string(), force: args.force, vetted: false });
    connection.plain(request).await?;
    Ok(Output::new(&json, format!("deleted: {name} ({id})")).ids([id.to_string()]).changed())
}

/// The one namespace of a name or id.
async fn find(connection: &Connection, namespace: &str) -> Result<NamespaceView, Failure> {
    let request = Request::NamespaceShow(NamespaceShow { namespace: namespace.to_owned() });
    let Reply::Namespaces(views) = connection.plain(request).await? else { return Err(Failure::unexpected()) };
    match &views[..] {
        [one] => Ok(one.clone()),
        [] => Err(RequestError::from(Missing::namespace(namespace)).into()),
        several => {
            let ids: Vec<String> = several.iter().map(|view| view.id.to_string()).collect();
            let what = format!("several namespaces are named {namespace}: {}", ids.join(", "));
            Err(Failure::new(Exit::Conflict, what).hint(format!("name one by its id, such as {}", ids[0])))
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
    let request = Request::NamespaceCreate(NamespaceCreate { name: args.name.clone(), kind, slots: args.slots });
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
    if let (Request::NamespaceShow(NamespaceShow { namespace }), true) = (&request, views.is_empty()) {
        return Err(RequestError::from(Missing::namespace(namespace)).into());
    }
    let namespaces: Vec<Namespace> = views.iter().map(Namespace::from).collect();
    Ok(shown(&Namespaces { namespaces: namespaces.clone() }, &namespaces))
}

fn shown(json: &impl serde::Serialize, namespaces: &[Namespace]) -> Output {
    let rows = namespaces.iter().map(|namespace| {
        vec![namespace.id.clone(), namespace.name.clone(), namespace.kind.clone(), namespace.slots.to_string()]
    });
    let output = Output::new(json, table(&["id", "name", "kind", "slots"], rows))
        .ids(namespaces.iter().map(|namespace| &namespace.id));
    shared(namespaces).into_iter().fold(output, |output, (name, id)| {
        output.also(format!(
            "several namespaces are named {name}: use an id in its place, or give all but one another name with \
             `trine namespace rename {id} NAME`"
        ))
    })
}

/// The names that several bear, each with the id of the last one.
fn shared(namespaces: &[Namespace]) -> BTreeMap<&str, &str> {
    let mut first = BTreeSet::new();
    let again = namespaces.iter().filter(|namespace| !first.insert(&namespace.name));
    again.map(|namespace| (namespace.name.as_str(), namespace.id.as_str())).collect()
}
