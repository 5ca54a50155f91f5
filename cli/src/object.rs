//! `trine object …`

use bytes::Bytes;
use clap::{Args, Subcommand, ValueEnum};
use trine_doors::model::{Object, ObjectValue, Objects};
use trine_protocol::reply::Reply;
use trine_protocol::request::{ObjectEdit, ObjectGet, ObjectList};
use trine_protocol::{Edit, ObjectKind, ObjectPage, ObjectView, Request, View};

use super::args::{Globals, ReadArgs, WriteArgs};
use super::connect::Connection;
use super::exit::Failure;
use super::input::{ValueArgs, confirm};
use super::output::{Output, pairs, shortened, table};

/// Objects that every region writes and all agree on. The first change of a key decides its kind.
#[derive(Debug, Subcommand)]
pub enum ObjectCommand {
    /// Read an object
    Get(GetArgs),
    /// The objects of a namespace, in key order
    List(ListArgs),
    /// Set a register; the latest write wins
    Set(ValuedArgs),
    /// Add to a counter; a negative number subtracts
    Incr(IncrArgs),
    /// Add an element to a set
    Add(ValuedArgs),
    /// Remove an element from a set
    Remove(ValuedArgs),
    /// Put into a register that keeps concurrent values
    Put(ValuedArgs),
    /// Remove an object, or a name of a map
    Delete(DeleteArgs),
}

/// Which object.
#[derive(Debug, Clone, Args)]
pub struct KeyArgs {
    /// The key
    pub key: String,
    /// The objects namespace: its name or id
    #[arg(short, long, default_value = "objects")]
    pub namespace: String,
}

/// Which part of an object.
#[derive(Debug, Clone, Args)]
pub struct FieldArgs {
    /// A name of a map; several lead into maps in maps
    #[arg(long, value_name = "NAME")]
    pub field: Vec<String>,
}

/// `trine object get`.
#[derive(Debug, Args)]
pub struct GetArgs {
    #[command(flatten)]
    key: KeyArgs,
    #[command(flatten)]
    read: ReadArgs,
}

/// `trine object list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// The objects namespace: its name or id
    #[arg(short, long, default_value = "objects")]
    namespace: String,
    /// Only keys that start so
    #[arg(long, default_value = "", value_name = "PREFIX", hide_default_value = true)]
    prefix: String,
    /// Only objects of this kind
    #[arg(long, value_enum, value_name = "KIND")]
    kind: Option<Kind>,
    /// Only keys after this one: `next` of the last page
    #[arg(long, value_name = "KEY")]
    after: Option<String>,
    /// At most this many
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
    #[command(flatten)]
    read: ReadArgs,
}

/// The kinds of objects.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Kind {
    /// A sum of increments
    Counter,
    /// The latest value
    Register,
    /// All concurrent values
    #[value(alias = "multi_value")]
    MultiValue,
    /// Elements
    Set,
    /// Names, and objects under them
    Map,
}

impl From<Kind> for ObjectKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Counter => Self::Counter,
            Kind::Register => Self::Register,
            Kind::MultiValue => Self::MultiValue,
            Kind::Set => Self::Set,
            Kind::Map => Self::Map,
        }
    }
}

/// A change with a value.
#[derive(Debug, Args)]
pub struct ValuedArgs {
    #[command(flatten)]
    key: KeyArgs,
    #[command(flatten)]
    value: ValueArgs,
    #[command(flatten)]
    field: FieldArgs,
    #[command(flatten)]
    write: WriteArgs,
}

/// `trine object incr`.
#[derive(Debug, Args)]
pub struct IncrArgs {
    #[command(flatten)]
    key: KeyArgs,
    /// How much
    #[arg(default_value_t = 1, allow_negative_numbers = true)]
    by: i64,
    #[command(flatten)]
    field: FieldArgs,
    #[command(flatten)]
    write: WriteArgs,
}

/// `trine object delete`.
#[derive(Debug, Args)]
pub struct DeleteArgs {
    #[command(flatten)]
    key: KeyArgs,
    #[command(flatten)]
    field: FieldArgs,
    #[command(flatten)]
    write: WriteArgs,
}

/// Runs the command.
///
/// # Errors
/// As the cluster answers.
pub async fn run(globals: &Globals, command: &ObjectCommand) -> Result<Output, Failure> {
    let valued = |args: &ValuedArgs, edit: fn(Bytes) -> Edit| Ok::<_, Failure>(edit(args.value.read()?));
    match command {
        ObjectCommand::Get(args) => {
            let request =
                Request::ObjectGet(ObjectGet { namespace: args.key.namespace.clone(), key: args.key.key.clone() });
            let reply = Connection::open(globals)?.read(&args.read, request).await?;
            shown(&args.key, reply)
        }
        ObjectCommand::List(args) => list(globals, args).await,
        ObjectCommand::Set(args) => edit(globals, &args.key, &args.field, &args.write, valued(args, Edit::Set)?).await,
        ObjectCommand::Put(args) => edit(globals, &args.key, &args.field, &args.write, valued(args, Edit::Put)?).await,
        ObjectCommand::Add(args) => edit(globals, &args.key, &args.field, &args.write, valued(args, Edit::Add)?).await,
        ObjectCommand::Remove(args) => {
            edit(globals, &args.key, &args.field, &args.write, valued(args, Edit::Remove)?).await
        }
        ObjectCommand::Incr(args) => edit(globals, &args.key, &args.field, &args.write, Edit::Increment(args.by)).await,
        ObjectCommand::Delete(args) => {
            let mut field = args.field.clone();
            let last = field.field.pop();
            if !args.write.dry_run {
                let what =
                    last.as_ref().map_or_else(|| args.key.key.clone(), |name| format!("{name} of {}", args.key.key));
                confirm(globals, &format!("Remove {what}?"))?;
            }
            edit(globals, &args.key, &field, &args.write, last.map_or(Edit::Delete, Edit::RemoveField)).await
        }
    }
}

/// Looks on until the page is full or there are no more: a node's page may be short where its filter leaves much out.
async fn list(globals: &Globals, args: &ListArgs) -> Result<Output, Failure> {
    let connection = Connection::open(globals)?;
    let (mut objects, mut after) = (Vec::new(), args.after.clone());
    loop {
        let request = Request::ObjectList(ObjectList {
            namespace: args.namespace.clone(),
            prefix: args.prefix.clone(),
            kind: args.kind.map(ObjectKind::from),
            after,
            limit: args.limit - u32::try_from(objects.len()).unwrap_or(args.limit),
        });
        let Reply::Objects(page) = connection.read(&args.read, request).await? else {
            return Err(Failure::unexpected());
        };
        objects.extend(page.objects);
        after = page.next;
        if after.is_none() || objects.len() >= args.limit as usize {
            break;
        }
    }
    let listed = Objects::of(&args.namespace, &ObjectPage { objects, next: after });
    let rows = listed.objects.iter().map(|object| {
        let kinds: Vec<&str> = object.values.iter().map(ObjectValue::kind).collect();
        let values: Vec<String> = object.values.iter().map(ObjectValue::shown).collect();
        vec![object.key.clone(), kinds.join(" "), object.time.clone(), shortened(&values.join(" "))]
    });
    let people = table(&["key", "kind", "time", "value"], rows);
    let output = Output::new(&listed, people).ids(listed.objects.iter().map(|object| &object.key));
    Ok(match &listed.next {
        Some(next) => output.note(format!("there is more: go on with --after {next}")),
        None => output,
    })
}

async fn edit(
    globals: &Globals,
    key: &KeyArgs,
    field: &FieldArgs,
    write: &WriteArgs,
    edit: Edit,
) -> Result<Output, Failure> {
    let edit =
        field.field.iter().rev().fold(edit, |edit, name| Edit::Field { name: name.clone(), edit: Box::new(edit) });
    let connection = Connection::open(globals)?;
    if write.dry_run {
        let what = format!("would change {} in {}: {edit:?}", key.key, key.namespace);
        return Ok(Output::new(&serde_json::json!({ "dry_run": true, "change": what }), what));
    }
    let request = Request::ObjectEdit(ObjectEdit { namespace: key.namespace.clone(), key: key.key.clone(), edit });
    let reply = connection.write(write, request).await?;
    shown(key, reply).map(Output::changed)
}

fn shown(key: &KeyArgs, reply: Reply) -> Result<Output, Failure> {
    let view = match reply {
        Reply::Object(view) => view,
        Reply::Done => return Ok(Output::new(&serde_json::json!({ "key": key.key }), "").ids([&key.key])),
        _ => return Err(Failure::unexpected()),
    };
    let object = Object::of(&key.namespace, &key.key, &view);
    let mut lines = vec![("key", object.key.clone())];
    for value in &object.values {
        lines.push((value.kind(), value.shown()));
    }
    lines.push(("time", object.time.clone()));
    lines.push(("timestamp", object.timestamp.clone()));
    lines.push(("digest", object.digest.clone()));
    Ok(Output::new(&object, pairs(&lines)).value(&plain(&view)))
}

/// Just the value: a register's bytes as they are, everything else as text.
fn plain(view: &ObjectView) -> Vec<u8> {
    if let [View::Register(bytes)] = view.views.as_slice() {
        return bytes.to_vec();
    }
    let texts: Vec<String> = view.views.iter().map(|view| ObjectValue::from(view).shown()).collect();
    let mut text = texts.join("\n");
    if !text.is_empty() {
        text.push('\n');
    }
    text.into_bytes()
}
