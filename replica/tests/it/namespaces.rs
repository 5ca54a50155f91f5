//! Namespaces under one label in several regions, and how they get labels of their own again, or go.

use std::collections::BTreeMap;

use bytes::Bytes;
use trine_crdt::NamespaceId;
use trine_protocol::object::View;
use trine_protocol::reply::NamespaceView;
use trine_protocol::request::{
    Append, LedgerRecord, NamespaceCreate, NamespaceDelete, NamespaceKind, NamespaceRename, NamespaceShow, ObjectEdit,
    ObjectGet, Options,
};
use trine_protocol::{Edit, Reply, Request, RequestError};
use trine_replica::{Input, PeerMessage};

use crate::world::{Answered, World, region};

fn ask(world: &mut World, node: usize, request: Request) -> Answered {
    let id = world.ask(node, Options::default(), request);
    world.run();
    world.answered(node, id).clone()
}

fn create(world: &mut World, node: usize, name: &str, kind: NamespaceKind) -> NamespaceId {
    view(ask(world, node, Request::NamespaceCreate(NamespaceCreate { name: name.to_owned(), kind, slots: None }))).id
}

fn rename(namespace: &str, name: &str) -> Request {
    Request::NamespaceRename(NamespaceRename { namespace: namespace.to_owned(), name: name.to_owned() })
}

fn delete(namespace: &str, force: bool) -> Request {
    Request::NamespaceDelete(NamespaceDelete { namespace: namespace.to_owned(), force, vetted: false })
}

fn view(answer: Answered) -> NamespaceView {
    match answer.expect("done").reply {
        Reply::Namespace(view) => view,
        other => panic!("a namespace, not {other:?}"),
    }
}

fn done(answer: Answered) {
    assert_eq!(answer.expect("done").reply, Reply::Done);
}

fn shown(world: &mut World, node: usize, namespace: &str) -> Vec<String> {
    match ask(world, node, Request::NamespaceShow(NamespaceShow { namespace: namespace.to_owned() })) {
        Ok(answer) => match answer.reply {
            Reply::Namespaces(views) => views.iter().map(|view| view.id.to_string()).collect(),
            other => panic!("namespaces, not {other:?}"),
        },
        Err(RequestError::NotFound { .. }) => Vec::new(),
        Err(error) => panic!("{error}"),
    }
}

fn increment(namespace: &str, key: &str) -> Request {
    Request::ObjectEdit(ObjectEdit { namespace: namespace.to_owned(), key: key.to_owned(), edit: Edit::Increment(1) })
}

fn total(world: &mut World, node: usize, namespace: &str, key: &str) -> Result<i64, RequestError> {
    let get = Request::ObjectGet(ObjectGet { namespace: namespace.to_owned(), key: key.to_owned() });
    match ask(world, node, get)?.reply {
        Reply::Object(object) => match object.views[..] {
            [View::Counter(total)] => Ok(total),
            ref other => panic!("a counter, not {other:?}"),
        },
        other => panic!("an object, not {other:?}"),
    }
}

fn append(namespace: &str, key: &str) -> Request {
    Request::Append(Append {
        namespace: namespace.to_owned(),
        key: key.to_owned(),
        value: Bytes::from_static(b"value"),
        content_type: "text/plain".to_owned(),
        metadata: BTreeMap::new(),
        idempotency_key: None,
        if_match: None,
        with_proof: false,
    })
}

fn not_empty(answer: &Answered, holds: &str) {
    let Err(RequestError::NotEmpty { what }) = answer else { panic!("refused for what it holds, not {answer:?}") };
    assert!(what.contains(holds) && what.contains("--force") && what.contains("?force=true"), "{what}");
}

#[test]
fn one_label_of_three_regions_is_told_apart_by_ids_and_then_by_labels() {
    let mut world = World::new(&[1, 1, 1]);
    world.loses = |_, from, to, _| from != to;
    let ids = [0, 1, 2].map(|node| create(&mut world, node, "carts", NamespaceKind::Objects).to_string());
    world.loses = |_, _, _, _| false;
    world.settle();
    for node in 0..3 {
        // The refusal names all of them, and a command that works.
        let Err(RequestError::Ambiguous { what }) = total(&mut world, node, "carts", "visits") else {
            panic!("one label stands for three")
        };
        assert!(ids.iter().all(|id| what.contains(id)), "{what}");
        assert!(what.contains(&format!("`trine namespace rename {} NAME`", ids[0])), "the last of {what}");
        let create = Request::NamespaceCreate(NamespaceCreate {
            name: "carts".to_owned(),
            kind: NamespaceKind::Objects,
            slots: None,
        });
        let Err(RequestError::Ambiguous { what }) = ask(&mut world, node, create) else { panic!("it is taken") };
        assert!(what.contains("another name") && ids.iter().any(|id| what.contains(id)), "{what}");
        assert!(matches!(ask(&mut world, node, rename("carts", "mine")), Err(RequestError::Ambiguous { .. })));
        assert!(matches!(ask(&mut world, node, delete("carts", true)), Err(RequestError::Ambiguous { .. })));
        // What is under the label is written and read by ids meanwhile.
        for (region, id) in ids.iter().enumerate() {
            for _ in 0..=region {
                ask(&mut world, node, increment(id, "visits")).expect("an id stands for one");
            }
        }
    }
    world.settle();
    // Whoever is asked, the region that made it alters it.
    assert_eq!(view(ask(&mut world, 2, rename(&ids[0], "carts-us"))).name, "carts-us");
    let still = ask(&mut world, 1, rename("carts", "mine"));
    assert!(matches!(still, Err(RequestError::Ambiguous { .. })), "two are left: {still:?}");
    assert_eq!(view(ask(&mut world, 1, rename(&ids[1], "carts-eu"))).id.to_string(), ids[1]);
    world.settle();
    for node in 0..3 {
        for (number, (label, id)) in ["carts-us", "carts-eu", "carts"].iter().zip(&ids).enumerate() {
            assert_eq!(shown(&mut world, node, label), std::slice::from_ref(id), "at node {node}");
            let written = 3 * (number as i64 + 1);
            assert_eq!(total(&mut world, node, label, "visits"), Ok(written), "{label} at node {node}");
            assert_eq!(total(&mut world, node, id, "visits"), Ok(written), "{id} at node {node}");
        }
    }
    // And so it is after all of them have started anew.
    for node in 0..3 {
        world.restart(node, None);
    }
    world.settle();
    assert_eq!(shown(&mut world, 0, "carts-eu"), [ids[1].clone()]);
    assert_eq!(shown(&mut world, 1, "carts-eu"), [ids[1].clone()]);
    assert_eq!(shown(&mut world, 2, "carts"), [ids[2].clone()]);
}

#[test]
fn what_holds_something_is_deleted_only_by_force() {
    let mut world = World::new(&[1, 1]);
    let carts = create(&mut world, 0, "carts", NamespaceKind::Objects).to_string();
    let audit = create(&mut world, 0, "audit", NamespaceKind::Ledger).to_string();
    world.settle();
    ask(&mut world, 1, increment("carts", "visits")).expect("written");
    ask(&mut world, 1, append("audit", "one")).expect("appended");
    world.settle();
    for node in [0, 1] {
        not_empty(&ask(&mut world, node, delete("carts", false)), "holds 1 object;");
        not_empty(&ask(&mut world, node, delete(&audit, false)), "holds records");
    }
    // An object in which nothing is left is no reason to keep anything.
    let nothing =
        Request::ObjectEdit(ObjectEdit { namespace: "carts".into(), key: "visits".into(), edit: Edit::Delete });
    ask(&mut world, 0, nothing).expect("deleted");
    done(ask(&mut world, 1, delete("carts", false)));
    done(ask(&mut world, 1, delete("audit", true)));
    world.settle();
    for node in [0, 1] {
        for (label, id) in [("carts", &carts), ("audit", &audit)] {
            assert_eq!((shown(&mut world, node, label), shown(&mut world, node, id)), (Vec::new(), Vec::new()));
            let gone = ask(&mut world, node, delete(id, true));
            assert!(matches!(gone, Err(RequestError::NotFound { .. })), "{gone:?}");
        }
        let written = ask(&mut world, node, increment(&carts, "visits"));
        assert!(matches!(written, Err(RequestError::NotFound { .. })), "{written:?}");
        let appended = ask(&mut world, node, append(&audit, "two"));
        assert!(matches!(appended, Err(RequestError::NotFound { .. })), "{appended:?}");
        // A record is a record for ever, found by its place.
        let record = Request::LedgerRecord(LedgerRecord { region: region(1), index: 0, with_proof: true });
        let Ok(answer) = ask(&mut world, node, record) else { panic!("it is there") };
        let Reply::Record(record) = answer.reply else { panic!("a record") };
        assert_eq!((record.key.as_str(), record.proof.is_some()), ("one", true));
    }
    // The label means another namespace from now on, with nothing of the old one in it.
    let again = create(&mut world, 1, "carts", NamespaceKind::Objects).to_string();
    world.settle();
    assert_eq!(shown(&mut world, 0, "carts"), [again]);
    assert!(matches!(total(&mut world, 0, "carts", "visits"), Err(RequestError::NotFound { .. })));
}

#[test]
fn what_a_deleted_namespace_holds_is_hidden_and_the_same_at_all_nodes() {
    let mut world = World::new(&[2, 1]);
    let carts = create(&mut world, 0, "carts", NamespaceKind::Objects).to_string();
    world.settle();
    // One region hears of the deletion late and goes on writing.
    world.loses = |world, from, to, _| world.nodes[from].region != world.nodes[to].region;
    done(ask(&mut world, 1, delete("carts", true)));
    ask(&mut world, 2, increment("carts", "visits")).expect("it has not heard of it");
    world.loses = |_, _, _, _| false;
    world.settle();
    for node in 0..3 {
        let read = total(&mut world, node, &carts, "visits");
        assert!(matches!(read, Err(RequestError::NotFound { .. })), "{read:?}");
        let Reply::Status(status) = ask(&mut world, node, Request::Status).expect("a status").reply else {
            panic!("a status")
        };
        let held = &status.objects[&carts.parse::<NamespaceId>().expect("an id")];
        assert_eq!(held.count, 1, "what was written is replicated on, to node {node}");
    }
}

#[test]
fn a_leader_that_mirrors_nothing_asks_who_does_before_it_deletes() {
    let mut world = World::new(&[3, 1]);
    let audit = create(&mut world, 0, "audit", NamespaceKind::Ledger).to_string();
    world.settle();
    let mirrors = |world: &mut World, node| match ask(world, node, Request::Status).expect("a status").reply {
        Reply::Status(status) => status.mirrors,
        other => panic!("a status, not {other:?}"),
    };
    let bare = (0..3).find(|node| !mirrors(&mut world, *node)).expect("two of three mirror");
    world.lead(bare);
    world.settle();
    ask(&mut world, 3, append("audit", "far away")).expect("appended");
    world.settle();
    // From each node, through whichever others.
    for node in 0..4 {
        not_empty(&ask(&mut world, node, delete(&audit, false)), "holds records");
        // That somebody has looked is not for clients to say.
        let told = Request::NamespaceDelete(NamespaceDelete { namespace: audit.clone(), force: false, vetted: true });
        not_empty(&ask(&mut world, node, told), "holds records");
    }
    done(ask(&mut world, 3, delete(&audit, true)));
    // Where nobody can look, nobody says that there is nothing.
    let blind = create(&mut world, bare, "blind", NamespaceKind::Ledger).to_string();
    world.settle();
    for mirror in (0..3).filter(|node| *node != bare) {
        let mirror = world.nodes[mirror].id;
        world.input(bare, Input::PeerDown(mirror));
    }
    let Err(RequestError::Unavailable { what }) = ask(&mut world, bare, delete(&blind, false)) else {
        panic!("nobody has looked")
    };
    assert!(what.contains("mirrors") && what.contains("--force"), "{what}");
    world.connect(bare);
    world.settle();
    // And where there is nothing, it is deleted.
    let empty = create(&mut world, bare, "empty", NamespaceKind::Ledger).to_string();
    world.settle();
    done(ask(&mut world, 3, delete(&empty, false)));
}

#[test]
fn a_deletion_waits_for_what_is_under_way() {
    let mut world = World::new(&[1]);
    let audit = create(&mut world, 0, "audit", NamespaceKind::Ledger).to_string();
    world.commits = false;
    // One entry is under way; the next one would hold all that comes meanwhile.
    world.ask(0, Options::default(), append("default", "elsewhere"));
    let first = world.ask(0, Options::default(), append("audit", "one"));
    let deletion = world.ask(0, Options::default(), delete(&audit, false));
    let second = world.ask(0, Options::default(), append("audit", "two"));
    world.commits = true;
    world.run();
    world.answered(0, first).as_ref().expect("appended");
    not_empty(&world.answered(0, deletion).clone(), "holds records");
    world.answered(0, second).as_ref().expect("appended behind it");
    // What comes behind a deletion that is not refused is.
    world.commits = false;
    let deletion = world.ask(0, Options::default(), delete(&audit, true));
    let late = world.ask(0, Options::default(), append(&audit, "three"));
    world.commits = true;
    world.run();
    done(world.answered(0, deletion).clone());
    let late = world.answered(0, late);
    assert!(matches!(late, Err(RequestError::NotFound { .. })), "{late:?}");
}

#[test]
fn a_region_that_is_not_reached_is_named() {
    let mut world = World::new(&[1, 1]);
    let carts = create(&mut world, 0, "carts", NamespaceKind::Objects).to_string();
    world.settle();
    let far = world.nodes[0].id;
    world.input(1, Input::PeerDown(far));
    for request in [rename("carts", "baskets"), rename(&carts, "baskets"), delete("carts", true)] {
        let Err(RequestError::Unavailable { what }) = ask(&mut world, 1, request) else { panic!("nobody is there") };
        assert!(what.contains(region(0).as_str()) && what.contains(&carts), "{what}");
    }
    // The region itself needs nobody.
    assert_eq!(view(ask(&mut world, 0, rename("carts", "baskets"))).name, "baskets");
}

#[test]
fn what_cannot_be_altered_says_why() {
    let mut world = World::new(&[1, 1]);
    create(&mut world, 0, "carts", NamespaceKind::Objects);
    create(&mut world, 1, "audit", NamespaceKind::Ledger);
    world.settle();
    for node in [0, 1] {
        for label in ["default", "objects", "_/0", "_/1", "_/7"] {
            for request in [rename(label, "mine"), delete(label, true)] {
                assert!(matches!(ask(&mut world, node, request), Err(RequestError::Invalid { .. })), "{label}");
            }
        }
        for label in ["nothing", "us-east-1/999", "eu-west-1/999", "atlantis-1/2"] {
            for request in [rename(label, "mine"), delete(label, true), delete(label, false)] {
                let answer = ask(&mut world, node, request);
                assert!(matches!(answer, Err(RequestError::NotFound { .. })), "{label} at {node}: {answer:?}");
            }
        }
        for name in ["", "Carts", "a/b", &"a".repeat(64)] {
            assert!(
                matches!(ask(&mut world, node, rename("carts", name)), Err(RequestError::Invalid { .. })),
                "{name}"
            );
        }
        // Taken in any region.
        for name in ["audit", "default"] {
            assert!(matches!(ask(&mut world, node, rename("carts", name)), Err(RequestError::Ambiguous { .. })));
        }
        assert_eq!(view(ask(&mut world, node, rename("carts", "carts"))).name, "carts", "its own name is no other's");
    }
}

#[test]
fn each_change_is_heard_of_whatever_came_before_it() {
    let mut world = World::new(&[1, 1]);
    let named = |world: &mut World| match ask(world, 1, Request::NamespaceList).expect("a list").reply {
        Reply::Namespaces(views) => views.into_iter().map(|view| view.name).collect::<Vec<_>>(),
        other => panic!("namespaces, not {other:?}"),
    };
    create(&mut world, 0, "a", NamespaceKind::Ledger);
    world.settle();
    assert_eq!(named(&mut world), ["default", "objects", "a"]);
    ask(&mut world, 0, rename("a", "b")).expect("renamed");
    world.settle();
    assert_eq!(named(&mut world), ["default", "objects", "b"]);
    create(&mut world, 0, "a", NamespaceKind::Ledger);
    world.settle();
    assert_eq!(named(&mut world), ["default", "objects", "b", "a"]);
    ask(&mut world, 0, rename("b", "c")).expect("renamed");
    done(ask(&mut world, 0, delete("a", false)));
    world.settle();
    assert_eq!(named(&mut world), ["default", "objects", "c"]);
    create(&mut world, 0, "a", NamespaceKind::Ledger);
    world.settle();
    assert_eq!(named(&mut world), ["default", "objects", "c", "a"]);
}

#[test]
fn a_node_s_own_ledger_knows_better_than_the_metadata_that_it_holds() {
    let mut world = World::new(&[2]);
    let carts = create(&mut world, 0, "carts", NamespaceKind::Objects).to_string();
    world.settle();
    // Without the log key it hears from the other what its region says; now it does not.
    world.nodes[1].config.log_key = None;
    world.restart(1, None);
    world.settle();
    world.loses = |_, _, to, message| to == 1 && matches!(message, PeerMessage::Metadata(_));
    ask(&mut world, 0, rename("carts", "baskets")).expect("renamed");
    assert_eq!(shown(&mut world, 1, "baskets"), std::slice::from_ref(&carts));
    assert_eq!(shown(&mut world, 1, "carts"), Vec::<String>::new());
    done(ask(&mut world, 0, delete("baskets", false)));
    assert_eq!(shown(&mut world, 1, &carts), Vec::<String>::new());
    assert!(matches!(ask(&mut world, 1, increment("carts", "visits")), Err(RequestError::NotFound { .. })));
}

#[test]
fn a_region_whose_disk_went_back_gets_its_labels_back() {
    let mut world = World::new(&[1, 1, 1]);
    let carts = create(&mut world, 0, "carts", NamespaceKind::Objects).to_string();
    let audit = create(&mut world, 0, "audit", NamespaceKind::Ledger).to_string();
    world.settle();
    let old = world.nodes[0].disk.copy();
    ask(&mut world, 0, rename("carts", "baskets")).expect("renamed");
    done(ask(&mut world, 0, delete("audit", false)));
    world.settle();
    world.go_back(0, old);
    world.settle();
    for node in 0..3 {
        assert_eq!(shown(&mut world, node, "baskets"), std::slice::from_ref(&carts), "at node {node}");
        assert_eq!(shown(&mut world, node, &audit), Vec::<String>::new(), "at node {node}");
    }
    // What it alters from now on the others hear of.
    ask(&mut world, 0, rename("baskets", "trolleys")).expect("renamed");
    world.settle();
    assert_eq!(shown(&mut world, 2, "trolleys"), [carts]);
}
