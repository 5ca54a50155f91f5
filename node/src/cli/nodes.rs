//! `trine nodes …`

use clap::{Args, Subcommand};
use trine_crdt::NodeId;
use trine_protocol::Request;
use trine_protocol::reply::{NodeView, Reply};

use super::args::Globals;
use super::connect::Connection;
use super::exit::{Exit, Failure};
use super::input::confirm;
use super::output::{Output, pairs, table};
use crate::model::{Node, Nodes};

/// The nodes of all regions.
#[derive(Debug, Subcommand)]
pub enum NodesCommand {
    /// All nodes
    List,
    /// One node
    Show(NodeArgs),
    /// Take a node off its region's roster
    Remove(ChangeArgs),
    /// Let a new node take a lost one's place under its name
    Replace(ChangeArgs),
}

/// Which node.
#[derive(Debug, Args)]
pub struct NodeArgs {
    /// Its name, such as us-east-1-a, or its id
    node: String,
}

/// A change of a region's roster.
#[derive(Debug, Args)]
pub struct ChangeArgs {
    /// Its name, such as us-east-1-a, or its id
    node: String,
    /// Say what would be done and do nothing
    #[arg(long)]
    dry_run: bool,
}

/// Does it.
///
/// # Errors
/// As the cluster answers.
pub async fn run(globals: &Globals, command: &NodesCommand) -> Result<Output, Failure> {
    let connection = Connection::open(globals)?;
    match command {
        NodesCommand::List => {
            let nodes: Vec<Node> = list(&connection).await?.iter().map(Node::from).collect();
            Ok(listed(&nodes))
        }
        NodesCommand::Show(args) => {
            let view = find(&connection, &args.node).await?;
            Ok(shown(&Node::from(&view)))
        }
        NodesCommand::Remove(args) => {
            let question = "It stops voting and serving. Remove";
            change(globals, &connection, args, question, |node| Request::NodeRemove { node }).await
        }
        NodesCommand::Replace(args) => {
            let question = "Its data is given up; a new node may take its name. Replace";
            change(globals, &connection, args, question, |node| Request::NodeReplace { node }).await
        }
    }
}

async fn change(
    globals: &Globals,
    connection: &Connection,
    args: &ChangeArgs,
    question: &str,
    request: fn(NodeId) -> Request,
) -> Result<Output, Failure> {
    // A node that was removed is listed no more, but its name can be given to another by its id.
    let (id, name) = match (find(connection, &args.node).await, args.node.parse::<NodeId>()) {
        (Ok(view), _) => (view.id, view.name),
        (Err(_), Ok(id)) => (id, "a node that is off the roster".to_owned()),
        (Err(failure), Err(_)) => return Err(failure),
    };
    let json = serde_json::json!({ "node": id.to_string(), "name": name, "dry_run": args.dry_run });
    if args.dry_run {
        return Ok(Output::new(&json, format!("would change the roster by {name} ({id})")));
    }
    confirm(globals, &format!("{question} {name} ({id})?"))?;
    connection.plain(request(id)).await?;
    Ok(Output::new(&json, format!("done: {name} ({id})")).ids([id.to_string()]).changed())
}

/// The nodes, as the cluster lists them.
///
/// # Errors
/// As the cluster answers.
pub async fn list(connection: &Connection) -> Result<Vec<NodeView>, Failure> {
    match connection.plain(Request::NodeList).await? {
        Reply::Nodes(nodes) => Ok(nodes),
        _ => Err(Failure::unexpected()),
    }
}

async fn find(connection: &Connection, wanted: &str) -> Result<NodeView, Failure> {
    let nodes = list(connection).await?;
    let mut named = nodes.iter().filter(|node| node.name == wanted || node.id.to_string() == wanted);
    match (named.next(), named.next()) {
        (Some(node), None) => Ok(node.clone()),
        (Some(_), Some(_)) => {
            Err(Failure::usage(format!("several nodes are named {wanted}"))
                .hint("use the id; `trine nodes list` shows it"))
        }
        (None, _) => Err(Failure::new(Exit::NotFound, format!("node {wanted} not found"))
            .hint("`trine nodes list` shows names and ids")),
    }
}

fn listed(nodes: &[Node]) -> Output {
    let rows = nodes.iter().map(|node| {
        vec![
            node.name.clone(),
            node.id.clone(),
            node.region.clone(),
            node.health.clone(),
            node.raft.clone(),
            node.http.clone().unwrap_or_default(),
        ]
    });
    let people = table(&["name", "id", "region", "health", "raft", "http"], rows);
    Output::new(&Nodes { nodes: nodes.to_vec() }, people).ids(nodes.iter().map(|node| &node.id))
}

fn shown(node: &Node) -> Output {
    let people = pairs(&[
        ("name", node.name.clone()),
        ("id", node.id.clone()),
        ("region", node.region.clone()),
        ("health", node.health.clone()),
        ("raft", node.raft.clone()),
        ("writer", node.writer.clone().unwrap_or_else(|| "(none)".to_owned())),
        ("peer", node.peer.clone()),
        ("addresses", node.addresses.join("\n")),
        ("http", node.http.clone().unwrap_or_else(|| "(not said)".to_owned())),
    ]);
    Output::new(node, people).ids([&node.id])
}
