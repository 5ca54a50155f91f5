//! From what a node answers to what a history says, the same for both arenas.

use trine_ledger::checkpoint::Checkpoint;
use trine_protocol::reply::{Answer, Appended, RecordView};
use trine_protocol::{Missing, Reply, RequestError};

use crate::history::call::{Action, Outcome};
use crate::history::seen::{Known, Placed, Proof, Seen, Shown, Version, View, text};

impl Outcome {
    /// What an answer comes to for a call. That a key or an object is not there is what a read saw, not a failure.
    #[must_use]
    pub fn of(action: &Action, answer: &Result<Answer, RequestError>) -> Self {
        match answer {
            Ok(answer) => Self::Ok(Box::new(seen(action, answer))),
            // A stamp is not told with it, so that it can be judged only by what it does not show.
            Err(RequestError::NotFound { what: Missing::Key { .. } | Missing::Object { .. } })
                if matches!(action, Action::Latest | Action::Versions | Action::Read) =>
            {
                Self::Ok(Box::new(Seen {
                    stamp: trine_crdt::Timestamp::ZERO,
                    record: None,
                    shown: Some(Shown::Nothing),
                    session: Known::default(),
                }))
            }
            Err(error @ (RequestError::Unknown | RequestError::Damaged { .. })) => Self::Unknown(error.to_string()),
            Err(error) => Self::Fail(error.to_string()),
        }
    }
}

fn seen(action: &Action, answer: &Answer) -> Seen {
    let (mut record, mut shown) = (None, None);
    match &answer.reply {
        Reply::Appended(appended) => record = Some(placed(appended)),
        Reply::Record(view) => shown = Some(Shown::Records { records: vec![version(view)], more: false }),
        Reply::Page(page) => {
            let records: Vec<Version> = page.records.iter().map(version).collect();
            shown = Some(Shown::Records { records, more: page.next.is_some() });
        }
        // What an edit shows of the object after it is a whole set for each element added to it: too much to keep.
        Reply::Object(object) if matches!(action, Action::Read) => {
            shown = Some(Shown::Object(object.views.iter().map(View::from).collect()))
        }
        _ => {}
    }
    Seen { stamp: answer.timestamp, record, shown, session: Known::from(&answer.session) }
}

fn version(view: &RecordView) -> Version {
    Version { region: view.region.to_string(), index: view.index, stamp: view.timestamp, value: text(&view.value) }
}

fn placed(appended: &Appended) -> Placed {
    let proof = appended.proof.as_ref().zip(appended.header.as_ref()).map(|(proof, header)| {
        // What cannot be read becomes a proof of nothing, which no checker accepts.
        let checkpoint = Checkpoint::peek(&proof.checkpoint).ok();
        let path: Option<Vec<[u8; 32]>> = proof.path.iter().map(|hash| hash.as_ref().try_into().ok()).collect();
        Proof {
            size: checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.size),
            root: checkpoint.map_or([0; 32], |checkpoint| checkpoint.root),
            leaf: trine_ledger::tree::leaf_hash(header),
            path: path.unwrap_or_default(),
        }
    });
    Placed {
        region: appended.region.to_string(),
        index: appended.index,
        stamp: appended.timestamp,
        leaf: appended.leaf,
        again: appended.duplicate,
        proof,
    }
}
