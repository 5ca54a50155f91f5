//! Objects are enumerated: all of them, once, in key order, whatever partitions they lie in; and what was removed is none.

use bytes::Bytes;
use trine_protocol::request::{ObjectEdit, ObjectList, Options};
use trine_protocol::{Edit, ObjectKind, ObjectPage, Reply, Request, RequestError};
use trine_replica::limits::LIST_ROWS_MAX;

use crate::world::World;

fn edit(world: &mut World, key: &str, edit: Edit) {
    let request = Request::ObjectEdit(ObjectEdit { namespace: "objects".to_owned(), key: key.to_owned(), edit });
    let id = world.ask(0, Options::default(), request);
    assert!(world.answered(0, id).is_ok());
}

fn page(world: &mut World, prefix: &str, kind: Option<ObjectKind>, after: Option<&str>, limit: u32) -> ObjectPage {
    let (namespace, prefix, after) = ("objects".to_owned(), prefix.to_owned(), after.map(str::to_owned));
    let id =
        world.ask(0, Options::default(), Request::ObjectList(ObjectList { namespace, prefix, kind, after, limit }));
    match &world.answered(0, id).as_ref().expect("a page").reply {
        Reply::Objects(page) => page.clone(),
        other => panic!("a page, not {other:?}"),
    }
}

/// All keys, page by page, and how many pages that took.
fn all(world: &mut World, prefix: &str, kind: Option<ObjectKind>, limit: u32) -> (Vec<String>, usize) {
    let (mut keys, mut after, mut pages) = (Vec::new(), None, 0);
    loop {
        let page = page(world, prefix, kind, after.as_deref(), limit);
        assert!(page.objects.len() <= limit as usize);
        keys.extend(page.objects.into_iter().map(|entry| entry.key));
        pages += 1;
        after = page.next;
        if after.is_none() {
            return (keys, pages);
        }
    }
}

/// How many objects the node says it has.
fn counted(world: &mut World) -> u64 {
    let id = world.ask(0, Options::default(), Request::Status);
    match &world.answered(0, id).as_ref().expect("a status").reply {
        Reply::Status(status) => status.objects.values().map(|objects| objects.count).sum(),
        other => panic!("a status, not {other:?}"),
    }
}

#[test]
fn every_object_is_listed_once_and_in_order_however_small_the_pages() {
    let mut world = World::new(&[1]);
    let mut keys: Vec<String> = (0..300).map(|number| format!("order/{number}")).collect();
    keys.extend(["a", "a\0", "a\0b", "a\u{10ffff}", "b", "order", "order/", "\u{1}", "z"].map(str::to_owned));
    for key in &keys {
        edit(&mut world, key, Edit::Increment(1));
    }
    keys.sort();
    for limit in [1, 7, 100, 1000] {
        assert_eq!(all(&mut world, "", None, limit).0, keys, "{limit}");
    }
    for prefix in ["a", "a\0", "order/", "order/1", "order/17", "nothing"] {
        let wanted: Vec<String> = keys.iter().filter(|key| key.starts_with(prefix)).cloned().collect();
        assert_eq!(all(&mut world, prefix, None, 5).0, wanted, "{prefix:?}");
    }
    // A cursor before the prefix changes nothing; one behind it leaves nothing.
    assert_eq!(page(&mut world, "order/29", None, Some("a"), 3).objects.len(), 3);
    assert!(page(&mut world, "order/", None, Some("z"), 3).objects.is_empty());
}

#[test]
fn what_was_removed_is_neither_listed_nor_counted() {
    let mut world = World::new(&[1]);
    for number in 0..20 {
        edit(&mut world, &format!("k{number:02}"), Edit::Increment(1));
    }
    assert_eq!(counted(&mut world), 20);
    for number in 0..15 {
        edit(&mut world, &format!("k{number:02}"), Edit::Delete);
    }
    edit(&mut world, "set", Edit::Add(Bytes::from_static(b"e")));
    edit(&mut world, "set", Edit::Remove(Bytes::from_static(b"e")));
    assert_eq!(counted(&mut world), 5);
    assert_eq!(all(&mut world, "", None, 2).0, ["k15", "k16", "k17", "k18", "k19"]);
    edit(&mut world, "k03", Edit::Increment(1));
    assert_eq!(counted(&mut world), 6);
    // What a restart reads is what was counted.
    let disk = world.nodes[0].disk.clone();
    world.restart(0, Some(disk));
    world.lead(0);
    world.settle();
    assert_eq!(counted(&mut world), 6);
}

#[test]
fn a_filter_that_leaves_much_out_makes_short_pages_and_no_long_turns() {
    let mut world = World::new(&[1]);
    for number in 0..LIST_ROWS_MAX + 100 {
        edit(&mut world, &format!("k{number:05}"), Edit::Increment(1));
    }
    edit(&mut world, "z", Edit::Set(Bytes::from_static(b"v")));
    let first = page(&mut world, "", Some(ObjectKind::Register), None, 10);
    assert!(first.objects.is_empty());
    assert_eq!(first.next, Some(format!("k{:05}", LIST_ROWS_MAX - 1)), "that is how many are looked at in one turn");
    assert_eq!(all(&mut world, "", Some(ObjectKind::Register), 10), (vec!["z".to_owned()], 2));
    let id = world.ask(
        0,
        Options::default(),
        Request::ObjectList(ObjectList {
            namespace: "default".into(),
            prefix: String::new(),
            kind: None,
            after: None,
            limit: 1,
        }),
    );
    assert!(matches!(world.answered(0, id), Err(RequestError::Invalid { .. })), "records are no objects");
}
