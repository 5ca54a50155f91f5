//! Histories told in a few words, for the checkers' own tests.
//!
//! Calls follow each other, ten nanoseconds each, unless told otherwise; every acknowledged write gets the next stamp,
//! and its session knows it from then on.

use std::collections::BTreeMap;

use trine_crdt::{Timestamp, WriterId};

use crate::check::{Check, Evidence, Held, HeldObject, HeldRecord, answered};
use crate::history::{Action, Call, Edit, History, Known, Outcome, Placed, Proof, Seen, Shown, Version, View};

/// A history in the making, with what one node holds.
#[derive(Debug, Default)]
pub struct Story {
    calls: Vec<Call>,
    known: BTreeMap<usize, Known>,
    /// Everything else.
    pub evidence: Evidence,
}

/// The last call told.
pub struct Told<'a>(&'a mut Story, Option<Proof>);

/// A stamp by its time.
pub fn stamp(time: u64) -> Timestamp {
    Timestamp { time, writer: WriterId([1; 16]) }
}

/// A leaf by its number.
pub fn leaf(number: u64) -> [u8; 32] {
    trine_ledger::tree::leaf_hash(&number.to_be_bytes())
}

impl Story {
    /// A call after all others, of client and session 0 in `us-east-1`, on `us-east-1-a`; not answered yet.
    pub fn call(&mut self, key: &str, action: Action) -> Told<'_> {
        let at = 10 * (self.calls.len() as u64 + 1);
        self.calls.push(Call {
            id: self.calls.len() as u64 + 1,
            client: 0,
            session: 0,
            region: "us-east-1".to_owned(),
            node: Some("us-east-1-a".to_owned()),
            key: key.to_owned(),
            action,
            consistency: None,
            durability: None,
            request_id: None,
            knew: self.known.get(&0).cloned().unwrap_or_default(),
            invoked_ns: at,
            returned_ns: Some(at + 5),
            outcome: Outcome::Unknown(String::new()),
        });
        Told(self, None)
    }

    /// An edit.
    pub fn edit(&mut self, key: &str, edit: Edit) -> Told<'_> {
        self.call(key, Action::Edit(edit))
    }

    /// A read of an object.
    pub fn read(&mut self, key: &str) -> Told<'_> {
        self.call(key, Action::Read)
    }

    /// An append.
    pub fn append(&mut self, key: &str, value: &str) -> Told<'_> {
        self.call(key, Action::Append { value: value.to_owned(), only_after: None })
    }

    /// What a node of the first region holds.
    pub fn node(&mut self, name: &str) -> &mut Held {
        let place = self.evidence.held.iter().position(|held| held.node == name).unwrap_or_else(|| {
            let region = name.rsplit_once('-').map_or(name, |(region, _)| region).to_owned();
            self.evidence.held.push(Held { node: name.to_owned(), region, mirrors: true, ..Held::default() });
            self.evidence.held.len() - 1
        });
        &mut self.evidence.held[place]
    }

    /// `us-east-1-a` holds this in the end.
    pub fn holds(&mut self, key: &str, view: View) {
        let digest = *blake3::hash(format!("{view:?}").as_bytes()).as_bytes();
        let object = HeldObject { digest, views: vec![view] };
        self.node("us-east-1-a").objects.insert(key.to_owned(), object);
    }

    /// `us-east-1-a` holds these records of its own region, as [`Told::at`] places them.
    pub fn ledger(&mut self, records: &[(u64, &str, &str)]) {
        let records = records.iter().map(|(number, key, value)| record(*number, key, value)).collect();
        self.node("us-east-1-a").ledgers.entry("us-east-1".to_owned()).or_default().records = records;
    }

    /// The evidence as told.
    pub fn told(&self) -> Evidence {
        let mut evidence = self.evidence.clone();
        evidence.history = History::new(self.calls.clone());
        answered::settle(&evidence).unwrap_or(evidence)
    }

    /// The checker finds nothing.
    #[track_caller]
    pub fn accepted(&self, check: &Check) {
        let found = (check.run)(&self.told());
        assert!(found.is_empty(), "{found:#?}");
    }

    /// The checker finds `count` violations.
    #[track_caller]
    pub fn rejected(&self, check: &Check, count: usize) {
        let found = (check.run)(&self.told());
        assert_eq!(found.len(), count, "{found:#?}");
    }
}

/// A record by its number: its stamp and leaf follow from it.
pub fn record(number: u64, key: &str, value: &str) -> HeldRecord {
    HeldRecord { key: key.to_owned(), value: Some(value.to_owned()), stamp: stamp(number), leaf: leaf(number) }
}

impl Told<'_> {
    fn last(&mut self) -> &mut Call {
        self.0.calls.last_mut().expect("a call was told")
    }

    /// Of another session (and client).
    pub fn session(mut self, session: usize) -> Self {
        let knew = self.0.known.get(&session).cloned().unwrap_or_default();
        let call = self.last();
        (call.session, call.client, call.knew) = (session, session, knew);
        self
    }

    /// On another node, in its region.
    pub fn on(mut self, node: &str) -> Self {
        let region = node.rsplit_once('-').map_or(node, |(region, _)| region).to_owned();
        let call = self.last();
        (call.node, call.region) = (Some(node.to_owned()), region);
        self
    }

    /// From one time to another.
    pub fn during(mut self, invoked_ns: u64, returned_ns: u64) -> Self {
        let call = self.last();
        (call.invoked_ns, call.returned_ns) = (invoked_ns, Some(returned_ns));
        self
    }

    /// Changed in another way.
    pub fn but(mut self, change: impl FnOnce(&mut Call)) -> Self {
        change(self.last());
        self
    }

    /// Done: stamped with its number.
    pub fn ok(mut self) {
        let time = self.last().id;
        self.done(stamp(time), None, None);
    }

    /// Done, with this stamp.
    pub fn stamped(mut self, stamp: Timestamp) {
        self.done(stamp, None, None);
    }

    /// With this proof, when it is appended.
    pub fn with_proof(mut self, proof: Proof) -> Self {
        self.1 = Some(proof);
        self
    }

    /// Appended, as this record of the client's region.
    pub fn at(mut self, index: u64, number: u64) {
        let region = self.last().region.clone();
        let record =
            Placed { region, index, stamp: stamp(number), leaf: leaf(number), again: false, proof: self.1.take() };
        self.done(stamp(number), Some(record), None);
    }

    /// Read this object.
    pub fn shows(mut self, view: View) {
        let time = self.last().id;
        self.done(stamp(time), None, Some(Shown::Object(vec![view])));
    }

    /// The same, in an answer with this stamp.
    pub fn shows_at(mut self, view: View, stamp: Timestamp) {
        self.done(stamp, None, Some(Shown::Object(vec![view])));
    }

    /// Read that nothing is there.
    pub fn shows_nothing(mut self) {
        self.done(Timestamp::ZERO, None, Some(Shown::Nothing));
    }

    /// Read these records of the client's region: number and value; the index is the number.
    pub fn lists(mut self, records: &[(u64, &str)]) {
        let region = self.last().region.clone();
        let version = |(number, value): &(u64, &str)| Version {
            region: region.clone(),
            index: *number,
            stamp: stamp(*number),
            value: (*value).to_owned(),
        };
        let records: Vec<Version> = records.iter().map(version).collect();
        let time = records.last().map_or(1, |record| record.index);
        self.done(stamp(time), None, Some(Shown::Records { records, more: false }));
    }

    /// Not done.
    pub fn fail(mut self) {
        self.last().outcome = Outcome::Fail("refused".to_owned());
    }

    /// Of unknown fate.
    pub fn unknown(mut self) {
        self.last().outcome = Outcome::Unknown("timed out".to_owned());
    }

    fn done(&mut self, stamp: Timestamp, record: Option<Placed>, shown: Option<Shown>) {
        let call = self.last();
        let mut told = Known::default();
        if call.edit().is_some() {
            told.positions.insert(format!("{} {}", call.key, call.node.clone().unwrap_or_default()), call.id);
        }
        if let Some(record) = &record {
            told.ledgers.insert(record.region.clone(), record.index + 1);
        }
        call.outcome = Outcome::Ok(Box::new(Seen { stamp, record, shown, session: told.clone() }));
        let session = call.session;
        let known = self.0.known.entry(session).or_default();
        known.positions.extend(told.positions);
        known.ledgers.extend(told.ledgers);
    }
}
