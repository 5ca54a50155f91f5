//! `trine nodes …`

use clap::{Args, Subcommand};
use trine_crdt::NodeId;
use trine_doors::model::{Node, Nodes, health_name, raft_name};
use trine_protocol::Request;
use trine_protocol::reply::{NodeView, RaftRole, Reply};
use trine_protocol::request::{NodeReadmit, NodeRemove, NodeReplace};

use super::args::Globals;
use super::connect::Connection;
use super::exit::{Exit, Failure};
use super::input::confirm;
use super::output::{Output, pairs, table};

/// What to do about a node that is on no roster.
const NOT_ON_A_ROSTER: &str = "`trine nodes list` shows names and ids; the name of a node that was removed is opened by \
                               `trine nodes readmit NAME`";

/// The nodes of all regions.
#[derive(Debug, Subcommand)]
pub enum NodesCommand {
    /// All nodes; what one is in its Raft group is known in its own region only, and `-` elsewhere
    List,
    /// One node
    Show(NodeArgs),
    /// Take a node off its region's roster; it stops when the others can do without it
    Remove(ChangeArgs),
    /// Give a lost node up, so that a new one can take its place under its name
    Replace(ChangeArgs),
    /// Let a new node register under the name of one that was removed
    Readmit(ReadmitArgs),
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
    /// Also when those left could commit nothing with the nodes that answer now: the node is off the roster then, takes
    /// no more edits, and votes on until enough others answer. Of a replacement also when the node answers: what it
    /// alone holds is lost
    #[arg(long)]
    force: bool,
}

/// A name to be let in again.
#[derive(Debug, Args)]
pub struct ReadmitArgs {
    /// The name, such as us-east-1-a
    name: String,
}

/// Runs the command.
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
            let request = |node| Request::NodeRemove(NodeRemove { node, force: args.force });
            change(globals, &connection, args, question, request).await
        }
        NodesCommand::Replace(args) => {
            let question = "Its data is given up; a new node may take its name. Replace";
            let request = |node| Request::NodeReplace(NodeReplace { node, force: args.force });
            change(globals, &connection, args, question, request).await
        }
        NodesCommand::Readmit(args) => readmit(globals, &connection, &args.name).await,
    }
}

async fn change(
    globals: &Globals,
    connection: &Connection,
    args: &ChangeArgs,
    question: &str,
    request: impl Fn(NodeId) -> Request,
) -> Result<Output, Failure> {
    // A node that was removed is listed no more, but its name can be given to another by its id.
    let (id, name, state) = match (find(connection, &args.node).await, args.node.parse::<NodeId>()) {
        (Ok(view), _) => (view.id, view.name.clone(), said_of(&view)),
        (Err(_), Ok(id)) => (id, "a node that is off the roster".to_owned(), "not listed".to_owned()),
        (Err(failure), Err(_)) => {
            return Err(failure.hint(NOT_ON_A_ROSTER));
        }
    };
    let json = serde_json::json!({ "node": id.to_string(), "name": name, "dry_run": args.dry_run });
    if args.dry_run {
        return Ok(Output::new(&json, format!("would change the roster by {name} ({id}; {state})")));
    }
    confirm(globals, &format!("{question} {name} ({id}; {state})?"))?;
    connection.plain(request(id)).await.map_err(refused)?;
    Ok(Output::new(&json, format!("done: {name} ({id})")).ids([id.to_string()]).changed())
}

async fn readmit(globals: &Globals, connection: &Connection, name: &str) -> Result<Output, Failure> {
    confirm(globals, &format!("A new node may register under it. Readmit {name}?"))?;
    connection.plain(Request::NodeReadmit(NodeReadmit { name: name.to_owned() })).await.map_err(refused)?;
    let json = serde_json::json!({ "name": name });
    let people = format!(
        "done: start a node of the name {name} with an empty data directory, unless it waits already; `trine nodes list` \
         shows it when it has joined"
    );
    Ok(Output::new(&json, people).ids([name]))
}

/// A change of a roster that was refused.
fn refused(failure: Failure) -> Failure {
    // One that waits to be registered is listed and on no roster.
    if failure.exit == Exit::NotFound { failure.hint(NOT_ON_A_ROSTER) } else { failure }
}

/// What is known of a node, for whoever decides about it.
fn said_of(view: &NodeView) -> String {
    let health = health_name(view.health);
    let since = view.since.map(|since| format!(", registered since {}", since.utc())).unwrap_or_default();
    let silent = view.silent_ms.map(|ms| format!(", last heard {} s ago", ms / 1000)).unwrap_or_default();
    format!("{health}{since}{silent}")
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
            let all = nodes.iter().filter(|node| node.name == wanted);
            let all: Vec<String> = all.map(|node| format!("{} ({})", node.id, said_of(node))).collect();
            Err(Failure::usage(format!("several nodes are named {wanted}: {}", all.join("; "))).hint("use an id"))
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
            // What it is in its group its own region knows.
            if node.raft == raft_name(RaftRole::Unknown) { "-".to_owned() } else { node.raft.clone() },
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
        ("since", node.since.clone().unwrap_or_else(|| "(not yet registered)".to_owned())),
    ]);
    Output::new(node, people).ids([&node.id])
}
