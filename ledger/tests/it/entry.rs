//! Log entries: one form, bounded, and no bytes that make a decoder panic.

use bytes::Bytes;
use expect_test::expect_file;
use proptest::prelude::*;
use trine_crdt::{NamespaceId, NodeId, Timestamp, WriterId};
use trine_ledger::limits::ENTRY_COMMANDS_MAX;
use trine_ledger::registry::Registry;
use trine_ledger::{Command, Condition, Entry, FormError, NamespaceKind, idempotency_key};

use crate::fixture::{at, hex, node, put, put_if, put_once, restore};

fn every_command() -> Entry {
    Entry {
        commands: vec![
            put(at(1), "orders/7", "paid"),
            put_if(at(2), "orders/7", "sent", Condition::Index(0)),
            put_if(at(3), "orders/8", "paid", Condition::Absent),
            put_once(at(4), "orders/9", "paid", 9),
            Command::Register(node(at(5), 1, "us-east-1-a", 1)),
            Command::Retire { stamp: at(6), node: NodeId(2) },
            Command::Replace { stamp: at(7), node: NodeId(3) },
            Command::CreateNamespace { stamp: at(8), name: "audit".into(), kind: NamespaceKind::Ledger, slots: 1 },
            Command::Seal { stamp: at(9) },
            Command::Recover { stamp: at(10), node: NodeId(4), survivor: NodeId(5) },
            restore(0, at(11), "orders/7", "paid"),
            Command::Resume {
                stamp: at(12),
                version: 40,
                registry: Box::new(Registry { retired: [NodeId(3)].into(), ..Registry::default() }),
            },
        ],
    }
}

/// What alters namespaces; their bytes are kept apart from those of the first kinds.
fn alterations() -> Entry {
    let namespace: NamespaceId = "eu-west-1/17".parse().expect("an id");
    let rename = Command::RenameNamespace { stamp: at(13), namespace: namespace.clone(), name: "baskets".into() };
    Entry { commands: vec![rename, Command::DeleteNamespace { stamp: at(14), namespace }] }
}

#[test]
fn the_bytes_stay_what_they_were() {
    let bytes = every_command().to_bytes().expect("within bounds");
    expect_file!["../../testdata/entry.hex"].assert_eq(&hex(&bytes));
    assert_eq!(Entry::from_bytes(&bytes), Ok(every_command()));
    let bytes = alterations().to_bytes().expect("within bounds");
    expect_file!["../../testdata/entry-alterations.hex"].assert_eq(&hex(&bytes));
    assert_eq!(Entry::from_bytes(&bytes), Ok(alterations()));
    let key = idempotency_key(&NamespaceId::default_ledger(), "order-7-attempt");
    expect_file!["../../testdata/idempotency.hex"].assert_eq(&hex(&key));
}

#[test]
fn every_command_says_when() {
    let commands = every_command().commands.into_iter().chain(alterations().commands);
    let stamps = commands.map(|command| command.stamp()).collect::<Result<Vec<_>, _>>();
    assert_eq!(stamps, Ok((1..=14).map(at).collect()));
}

#[test]
fn a_command_never_takes_more_than_it_said() {
    for command in every_command().commands.into_iter().chain(alterations().commands) {
        let most = command.bytes_max();
        let bytes = Entry { commands: vec![command] }.to_bytes().expect("within bounds").len() - 5;
        assert!(bytes <= most, "{bytes} > {most}");
    }
}

#[test]
fn one_key_in_two_namespaces_is_two_keys() {
    let other = NamespaceId::default_objects();
    assert_ne!(idempotency_key(&NamespaceId::default_ledger(), "k"), idempotency_key(&other, "k"));
}

#[test]
fn what_is_too_much_is_refused() {
    let seals = |count| Entry { commands: vec![Command::Seal { stamp: at(0) }; count] };
    assert!(seals(ENTRY_COMMANDS_MAX).to_bytes().is_ok());
    let (size, max) = (ENTRY_COMMANDS_MAX + 1, ENTRY_COMMANDS_MAX);
    assert_eq!(seals(size).to_bytes(), Err(FormError::TooLong { field: "commands", size, max }));
    // A length that promises more than there is costs nothing.
    let promise = Bytes::from_static(&[1, 0xff, 0xff, 0xff, 0xff]);
    assert!(matches!(Entry::from_bytes(&promise), Err(FormError::TooLong { .. })));
    for slots in [0, 3, 1 << 20] {
        let kind = NamespaceKind::Objects;
        let command = Command::CreateNamespace { stamp: at(0), name: "n".into(), kind, slots };
        let bytes = Entry { commands: vec![command] }.to_bytes().expect("within bounds");
        assert_eq!(Entry::from_bytes(&bytes), Err(FormError::Malformed { field: "namespace" }));
    }
}

#[test]
fn a_namespace_is_not_renamed_to_nothing() {
    let namespace = "us-east-1/1".parse().expect("an id");
    let command = Command::RenameNamespace { stamp: at(0), namespace, name: String::new() };
    let bytes = Entry { commands: vec![command] }.to_bytes().expect("within bounds");
    assert_eq!(Entry::from_bytes(&bytes), Err(FormError::Malformed { field: "namespace" }));
}

fn commands() -> impl Strategy<Value = Command> {
    let namespace = ("[a-z]{1,63}", any::<u64>())
        .prop_map(|(region, index)| NamespaceId { region: region.parse().expect("a name"), index });
    let stamp = any::<(u64, [u8; 16])>().prop_map(|(time, writer)| Timestamp { time, writer: WriterId(writer) });
    let condition = prop_oneof![Just(Condition::Absent), any::<u64>().prop_map(Condition::Index)];
    prop_oneof![
        (stamp.clone(), "[a-z]{1,9}", "\\PC{0,30}").prop_map(|(stamp, key, value)| put(stamp, &key, &value)),
        (stamp.clone(), "[a-z]{1,9}", condition).prop_map(|(stamp, key, when)| put_if(stamp, &key, "v", when)),
        (stamp.clone(), any::<u8>()).prop_map(|(stamp, key)| put_once(stamp, "k", "v", key)),
        (stamp.clone(), any::<u64>(), "[a-z-]{0,9}", any::<u8>())
            .prop_map(|(stamp, id, name, writer)| Command::Register(node(stamp, id, &name, writer))),
        (stamp.clone(), any::<u64>()).prop_map(|(stamp, node)| Command::Retire { stamp, node: NodeId(node) }),
        (stamp.clone(), any::<u64>()).prop_map(|(stamp, node)| Command::Replace { stamp, node: NodeId(node) }),
        (stamp.clone(), any::<(u64, u64)>()).prop_map(|(stamp, (node, survivor))| Command::Recover {
            stamp,
            node: NodeId(node),
            survivor: NodeId(survivor)
        }),
        (stamp.clone(), namespace.clone(), "[a-z]{1,128}")
            .prop_map(|(stamp, namespace, name)| Command::RenameNamespace { stamp, namespace, name }),
        (stamp.clone(), namespace).prop_map(|(stamp, namespace)| Command::DeleteNamespace { stamp, namespace }),
        stamp.prop_map(|stamp| Command::Seal { stamp }),
    ]
}

proptest! {
    #[test]
    fn entries_go_through_their_bytes(commands in proptest::collection::vec(commands(), 0..8)) {
        let entry = Entry { commands };
        let bytes = entry.to_bytes().expect("within bounds");
        prop_assert_eq!(Entry::from_bytes(&bytes), Ok(entry));
    }

    #[test]
    fn whatever_is_accepted_is_canonical(position in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = every_command().to_bytes().expect("within bounds").to_vec();
        let position = position.index(bytes.len());
        bytes[position] = byte;
        let bytes = Bytes::from(bytes);
        if let Ok(entry) = Entry::from_bytes(&bytes) {
            prop_assert_eq!(entry.to_bytes().expect("within bounds"), bytes);
        }
    }

    #[test]
    fn noise_is_refused_without_a_panic(noise in proptest::collection::vec(any::<u8>(), 0..300)) {
        let noise = Bytes::from([&[1, 0, 0, 0, 2][..], &noise].concat());
        if let Ok(entry) = Entry::from_bytes(&noise) {
            prop_assert_eq!(entry.to_bytes().expect("within bounds"), noise);
        }
    }
}
