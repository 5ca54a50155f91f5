//! Who sits at a listener, and who gives up its place when there are too many.
//!
//! A listener that refuses newcomers when it is full belongs to whoever comes first and says nothing. Time-outs alone do
//! not help, because a stranger comes again faster than they pass. So a newcomer is seated always, and when no place is
//! left, one that is *quiet* is asked to leave: a connection on which this node has nothing to do, because it waits for the
//! other side's next byte. Strangers go before those who have shown who they are, who never asked for anything before those
//! who did, then those of the address that has most quiet ones (an address' share is what the others leave it), then the
//! one that was quiet longest. So an honest caller,
//! who speaks as soon as it is seated, is not the one that goes.
//!
//! When nobody is quiet, because the node itself is slow, a few places are left that are lent for what must always be
//! answered ([`Seat::reserved`]).

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use tokio::sync::oneshot;

/// The places of one listener; clones share them.
#[derive(Debug, Clone)]
pub struct Seats {
    seated: Arc<Mutex<Seated>>,
    places: usize,
    reserved: usize,
}

#[derive(Debug, Default)]
struct Seated {
    next: u64,
    taken: BTreeMap<u64, Taken>,
    reserved: usize,
}

#[derive(Debug)]
struct Taken {
    place: Arc<Place>,
    reserved: bool,
    leave: oneshot::Sender<()>,
}

/// What is known of one connection.
#[derive(Debug)]
pub struct Place {
    crowd: IpAddr,
    since: Instant,
    heard_ms: AtomicU64,
    busy: AtomicUsize,
    known: AtomicBool,
    asked: AtomicBool,
}

/// A connection's place; given back when it is dropped.
#[derive(Debug)]
pub struct Seat {
    number: u64,
    seats: Seats,
    place: Arc<Place>,
    reserved: bool,
    dismissed: oneshot::Receiver<()>,
    gone: bool,
}

/// While it lives, this node has something to do for a connection.
#[derive(Debug)]
pub struct Work(Arc<Place>);

/// While it lives, what this node does for a connection waits for the other side.
#[derive(Debug)]
pub struct Waits(Arc<Place>);

impl Seats {
    /// So many places, and so many that are lent when nobody at the others can be asked to leave.
    #[must_use]
    pub fn new(places: usize, reserved: usize) -> Self {
        Self { seated: Arc::default(), places: places.max(1), reserved }
    }

    /// Seats a connection from an address; none when all are busy, on the reserved places as well.
    #[must_use]
    pub fn take(&self, address: IpAddr) -> Option<Seat> {
        let mut seated = self.lock();
        let mut reserved = false;
        if seated.taken.len() - seated.reserved >= self.places && !seated.dismiss(false) {
            reserved = true;
            if seated.reserved >= self.reserved && !seated.dismiss(true) {
                return None;
            }
        }
        let number = seated.next;
        seated.next += 1;
        let place = Arc::new(Place::new(crowd(address)));
        let (leave, dismissed) = oneshot::channel();
        seated.reserved += usize::from(reserved);
        seated.taken.insert(number, Taken { place: Arc::clone(&place), reserved, leave });
        Some(Seat { number, seats: self.clone(), place, reserved, dismissed, gone: false })
    }

    /// Whether the next one can only be seated in another's place.
    #[must_use]
    pub fn full(&self) -> bool {
        let seated = self.lock();
        seated.taken.len() - seated.reserved >= self.places
    }

    /// How many sit.
    #[must_use]
    pub fn taken(&self) -> usize {
        self.lock().taken.len()
    }

    fn lock(&self) -> MutexGuard<'_, Seated> {
        self.seated.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seated {
    /// Asks a quiet one to leave; its place is free at once.
    fn dismiss(&mut self, reserved: bool) -> bool {
        let quiet = || self.taken.iter().filter(|(_, taken)| taken.reserved == reserved && taken.place.is_quiet());
        let mut crowds: BTreeMap<IpAddr, usize> = BTreeMap::new();
        quiet().for_each(|(_, taken)| *crowds.entry(taken.place.crowd).or_default() += 1);
        let rank = |place: &Place| (!place.known(), !place.has_asked(), crowds[&place.crowd], place.quiet_for());
        let goes = quiet().max_by_key(|(_, taken)| rank(&taken.place)).map(|(number, _)| *number);
        let Some(gone) = goes.and_then(|number| self.remove(number)) else { return false };
        // Whoever is leaving by itself needs not be told.
        let _ = gone.leave.send(());
        true
    }

    fn remove(&mut self, number: u64) -> Option<Taken> {
        let taken = self.taken.remove(&number)?;
        self.reserved -= usize::from(taken.reserved);
        Some(taken)
    }
}

impl Place {
    fn new(crowd: IpAddr) -> Self {
        Self {
            crowd,
            since: Instant::now(),
            heard_ms: AtomicU64::new(0),
            busy: AtomicUsize::new(0),
            known: AtomicBool::new(false),
            asked: AtomicBool::new(false),
        }
    }

    /// Bytes came or went.
    pub fn heard(&self) {
        let elapsed = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.heard_ms.store(elapsed, Ordering::Relaxed);
    }

    /// The other side has shown who it is.
    pub fn note_known(&self) {
        self.known.store(true, Ordering::Relaxed);
    }

    fn known(&self) -> bool {
        self.known.load(Ordering::Relaxed)
    }

    /// Whether it has ever asked for anything.
    #[must_use]
    pub fn has_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }

    /// Whether this node has nothing to do for it.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.busy.load(Ordering::Relaxed) == 0
    }

    /// For how long no byte came or went.
    #[must_use]
    pub fn quiet_for(&self) -> Duration {
        self.since.elapsed().saturating_sub(Duration::from_millis(self.heard_ms.load(Ordering::Relaxed)))
    }

    /// For how long it has been seated.
    #[must_use]
    pub fn seated_for(&self) -> Duration {
        self.since.elapsed()
    }

    /// This node has something to do for it.
    #[must_use]
    pub fn work(self: &Arc<Self>) -> Work {
        self.asked.store(true, Ordering::Relaxed);
        self.busy.fetch_add(1, Ordering::Relaxed);
        Work(Arc::clone(self))
    }

    /// Some of the work waits for the other side; only while there is such work.
    #[must_use]
    pub fn waits(self: &Arc<Self>) -> Waits {
        self.busy.fetch_sub(1, Ordering::Relaxed);
        Waits(Arc::clone(self))
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for Waits {
    fn drop(&mut self) {
        self.0.busy.fetch_add(1, Ordering::Relaxed);
    }
}

impl Seat {
    /// The connection, as the others see it.
    #[must_use]
    pub fn place(&self) -> &Arc<Place> {
        &self.place
    }

    /// Whether the place is lent for what must always be answered.
    #[must_use]
    pub fn reserved(&self) -> bool {
        self.reserved
    }

    /// Ready when the place was given to another.
    pub fn poll_dismissed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.gone {
            self.gone = self.dismissed.poll_unpin(cx).is_ready();
        }
        if self.gone { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Waits until the place was given to another.
    pub async fn dismissed(&mut self) {
        std::future::poll_fn(|cx| self.poll_dismissed(cx)).await;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.seats.lock().remove(self.number);
    }
}

/// Addresses that one party has as many of as it likes count as one.
fn crowd(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
    }
}
