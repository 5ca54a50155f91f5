//! Namespaces that are renamed and deleted, and the registry's bytes before and after.

use bytes::Bytes;
use expect_test::expect_file;
use trine_crdt::NamespaceId;
use trine_ledger::apply::{Applied, Refusal};
use trine_ledger::registry::Registry;
use trine_ledger::{AppendCommand, Command, FormError, NamespaceKind, NamespaceRecord};

use crate::fixture::{Ledger, append, at, body, header, hex};

fn create(seconds: u64, name: &str) -> Command {
    Command::CreateNamespace { stamp: at(seconds), name: name.into(), kind: NamespaceKind::Ledger, slots: 1 }
}

fn rename(seconds: u64, id: &str, name: &str) -> Command {
    Command::RenameNamespace { stamp: at(seconds), namespace: id.parse().expect("an id"), name: name.into() }
}

fn delete(seconds: u64, id: &str) -> Command {
    Command::DeleteNamespace { stamp: at(seconds), namespace: id.parse().expect("an id") }
}

fn put_into(seconds: u64, id: &str, idempotency: Option<u8>) -> Command {
    let body = body("a", "1");
    let header = trine_ledger::RecordHeader { namespace: id.parse().expect("an id"), ..header(at(seconds), &body) };
    let header = header.to_bytes().expect("within bounds");
    let idempotency = idempotency.map(|key| [key; 32]);
    Command::Append(Box::new(AppendCommand { header, body, idempotency, condition: None }))
}

fn one(ledger: &mut Ledger, command: Command) -> Applied {
    let outcome = ledger.apply(vec![command]);
    ledger.restart();
    outcome.applied.into_iter().next().expect("one command, one outcome")
}

fn refused(ledger: &mut Ledger, command: Command) -> Refusal {
    let before = ledger.state.registry().clone();
    let Applied::Refused(refusal) = one(ledger, command) else { panic!("not refused") };
    assert_eq!(*ledger.state.registry(), before, "a refusal changed something");
    refusal
}

fn id(text: &str) -> NamespaceId {
    text.parse().expect("an id")
}

fn known(ledger: &Ledger, text: &str) -> NamespaceRecord {
    ledger.state.registry().namespaces[&id(text)].clone()
}

#[test]
fn a_namespace_keeps_its_id_under_another_name() {
    let mut ledger = Ledger::new();
    one(&mut ledger, create(1, "carts"));
    let before = known(&ledger, "us-east-1/0");
    let renamed = NamespaceRecord { name: "baskets".into(), altered: Some(1), ..before.clone() };
    assert_eq!(one(&mut ledger, rename(2, "us-east-1/0", "baskets")), Applied::Namespace(renamed.clone()));
    assert_eq!(known(&ledger, "us-east-1/0"), renamed);
    // Done once more it is the same, and no change.
    let outcome = ledger.apply(vec![rename(3, "us-east-1/0", "baskets")]);
    assert_eq!((outcome.applied, outcome.registry_changed), (vec![Applied::Namespace(renamed)], false));
    // The old name is free, the new one taken.
    assert!(matches!(one(&mut ledger, create(4, "carts")), Applied::Namespace(_)));
    let taken = |id: &str| Refusal::NamespaceExists { id: id.parse().expect("an id") };
    assert_eq!(refused(&mut ledger, create(5, "baskets")), taken("us-east-1/0"));
    assert_eq!(refused(&mut ledger, rename(6, "us-east-1/3", "baskets")), taken("us-east-1/0"));
    assert_eq!(refused(&mut ledger, rename(7, "us-east-1/3", "default")), taken("_/0"));
    // Another region's namespace is none of this ledger's, and those of the genesis stay.
    let unknown = Refusal::UnknownNamespace { id: id("eu-west-1/0") };
    assert_eq!(refused(&mut ledger, rename(8, "eu-west-1/0", "others")), unknown);
    assert_eq!(refused(&mut ledger, delete(9, "eu-west-1/0")), unknown);
    let genesis = Refusal::GenesisNamespace { id: id("_/1") };
    assert_eq!(refused(&mut ledger, rename(10, "_/1", "things")), genesis);
    assert_eq!(refused(&mut ledger, delete(11, "_/1")), genesis);
}

#[test]
fn a_deleted_namespace_frees_its_name_and_takes_no_more_records() {
    let mut ledger = Ledger::new();
    one(&mut ledger, create(1, "audit"));
    assert!(matches!(one(&mut ledger, put_into(2, "us-east-1/0", Some(9))), Applied::Record(_)));
    assert_eq!(one(&mut ledger, delete(3, "us-east-1/0")), Applied::NamespaceDeleted(id("us-east-1/0")));
    let gone = Refusal::UnknownNamespace { id: id("us-east-1/0") };
    assert_eq!(refused(&mut ledger, put_into(4, "us-east-1/0", None)), gone);
    assert_eq!(refused(&mut ledger, delete(5, "us-east-1/0")), gone);
    assert_eq!(refused(&mut ledger, rename(6, "us-east-1/0", "other")), gone);
    // What was appended before the deletion is there, and a retry is told so.
    assert!(matches!(one(&mut ledger, put_into(7, "us-east-1/0", Some(9))), Applied::Duplicate { index: 0, .. }));
    let Applied::Namespace(again) = one(&mut ledger, create(8, "audit")) else { panic!("the name is free") };
    assert_eq!(again.id, id("us-east-1/7"), "and means another namespace now");
    // What a region's disks lost is put back, also into what was deleted since.
    let Command::Append(lost) = put_into(2, "us-east-1/0", None) else { unreachable!("an append") };
    let AppendCommand { header, body, .. } = *lost;
    let restore = Command::Restore { index: 1, header, body: Box::new(body) };
    assert!(matches!(one(&mut ledger, restore), Applied::Record(_)));
    // And an append to any other namespace is what it was.
    assert!(matches!(one(&mut ledger, Command::Append(Box::new(append(at(9), "a", "1")))), Applied::Record(_)));
}

#[test]
fn a_registry_that_went_back_learns_what_its_namespaces_became() {
    let mut told = Ledger::new();
    one(&mut told, create(1, "carts"));
    one(&mut told, create(2, "audit"));
    let before = told.clone();
    one(&mut told, rename(3, "us-east-1/0", "baskets"));
    one(&mut told, delete(4, "us-east-1/1"));
    let registry = Box::new(told.state.registry().clone());
    for mut ledger in [before, Ledger::new()] {
        let resume = Command::Resume { stamp: at(5), version: 40, registry: registry.clone() };
        assert_eq!(one(&mut ledger, resume), Applied::Resumed);
        assert_eq!(ledger.state.registry().namespaces, told.state.registry().namespaces);
        // What it alters from now on lies above all that it had altered.
        one(&mut ledger, rename(6, "us-east-1/0", "carts"));
        assert!(known(&ledger, "us-east-1/0").altered > Some(40));
    }
    // The other way round, what is older changes nothing.
    let mut older = Ledger::new();
    one(&mut older, create(1, "carts"));
    let registry = Box::new(older.state.registry().clone());
    one(&mut told, Command::Resume { stamp: at(7), version: 3, registry });
    assert_eq!(known(&told, "us-east-1/0").name, "baskets");
}

#[test]
fn a_registry_s_bytes_say_more_only_where_there_is_more_to_say() {
    let mut ledger = Ledger::new();
    one(&mut ledger, create(1, "carts"));
    one(&mut ledger, create(2, "audit"));
    one(&mut ledger, create(3, "plain"));
    let plain = ledger.state.registry().to_bytes().expect("within bounds");
    one(&mut ledger, rename(4, "us-east-1/0", "baskets"));
    one(&mut ledger, delete(5, "us-east-1/1"));
    let altered = ledger.state.registry().to_bytes().expect("within bounds");
    assert_eq!((plain[0], altered[0]), (1, 2));
    expect_file!["../../testdata/registry.hex"].assert_eq(&hex(&plain));
    expect_file!["../../testdata/registry-altered.hex"].assert_eq(&hex(&altered));
    for bytes in [&plain, &altered] {
        let read = Registry::from_bytes(bytes).expect("our own bytes");
        assert_eq!(read.to_bytes().expect("within bounds"), bytes);
    }
    // The later form without a later thing in it would be a second encoding of the same.
    let default = Registry::default().to_bytes().expect("within bounds");
    let mut second = default.to_vec();
    second[0] = 2;
    let names: [&[u8]; 2] = [b"default\x01\x00\x00\x00\x01", b"objects\x02\x00\x00\x01\x00"];
    for name in names {
        let at = second.windows(name.len()).position(|window| window == name).expect("it is listed") + name.len() + 24;
        second.insert(at, 0);
    }
    assert_eq!(Registry::from_bytes(&second.clone().into()), Err(FormError::Malformed { field: "registry" }));
    // Nor is there a third form, or a third thing to become.
    let mut third = default.to_vec();
    third[0] = 3;
    let version = Err(FormError::Version { field: "registry", version: 3 });
    assert_eq!(Registry::from_bytes(&Bytes::from(third)), version);
    let at = second.windows(7).position(|window| window == b"default").expect("it is listed") + 7 + 5 + 24;
    second[at] = 3;
    assert_eq!(Registry::from_bytes(&second.into()), Err(FormError::Malformed { field: "namespaces" }));
}
