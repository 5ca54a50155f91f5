//! What clients do: every kind of object, appends and reads, in sessions that move between nodes.

use bytes::Bytes;
use trine_protocol::object::Edit;
use trine_protocol::request::Options;
use trine_protocol::{Durability, Request, Role, SessionToken};
use trine_replica::Input;

use crate::sim::history::Operation;
use crate::sim::world::World;

const MS: u64 = 1_000_000;
/// How many sessions there are.
const SESSIONS: usize = 8;

/// Begins one operation at a random node that runs, and books the next.
pub fn operate(world: &mut World) {
    if world.history.sessions.is_empty() {
        world.history.sessions = vec![SessionToken::default(); SESSIONS];
    }
    let mean_ns = 1_000_000_000 / world.plan.operations_per_s.max(1);
    if world.now_ns < world.plan.active_ms * MS {
        let wait = world.chance.below(2 * mean_ns) + 1;
        world.schedule(wait, crate::sim::event::Event::Operation);
    }
    let running: Vec<usize> = (0..world.nodes.len()).filter(|node| world.nodes[*node].replica.is_some()).collect();
    if running.is_empty() {
        return;
    }
    let node = running[world.chance.below(running.len() as u64) as usize];
    let session = world.chance.below(SESSIONS as u64) as usize;
    let number = world.history.operations.len() as u64 + 1;
    let request = draw(world, number);
    let durability = if world.chance.happens(0.5) { Durability::Local } else { Durability::Region };
    let options = Options {
        durability,
        session: world.history.sessions[session].clone(),
        timeout: Some(std::time::Duration::from_millis(3_000)),
        ..Options::default()
    };
    let token = options.session.clone();
    let operation =
        Operation { node, begun_ns: world.now_ns, request: request.clone(), session, token, answered: None };
    world.history.operations.insert(number, operation);
    let life = world.nodes[node].life;
    world.input(node, life, Input::Request { id: number, role: Role::Admin, options, request });
}

fn draw(world: &mut World, number: u64) -> Request {
    let objects = |key: String, edit| Request::ObjectEdit { namespace: "objects".to_owned(), key, edit };
    let few = world.chance.below(4);
    match world.chance.below(100) {
        0..=24 => objects(format!("set-{few}"), Edit::Add(element(number))),
        25..=32 => {
            objects(format!("set-{few}"), Edit::Remove(earlier_element(world, few).unwrap_or_else(|| element(number))))
        }
        33..=44 => objects(format!("counter-{few}"), Edit::Increment(1 + (number % 5) as i64)),
        45..=52 => objects(format!("register-{few}"), Edit::Set(element(number))),
        53..=57 => objects(format!("multi-{few}"), Edit::Put(element(number))),
        58..=62 => {
            let edit = Box::new(Edit::Add(element(number)));
            objects(format!("map-{few}"), Edit::Field { name: format!("field-{}", number % 3), edit })
        }
        63..=64 => objects(format!("map-{few}"), Edit::RemoveField(format!("field-{}", number % 3))),
        65..=89 => Request::Append {
            namespace: "default".to_owned(),
            key: if number.is_multiple_of(3) { format!("shared-{few}") } else { format!("key-{number}") },
            value: element(number),
            content_type: "text/plain".to_owned(),
            metadata: std::collections::BTreeMap::new(),
            idempotency_key: None,
            if_match: None,
            with_proof: number.is_multiple_of(7),
        },
        90..=94 => Request::ObjectGet { namespace: "objects".to_owned(), key: format!("set-{few}") },
        _ => Request::LedgerHistory {
            namespace: "default".to_owned(),
            key: format!("shared-{few}"),
            after: None,
            limit: 1000,
        },
    }
}

/// The element that an operation writes: no other writes it.
#[must_use]
pub fn element(number: u64) -> Bytes {
    format!("value-{number}").into()
}

/// An element of a set that was acknowledged, to be removed.
fn earlier_element(world: &mut World, set: u64) -> Option<Bytes> {
    let key = format!("set-{set}");
    let added: Vec<Bytes> = world
        .history
        .operations
        .values()
        .rev()
        .take(200)
        .filter(|operation| operation.ok().is_some())
        .filter_map(|operation| match &operation.request {
            Request::ObjectEdit { key: other, edit: Edit::Add(element), .. } if *other == key => Some(element.clone()),
            _ => None,
        })
        .collect();
    let place = world.chance.below(added.len() as u64) as usize;
    added.get(place).cloned()
}
