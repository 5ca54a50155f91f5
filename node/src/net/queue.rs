//! What waits to be sent on one link: bounded in bytes, urgent things first.
//!
//! Three classes. *Control* is small and makes room elsewhere (acknowledgements, repair digests): it goes first and
//! has a reserve of its own. *Data* is what somebody waits for (deltas, forwarded requests). *Bulk* is what catches up
//! (tails, pages). Data goes before bulk, but not for ever: after [`DATA_IN_A_ROW`] frames one of bulk has its turn.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use trine_replica::PeerMessage;

use super::limits::{DATA_IN_A_ROW, LINK_CONTROL_BYTES_RESERVED, LINK_QUEUE_BYTES_MAX};

/// How urgent a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    Control,
    Data,
    Bulk,
}

impl Class {
    pub fn of(message: &PeerMessage) -> Self {
        match message {
            PeerMessage::Metadata(_)
            | PeerMessage::Have { .. }
            | PeerMessage::Vectors(_)
            | PeerMessage::Vector { .. }
            | PeerMessage::PullPartition { .. }
            | PeerMessage::Follow { .. }
            | PeerMessage::Followed { .. }
            | PeerMessage::AskHoldings { .. }
            | PeerMessage::CatchingUp(_)
            | PeerMessage::Register(_)
            | PeerMessage::NotAdmitted { .. }
            | PeerMessage::LetGo
            | PeerMessage::ClockAsk { .. }
            | PeerMessage::ClockTell { .. }
            | PeerMessage::HeadAsked
            | PeerMessage::HeadTold(_)
            | PeerMessage::ExtensionAsked { .. }
            | PeerMessage::ExtensionTold { .. } => Self::Control,
            PeerMessage::Intervals { .. } | PeerMessage::Forward { .. } | PeerMessage::Forwarded { .. } => Self::Data,
            PeerMessage::PartitionPage { .. } | PeerMessage::Tail { .. } | PeerMessage::Holdings(_) => Self::Bulk,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Control => "control",
            Self::Data => "data",
            Self::Bulk => "bulk",
        }
    }
}

/// The queue of one link. The driver pushes, the link's writer pops.
#[derive(Debug, Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    filled: Notify,
}

#[derive(Debug, Default)]
struct State {
    classes: [VecDeque<Vec<u8>>; 3],
    bytes: usize,
    echo: Option<u64>,
    data_in_a_row: u32,
    closed: bool,
}

/// What a writer finds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// A whole frame.
    Frame(Class, Vec<u8>),
    /// A beat to be echoed.
    Echo(u64),
    /// Nothing at the moment.
    Empty,
    /// Nothing ever again.
    Closed,
}

impl Queue {
    /// Takes a whole frame; hands it back when there is no room for it.
    pub fn push(&self, class: Class, frame: Vec<u8>) -> Result<(), Vec<u8>> {
        let mut state = self.lock();
        let limit = match class {
            Class::Control => LINK_QUEUE_BYTES_MAX,
            Class::Data | Class::Bulk => LINK_QUEUE_BYTES_MAX - LINK_CONTROL_BYTES_RESERVED,
        };
        if state.closed || state.bytes + frame.len() > limit {
            return Err(frame);
        }
        state.bytes += frame.len();
        state.classes[class as usize].push_back(frame);
        drop(state);
        self.filled.notify_one();
        Ok(())
    }

    /// A beat came; only the latest is echoed.
    pub fn echo(&self, number: u64) {
        self.lock().echo = Some(number);
        self.filled.notify_one();
    }

    /// Nothing more is taken; what is there is still sent.
    pub fn close(&self) {
        self.lock().closed = true;
        self.filled.notify_one();
    }

    /// The next thing to send.
    pub fn pop(&self) -> Next {
        let mut state = self.lock();
        if let Some(number) = state.echo.take() {
            return Next::Echo(number);
        }
        let bulk_first = state.data_in_a_row >= DATA_IN_A_ROW;
        let order = if bulk_first {
            [Class::Control, Class::Bulk, Class::Data]
        } else {
            [Class::Control, Class::Data, Class::Bulk]
        };
        for class in order {
            if let Some(frame) = state.classes[class as usize].pop_front() {
                state.bytes -= frame.len();
                match class {
                    Class::Control => {}
                    Class::Data => state.data_in_a_row += 1,
                    Class::Bulk => state.data_in_a_row = 0,
                }
                return Next::Frame(class, frame);
            }
        }
        if state.closed { Next::Closed } else { Next::Empty }
    }

    /// Waits until there may be something to pop.
    pub async fn filled(&self) {
        self.filled.notified().await;
    }

    /// How many bytes wait.
    pub fn bytes(&self) -> usize {
        self.lock().bytes
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_overtakes_data_and_bulk_is_not_starved() {
        let queue = Queue::default();
        for number in 0..20 {
            assert!(queue.push(Class::Data, vec![number]).is_ok());
        }
        assert!(queue.push(Class::Bulk, vec![100]).is_ok());
        assert!(queue.push(Class::Control, vec![200]).is_ok());
        let mut order = Vec::new();
        while let Next::Frame(_, frame) = queue.pop() {
            order.push(frame[0]);
        }
        assert_eq!(order[0], 200);
        assert_eq!(order.iter().position(|number| *number == 100), Some(1 + DATA_IN_A_ROW as usize));
        assert_eq!(order.len(), 22);
    }

    #[test]
    fn a_full_queue_refuses_data_and_still_takes_control() {
        let queue = Queue::default();
        let megabyte = vec![0; 1024 * 1024];
        let mut taken = 0;
        while queue.push(Class::Bulk, megabyte.clone()).is_ok() {
            taken += megabyte.len();
        }
        assert!(taken <= LINK_QUEUE_BYTES_MAX - LINK_CONTROL_BYTES_RESERVED);
        assert!(queue.push(Class::Data, megabyte.clone()).is_err());
        assert!(queue.push(Class::Control, megabyte.clone()).is_ok());
        assert_eq!(queue.bytes(), taken + megabyte.len());
    }

    #[test]
    fn a_closed_queue_is_emptied_and_takes_nothing() {
        let queue = Queue::default();
        assert!(queue.push(Class::Data, vec![1]).is_ok());
        queue.close();
        assert!(queue.push(Class::Data, vec![2]).is_err());
        assert_eq!(queue.pop(), Next::Frame(Class::Data, vec![1]));
        assert_eq!(queue.pop(), Next::Closed);
    }
}
