//! Who sits at a listener, and who gives up its place when there are too many.
//!
//! A listener that refuses newcomers when it is full belongs to whoever comes first and says nothing. Time-outs alone do
//! not help, because a stranger comes again faster than they pass. So a newcomer is seated always, and when no place is
//! left, one that is *quiet* is asked to leave: a connection that this node has listened to and on which it has nothing to do,
//! because it waits for the other side's next byte. Strangers go before those who have shown who they are, who never asked
//! for anything before those who did, then those of the address that has most quiet ones (an address' share is what the
//! others leave it), of these who never said a byte, and then the one that was quiet longest.
//!
//! That alone would not spare an honest caller in a burst: it is a stranger, too, until its first bytes were read, and as
//! many newcomers as there are places come within milliseconds. So whoever is seated has a while to speak, counted from
//! when it was first listened to and not from when it came, because this node may be slow as well. While the one that
//! would go still has that while, newcomers wait in the system's queue ([`Seats::room`]). It is short, because whoever is in
//! that queue is honest as well, and has no more patience: newcomers come in at a rate that empties it soon ([`limits`]).
//!
//! When nobody is quiet, because the node itself is slow, a few places are left that are lent for what must always be
//! answered ([`Seat::reserved`]).

pub mod limits;

mod heard;

pub use heard::Heard;

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::{Notify, oneshot};

use limits::{BACKLOG, GRACE_MAX, GRACE_PER_PLACE};

/// The places of one listener; clones share them.
#[derive(Debug, Clone)]
pub struct Seats {
    seated: Arc<Mutex<Seated>>,
    freed: Arc<Notify>,
    places: usize,
    reserved: usize,
    grace: Duration,
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
    /// [`NEVER`] until it was first listened to.
    listened_ms: AtomicU64,
    heard_ms: AtomicU64,
    spoke: AtomicBool,
    busy: AtomicUsize,
    known: AtomicBool,
    asked: AtomicBool,
}

const NEVER: u64 = u64::MAX;

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
    /// This many places, and this many that are lent when nobody at the others can be asked to leave.
    #[must_use]
    pub fn new(places: usize, reserved: usize) -> Self {
        let grace = GRACE_PER_PLACE.saturating_mul(u32::try_from(places).unwrap_or(u32::MAX)).min(GRACE_MAX);
        Self { seated: Arc::default(), freed: Arc::default(), places: places.max(1), reserved, grace }
    }

    /// The same, where whoever is seated may take so long to speak.
    #[must_use]
    pub fn with_grace(self, grace: Duration) -> Self {
        Self { grace, ..self }
    }

    /// Waits until the next one can be seated without sending somebody away who has just come. Dropping it loses nothing.
    pub async fn room(&self) {
        loop {
            let left = self.wait();
            if left.is_zero() {
                return;
            }
            let _ = tokio::time::timeout(left, self.freed.notified()).await;
        }
    }

    /// How long the next one should wait, unless a place becomes free before.
    #[must_use]
    pub fn wait(&self) -> Duration {
        let seated = self.lock();
        if seated.taken.len() - seated.reserved < self.places {
            return Duration::ZERO;
        }
        let lends = seated.reserved < self.reserved;
        seated
            .wait(false, self.grace)
            .or_else(|| if lends { None } else { seated.wait(true, self.grace) })
            .unwrap_or_default()
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
        let goes = self.next_to_go(reserved);
        let Some(gone) = goes.and_then(|number| self.remove(number)) else { return false };
        let place = &gone.place;
        tracing::debug!(
            crowd = %place.crowd, known = place.known(), asked = place.has_asked(),
            quiet_for = ?place.quiet_for(), listened_for = ?place.listened_for(), "a place is given to another"
        );
        // Whoever is leaving by itself needs not be told.
        let _ = gone.leave.send(());
        true
    }

    /// How long a newcomer waits for somebody to leave; none when nobody may be asked to.
    fn wait(&self, reserved: bool, grace: Duration) -> Option<Duration> {
        let goes = self.next_to_go(reserved).map(|number| &self.taken[&number].place);
        if let Some(place) = goes.filter(|place| !place.has_asked()) {
            return Some(grace.saturating_sub(place.listened_for()));
        }
        // Rather than one that has asked, one that was not listened to yet may turn out to say nothing.
        let unheard = |taken: &Taken| taken.reserved == reserved && taken.place.is_idle() && !taken.place.is_quiet();
        if self.taken.values().any(unheard) { Some(grace) } else { goes.map(|_| Duration::ZERO) }
    }

    fn next_to_go(&self, reserved: bool) -> Option<u64> {
        let those = || self.taken.iter().filter(|(_, taken)| taken.reserved == reserved && taken.place.is_quiet());
        let mut crowds: BTreeMap<IpAddr, usize> = BTreeMap::new();
        those().for_each(|(_, taken)| *crowds.entry(taken.place.crowd).or_default() += 1);
        let rank = |place: &Place| {
            let silent = !place.spoke.load(Ordering::Relaxed);
            (!place.known(), !place.has_asked(), crowds[&place.crowd], silent, Reverse(place.last_heard()))
        };
        those().max_by_key(|(number, taken)| (rank(&taken.place), Reverse(**number))).map(|(number, _)| *number)
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
            listened_ms: AtomicU64::new(NEVER),
            heard_ms: AtomicU64::new(0),
            spoke: AtomicBool::new(false),
            busy: AtomicUsize::new(0),
            known: AtomicBool::new(false),
            asked: AtomicBool::new(false),
        }
    }

    /// This node waits for the other side's bytes, and there were none.
    pub fn listens(&self) {
        if self.listened_ms.load(Ordering::Relaxed) == NEVER {
            self.listened_ms.store(self.now_ms(), Ordering::Relaxed);
        }
    }

    /// Bytes came or went.
    pub fn heard(&self) {
        self.spoke.store(true, Ordering::Relaxed);
        self.heard_ms.store(self.now_ms(), Ordering::Relaxed);
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.since.elapsed().as_millis()).unwrap_or(NEVER - 1)
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

    /// Whether this node has listened to it and has nothing to do for it.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.is_idle() && self.listened_ms.load(Ordering::Relaxed) != NEVER
    }

    /// Whether this node has nothing to do for it; perhaps only because it has not listened yet.
    fn is_idle(&self) -> bool {
        self.busy.load(Ordering::Relaxed) == 0
    }

    /// For how long it has had a chance to speak.
    fn listened_for(&self) -> Duration {
        match self.listened_ms.load(Ordering::Relaxed) {
            NEVER => Duration::ZERO,
            at => self.since.elapsed().saturating_sub(Duration::from_millis(at)),
        }
    }

    /// For how long no byte came or went.
    #[must_use]
    pub fn quiet_for(&self) -> Duration {
        self.last_heard().elapsed()
    }

    /// When the last byte came or went, or it was seated. Places are compared by that: how long ago it was depends on when
    /// each is looked at.
    fn last_heard(&self) -> Instant {
        self.since + Duration::from_millis(self.heard_ms.load(Ordering::Relaxed))
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
        self.seats.freed.notify_one();
    }
}

/// Listens with a queue that holds a burst.
///
/// # Errors
/// When the address cannot be listened on.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
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
