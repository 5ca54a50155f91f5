//! The clock: forward only, over restarts too; believes nobody from the far future; agrees with `uhlc`.

#![allow(clippy::disallowed_types, reason = "uhlc's clock is the oracle, on a wall of ours")]

use std::cell::Cell;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use trine_crdt::clock::ntp_of_ns;
use trine_crdt::limits::CLOCK_MARK_AHEAD_NS;
use trine_crdt::{Clock, TickError, Timestamp};

use crate::cases::cases;
use crate::history::writer;

const SECOND_NS: u64 = 1_000_000_000;
const NOON_NS: u64 = 1_800_000_000 * SECOND_NS;
const DRIFT_MAX_NS: u64 = 500_000_000;

/// Ticks as the caller is told to: a mark is persisted when asked for.
fn tick(clock: &mut Clock, disk: &mut u64, wall_ns: u64) -> Result<Timestamp, TickError> {
    if let Some(mark) = clock.needs_mark(wall_ns) {
        *disk = mark;
        clock.marked(mark);
    }
    clock.tick(wall_ns)
}

fn stamp(time: u64) -> Timestamp {
    Timestamp { time, writer: writer(9) }
}

#[test]
fn no_stamp_is_issued_above_what_is_on_disk() {
    let mut clock = Clock::new(writer(0), 0);
    assert_eq!(clock.tick(NOON_NS), Err(TickError::Unmarked));
    let mark = clock.needs_mark(NOON_NS).expect("none yet");
    assert_eq!(clock.needs_mark(NOON_NS), None, "asked for once");
    assert_eq!(clock.tick(NOON_NS), Err(TickError::Unmarked), "asked for is not on disk");
    clock.marked(mark);
    assert_eq!(clock.high_water(), mark);
    assert_eq!(clock.tick(NOON_NS).expect("marked").time, ntp_of_ns(NOON_NS) & !0xf);
    // Once half of it is used up the next is asked for, while there is still room.
    assert_eq!(clock.needs_mark(NOON_NS + CLOCK_MARK_AHEAD_NS / 4), None);
    let next = clock.needs_mark(NOON_NS + CLOCK_MARK_AHEAD_NS * 3 / 4).expect("due");
    assert!(next > mark && clock.tick(NOON_NS + CLOCK_MARK_AHEAD_NS * 3 / 4).is_ok());
    assert_eq!(clock.tick(NOON_NS + 2 * CLOCK_MARK_AHEAD_NS), Err(TickError::Unmarked));
    clock.marked(next);
    assert!(clock.tick(NOON_NS + CLOCK_MARK_AHEAD_NS).is_ok());
}

#[test]
fn a_restart_with_the_wall_an_hour_back_goes_on_above_the_mark() {
    let (mut disk, mut last) = (0, Timestamp::ZERO);
    for restart in 0..5 {
        let mut clock = Clock::new(writer(restart), disk);
        for turn in 0..100 {
            let wall = NOON_NS - restart as u64 * 3600 * SECOND_NS + turn * 10_000_000;
            let next = tick(&mut clock, &mut disk, wall).expect("marked");
            assert!(next.time > last.time && next.time <= disk);
            last = next;
        }
    }
    // It has not run away from the wall by more than the marks.
    assert!(last.time < ntp_of_ns(NOON_NS + SECOND_NS + 5 * CLOCK_MARK_AHEAD_NS));
}

#[test]
fn a_peer_ten_years_ahead_is_refused_and_moves_nothing() {
    let mut clock = Clock::new(writer(0), 0);
    let mut disk = 0;
    let before = tick(&mut clock, &mut disk, NOON_NS).expect("marked");
    let decade = 10 * 365 * 86400 * SECOND_NS;
    let drift = clock.observe(NOON_NS, &stamp(ntp_of_ns(NOON_NS + decade)), DRIFT_MAX_NS).expect_err("too far");
    assert!(drift.ahead_ns.abs_diff(decade) < 2);
    assert!(clock.observe(NOON_NS, &stamp(u64::MAX), DRIFT_MAX_NS).is_err());
    assert!(clock.observe(NOON_NS, &stamp(ntp_of_ns(NOON_NS + DRIFT_MAX_NS + 1_000_000)), DRIFT_MAX_NS).is_err());
    assert_eq!(clock.last(), before.time);
    // The past, and the near future, are believed.
    assert!(clock.observe(NOON_NS, &stamp(0), DRIFT_MAX_NS).is_ok());
    let near = stamp(ntp_of_ns(NOON_NS + DRIFT_MAX_NS - 1_000_000));
    assert!(clock.observe(NOON_NS, &near, DRIFT_MAX_NS).is_ok());
    assert!(tick(&mut clock, &mut disk, NOON_NS).expect("marked") > near);
}

#[test]
fn extreme_walls_and_marks_are_survived() {
    for wall in [0, 1, u64::MAX / 2, u64::MAX - 1, u64::MAX] {
        let mut clock = Clock::new(writer(0), 0);
        let (mut disk, mut last) = (0, 0);
        let mut end = false;
        for _ in 0..40 {
            match tick(&mut clock, &mut disk, wall) {
                Ok(next) => {
                    assert!(next.time > last && !end);
                    last = next.time;
                }
                Err(error) => {
                    assert_eq!((error, wall >= u64::MAX / 2), (TickError::Exhausted, true));
                    end = true;
                }
            }
        }
    }
    assert_eq!(Clock::new(writer(0), u64::MAX).tick(NOON_NS), Err(TickError::Exhausted));
    assert_eq!(Clock::new(writer(0), u64::MAX).needs_mark(u64::MAX), None);
    let mut clock = Clock::new(writer(0), u64::MAX - 1);
    clock.marked(u64::MAX);
    assert_eq!(clock.tick(0).map(|stamp| stamp.time), Ok(u64::MAX));
    assert_eq!(clock.tick(0), Err(TickError::Exhausted));
}

thread_local! {
    static WALL_NS: Cell<u64> = const { Cell::new(0) };
}

fn wall() -> uhlc::NTP64 {
    uhlc::NTP64::from(Duration::from_nanos(WALL_NS.get()))
}

proptest! {
    #![proptest_config(cases(1000))]

    /// To the nanosecond or the one below it, and in the same order.
    #[test]
    fn time_survives_the_way_through_ntp(ns in 0..4_294_967_296 * SECOND_NS) {
        let back = stamp(ntp_of_ns(ns)).wall_ns();
        prop_assert!(back == ns || back + 1 == ns, "{} became {}", ns, back);
        prop_assert!(ntp_of_ns(ns + 1) > ntp_of_ns(ns));
    }

    /// Whatever the wall does, forward or back.
    #[test]
    fn ticks_are_uhlcs(steps in vec(-2_000_000_000i64..2_000_000_000, 1..60), small in any::<bool>()) {
        WALL_NS.set(NOON_NS);
        let oracle = uhlc::HLCBuilder::new().with_clock(wall).build();
        let (mut clock, mut disk) = (Clock::new(writer(0), 0), 0);
        for step in steps {
            WALL_NS.set(WALL_NS.get().saturating_add_signed(if small { step / 100_000_000 } else { step }));
            let ours = tick(&mut clock, &mut disk, WALL_NS.get()).expect("marked");
            prop_assert_eq!(ours.time, oracle.new_timestamp().get_time().as_u64());
        }
    }

    /// With others' stamps between: both refuse the same ones (but for the last few units, which uhlc's rounding of
    /// the wall makes), both go beyond what they believed, and ours is never the faster one.
    #[test]
    fn observing_is_uhlcs(steps in vec((0i64..200_000_000, -1_000_000_000i64..1_000_000_000), 1..60)) {
        WALL_NS.set(NOON_NS);
        let oracle = uhlc::HLCBuilder::new().with_clock(wall).with_max_delta(Duration::from_nanos(DRIFT_MAX_NS)).build();
        let (mut clock, mut disk) = (Clock::new(writer(0), 0), 0);
        let other = uhlc::ID::try_from([9u8]).expect("an id");
        for (on, ahead) in steps {
            WALL_NS.set(WALL_NS.get().saturating_add_signed(on));
            let time = ntp_of_ns(WALL_NS.get().saturating_add_signed(ahead));
            if ahead.abs_diff(DRIFT_MAX_NS as i64) < 100 {
                continue;
            }
            let ours = clock.observe(WALL_NS.get(), &stamp(time), DRIFT_MAX_NS);
            let theirs = oracle.update_with_timestamp(&uhlc::Timestamp::new(uhlc::NTP64(time), other));
            prop_assert_eq!(ours.is_ok(), theirs.is_ok());
            let ticked = tick(&mut clock, &mut disk, WALL_NS.get()).expect("marked");
            let oracle = oracle.new_timestamp().get_time().as_u64();
            prop_assert!(ours.is_err() || ticked.time > time);
            prop_assert!(ticked.time <= oracle && oracle - ticked.time <= 200, "{} {}", ticked.time, oracle);
        }
    }

    /// Crashes between any two steps, walls that jump, peers ahead: what was issued only ever goes up, and what is
    /// on disk is never behind it.
    #[test]
    fn stamps_go_up_over_crashes(steps in vec((0..6u8, -3_000_000_000i64..3_000_000_000), 1..80)) {
        let (mut disk, mut wall, mut last) = (0u64, NOON_NS, 0u64);
        let mut clock = Clock::new(writer(0), disk);
        let mut asked = None;
        for (what, by) in steps {
            wall = wall.saturating_add_signed(by);
            match what {
                0 => {
                    clock = Clock::new(writer(0), disk);
                    asked = None;
                }
                1 => asked = clock.needs_mark(wall).or(asked),
                2 => {
                    if let Some(mark) = asked.take() {
                        disk = disk.max(mark);
                        clock.marked(mark);
                    }
                }
                3 => drop(clock.observe(wall, &stamp(ntp_of_ns(wall.saturating_add_signed(by))), DRIFT_MAX_NS)),
                _ => {
                    if let Ok(stamp) = clock.tick(wall) {
                        prop_assert!(stamp.time > last && stamp.time <= disk);
                        last = stamp.time;
                    }
                }
            }
        }
    }
}
