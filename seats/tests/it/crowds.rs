//! Who gives up its place when many come, and who is spared.

use std::net::IpAddr;
use std::time::Duration;

use futures::FutureExt as _;
use tokio::time::timeout;
use trine_seats::{Seat, Seats};

const PATIENCE: Duration = Duration::from_secs(60);

fn from(address: &str) -> IpAddr {
    address.parse().expect("an address")
}

fn gone(seat: &mut Seat) -> bool {
    seat.dismissed().now_or_never().is_some()
}

/// A connection that is listened to and says nothing.
fn silent(seats: &Seats, address: &str) -> Seat {
    let seat = seats.take(from(address)).expect("a place");
    seat.place().listens();
    seat
}

#[test]
fn the_address_with_most_silent_ones_gives_a_place_up() {
    let seats = Seats::new(4, 0);
    let mut crowd: Vec<Seat> = (0..3).map(|_| silent(&seats, "10.0.0.1")).collect();
    let mut single = silent(&seats, "10.0.0.2");
    let mut newcomer = silent(&seats, "10.0.0.2");
    assert!(gone(&mut crowd[0]), "the oldest of the crowd goes");
    assert!(!gone(&mut single) && !gone(&mut newcomer) && !gone(&mut crowd[1]));
    assert_eq!(seats.taken(), 4);
    drop(crowd);
    drop((single, newcomer));
    assert_eq!(seats.taken(), 0);
}

#[test]
fn addresses_that_one_party_has_as_many_of_as_it_likes_are_one_crowd() {
    let seats = Seats::new(3, 0);
    let mut first = silent(&seats, "2001:db8::1");
    let _second = silent(&seats, "2001:db8::2:1");
    let mut other = silent(&seats, "::ffff:10.0.0.9");
    let _newcomer = silent(&seats, "10.0.0.10");
    assert!(gone(&mut first) && !gone(&mut other));
}

#[test]
fn strangers_go_before_those_who_are_known_and_nobody_goes_who_is_served() {
    let seats = Seats::new(3, 1);
    let mut known = silent(&seats, "10.0.0.1");
    known.place().note_known();
    let mut served = silent(&seats, "10.0.0.1");
    let work = served.place().work();
    let mut stranger = silent(&seats, "10.0.0.2");
    let second = silent(&seats, "10.0.0.1");
    assert!(gone(&mut stranger) && !gone(&mut known) && !second.reserved());
    let (_a, _b) = (known.place().work(), second.place().work());
    // All are served: one more place is lent, and lent again.
    let mut lent = silent(&seats, "10.0.0.3");
    assert!(lent.reserved());
    let again = silent(&seats, "10.0.0.3");
    assert!(gone(&mut lent) && again.reserved());
    let _c = again.place().work();
    assert!(seats.take(from("10.0.0.4")).is_none(), "there is a bound");
    // Whoever leaves the node waiting is quiet after all.
    let _waits = served.place().waits();
    let newcomer = silent(&seats, "10.0.0.4");
    assert!(gone(&mut served) && !newcomer.reserved());
    drop(work);
}

#[test]
fn who_has_asked_before_keeps_its_place_before_who_never_did() {
    let seats = Seats::new(2, 0);
    let mut asked = silent(&seats, "10.0.0.1");
    drop(asked.place().work());
    let mut never = silent(&seats, "10.0.0.1");
    let _newcomer = silent(&seats, "10.0.0.1");
    assert!(gone(&mut never) && !gone(&mut asked));
}

/// At a listener where all are known from the start, one that was not listened to yet was the only stranger: each newcomer
/// sent the one before it away, whatever that had already sent.
#[test]
fn who_was_not_listened_to_yet_does_not_go() {
    let seats = Seats::new(2, 0);
    let mut heard = silent(&seats, "10.0.0.1");
    heard.place().note_known();
    let mut unheard = seats.take(from("10.0.0.1")).expect("a place");
    let mut newcomer = seats.take(from("10.0.0.1")).expect("a place");
    assert!(gone(&mut heard) && !gone(&mut unheard));
    assert!(seats.take(from("10.0.0.1")).is_none(), "nobody is quiet");
    assert!(!gone(&mut unheard) && !gone(&mut newcomer));
}

#[test]
fn who_has_begun_to_speak_goes_after_those_who_say_nothing() {
    let seats = Seats::new(2, 0);
    let mut begun = silent(&seats, "10.0.0.1");
    begun.place().heard();
    let mut nothing = silent(&seats, "10.0.0.1");
    let _newcomer = silent(&seats, "10.0.0.1");
    assert!(gone(&mut nothing) && !gone(&mut begun));
}

/// So long that it is not over before the test is.
const LONG: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn whoever_is_seated_has_a_while_to_speak_before_another_comes_in() {
    let seats = Seats::new(3, 0).with_grace(LONG);
    let _first = silent(&seats, "10.0.0.1");
    let _second = silent(&seats, "10.0.0.1");
    seats.room().await;
    let third = silent(&seats, "10.0.0.2");
    let mut room = Box::pin(seats.room());
    assert!(room.as_mut().now_or_never().is_none(), "all have just come");
    drop(third);
    timeout(PATIENCE, room).await.expect("one went by itself");
    let _fourth = silent(&seats, "10.0.0.2");
    // Once their while is over, nobody waits for those who say nothing; nor for one that was not listened to, while there are such.
    assert!(!seats.wait().is_zero());
    assert!(seats.clone().with_grace(Duration::ZERO).wait().is_zero());
}

/// Newcomers come in as fast as those who came long ago can go, however slow this node is to listen to the last ones.
#[test]
fn no_newcomer_waits_for_the_one_before_it() {
    let seats = Seats::new(2, 0).with_grace(LONG);
    let old = silent(&seats, "10.0.0.1");
    old.place().note_known();
    let _unheard = seats.take(from("10.0.0.1")).expect("a place");
    assert!(seats.wait() < LONG, "it is the old one's while that passes");
}

#[test]
fn who_has_asked_does_not_go_because_the_others_have_just_come() {
    let seats = Seats::new(2, 0).with_grace(LONG);
    let asked = silent(&seats, "10.0.0.2");
    drop(asked.place().work());
    let unheard = seats.take(from("10.0.0.1")).expect("a place");
    assert_eq!(seats.wait(), LONG, "the one that was not listened to yet has its whole while");
    unheard.place().listens();
    assert!(!seats.wait().is_zero());
    drop(unheard.place().work());
    assert!(seats.wait().is_zero(), "nobody is left who never asked");
}

#[test]
fn while_all_are_served_nobody_waits_for_somebody_to_speak() {
    let seats = Seats::new(1, 1).with_grace(LONG);
    let served = silent(&seats, "10.0.0.1");
    let _work = served.place().work();
    assert!(seats.wait().is_zero(), "a place is lent");
    let lent = silent(&seats, "10.0.0.2");
    assert!(!seats.wait().is_zero(), "who has the lent place may speak");
    let _asks = lent.place().work();
    assert!(seats.wait().is_zero(), "the next one is told that there is no place");
}
