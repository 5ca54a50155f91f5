//! Three journeys through the core, as it takes them: what a node hears and what it does about it, line by line. The files
//! in `testdata/journeys` are for whoever wants to know in which order things happen; they are what the core did when this ran last.

use expect_test::expect_file;
use trine_ledger::entry::{Command, Entry};
use trine_protocol::Durability;
use trine_protocol::request::Options;
use trine_replica::input::Payload;
use trine_replica::{Effect, Input, Persistence};

use crate::world::{Journey, Node, World, append};

/// What a node is told, when that is part of a journey.
fn heard(nodes: &[Node], place: usize, input: &Input) -> Option<String> {
    let name = &nodes[place].name;
    match input {
        Input::Request { request, .. } => Some(format!("{name}: a client asks: {}", variant(request))),
        Input::Message { from, message } => {
            let from = nodes.iter().find(|node| node.id == *from).map(|node| &node.name);
            Some(format!("{name}: hears from {}: {}", from.expect("a node of this world"), variant(message)))
        }
        Input::Committed { entries, .. } => {
            let told = entries.iter().map(|entry| match &entry.payload {
                Payload::Entry(bytes) => commands(bytes),
                other => variant(other),
            });
            Some(format!("{name}: the log has {}", told.collect::<Vec<_>>().join(", ")))
        }
        Input::Persisted(batch) => Some(format!("{name}: batch {batch} is on disk")),
        _ => None,
    }
}

/// What a node does.
fn done(nodes: &[Node], place: usize, effect: &Effect) -> Option<String> {
    let name = &nodes[place].name;
    match effect {
        Effect::Persist(batch) => {
            let how = match batch.persistence {
                Persistence::Synced => "synced",
                Persistence::Derived => "when there is time",
            };
            let rows: Vec<String> = batch.rows.iter().map(|(key, _)| row(key)).collect();
            Some(format!("{name}:     writes batch {}, {how}: {}", batch.id, rows.join(" ")))
        }
        Effect::Send { to, message } => {
            let to = nodes.iter().find(|node| node.id == *to).map(|node| &node.name);
            Some(format!("{name}:     sends {} {}", to.expect("a node of this world"), variant(message)))
        }
        Effect::Propose { entry, .. } => Some(format!("{name}:     proposes {}", commands(entry))),
        Effect::ReadIndex { .. } => Some(format!("{name}:     asks its group how far the log is")),
        Effect::Reply { answer, .. } => {
            let told = answer.as_ref().map_or_else(|error| error.code().to_owned(), |answer| variant(&answer.reply));
            Some(format!("{name}:     answers the client: {told}"))
        }
        Effect::Publish(_) => Some(format!("{name}:     publishes a rumor")),
        _ => None,
    }
}

/// The first word of what it is when it is printed.
fn variant(value: &impl std::fmt::Debug) -> String {
    let text = format!("{value:?}");
    text.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default().to_owned()
}

/// The letter of a row, as `rows.rs` draws them.
fn row(key: &[u8]) -> String {
    key.first().map_or_else(String::new, |letter| char::from(*letter).to_string())
}

fn commands(entry: &bytes::Bytes) -> String {
    let entry = Entry::from_bytes(entry).expect("the core made it");
    entry.commands.iter().map(|command: &Command| variant(command)).collect::<Vec<_>>().join("+")
}

/// What happens from now on until nothing is under way.
fn journey(world: &mut World, begin: impl FnOnce(&mut World)) -> String {
    world.journey = Some(Journey { lines: Vec::new(), heard, done });
    begin(world);
    world.run();
    world.journey.take().expect("it was begun").lines.join("\n") + "\n"
}

#[test]
fn an_edit_is_answered_when_a_majority_has_it_and_goes_on_to_the_other_region() {
    let mut world = World::new(&[3, 2]);
    let told = journey(&mut world, |world| {
        world.increment(0, "visits", Durability::Region);
    });
    expect_file!["../../testdata/journeys/edit.txt"].assert_eq(&told);
}

#[test]
fn an_append_is_handed_to_the_leader_and_answered_where_it_was_asked() {
    let mut world = World::new(&[3, 2]);
    let told = journey(&mut world, |world| {
        world.ask(1, Options::default(), append("order", "17", None));
    });
    expect_file!["../../testdata/journeys/append.txt"].assert_eq(&told);
}

#[test]
fn what_a_region_missed_comes_when_it_is_heard_again() {
    let mut world = World::new(&[2, 2]);
    world.loses = |world, from, to, _| world.nodes[from].region != world.nodes[to].region;
    world.increment(0, "visits", Durability::Local);
    world.run();
    world.loses = |_, _, _, _| false;
    let told = journey(&mut world, |world| world.pass(600));
    expect_file!["../../testdata/journeys/healing.txt"].assert_eq(&told);
}
