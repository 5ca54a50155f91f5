//! The log on a disk that forgets, fails and lies: after every call a crash, at every call an error, in every byte a flip.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use trine_raft::log::LogError;
use trine_raft::log::writer::Turn;

use crate::raft_log_disk::{Call, Dice, Fault, ForgetfulDisk, Kept, State};
use crate::raft_log_script::{DIRECTORY, Held, History, Script, entry, held, open};

/// Steps of a script with a crash at every call.
const STEPS: usize = 100;

fn shared() -> Arc<Mutex<History>> {
    Arc::new(Mutex::new(History::new()))
}

/// Opens what a crash left, crashing again at each call of the recovery; says what is there, or what is wrong.
fn recovered(image: &ForgetfulDisk, history: &Mutex<History>, seed: u64, room_bytes: usize) -> Result<Held, String> {
    let again = Arc::new(Mutex::new(Vec::new()));
    let images = again.clone();
    image.watch(move |state: &State, _| {
        let kinds = [Kept::Nothing, Kept::Everything, Kept::Some(seed)];
        images.lock().expect("alive").extend(kinds.map(|kept| state.after_crash(kept)));
    });
    let (log, mut writer) = open(image, room_bytes).map_err(|error| error.to_string())?;
    let first = held(&log);
    for image in again.lock().expect("alive").drain(..) {
        let (log, _) = open(&image, room_bytes).map_err(|error| format!("after a crash during recovery: {error}"))?;
        if let Some(wrong) = history.lock().expect("alive").refutes(&held(&log)) {
            return Err(format!("after a crash during recovery: {wrong}"));
        }
    }
    // What an open log shows others may rely on.
    let (at_once, _) =
        open(&image.state().after_crash(Kept::Nothing), room_bytes).map_err(|error| format!("at once: {error}"))?;
    if held(&at_once) != first {
        return Err("shows what was not durable".to_owned());
    }
    log.close();
    writer.step(false);
    let (log, _) = open(image, room_bytes).map_err(|error| format!("once more: {error}"))?;
    if held(&log) == first { Ok(first) } else { Err("another log when opened once more".to_owned()) }
}

fn judge(state: &State, history: &Mutex<History>, seed: u64, room_bytes: usize) -> Vec<String> {
    let kinds = [Kept::Nothing, Kept::Everything, Kept::Some(seed), Kept::Some(!seed)].map(Some);
    let wrong = kinds.into_iter().chain([None]).filter_map(|kept| {
        let image = kept.map_or_else(|| state.after_kill(), |kept| state.after_crash(kept));
        let wrong = match recovered(&image, history, seed, room_bytes) {
            Ok(found) => history.lock().expect("alive").refutes(&found),
            Err(wrong) => Some(wrong),
        };
        wrong.map(|wrong| format!("{kept:?}: {wrong}"))
    });
    wrong.collect()
}

#[test]
fn whatever_a_crash_leaves_holds_all_that_was_acknowledged() {
    let mut images = 0;
    for (seed, room_bytes) in (0..).zip([0, 700, 3_000]) {
        let (disk, history) = (ForgetfulDisk::default(), shared());
        let wrong: Arc<Mutex<Vec<String>>> = Arc::default();
        let judged = Arc::new(Mutex::new(0_u64));
        {
            let (history, wrong, judged) = (history.clone(), wrong.clone(), judged.clone());
            disk.watch(move |state, call| {
                let mut judged = judged.lock().expect("alive");
                *judged += 1;
                let found = judge(state, &history, seed << 32 | *judged, room_bytes);
                wrong.lock().expect("alive").extend(found.into_iter().map(|text| format!("{call:?} {judged}: {text}")));
            });
        }
        Script { seed, steps: STEPS, close_early: false, room_bytes }.run(&disk, &history).expect("a sound disk");
        assert!(history.lock().expect("alive").is_complete(), "a sound disk does everything");
        let mut wrong = wrong.lock().expect("alive");
        wrong.extend(judge(&disk.state(), &history, seed, room_bytes));
        assert!(wrong.is_empty(), "seed {seed}: {} wrong:\n{}", wrong.len(), wrong[..wrong.len().min(5)].join("\n"));
        images += 5 * (*judged.lock().expect("alive") + 1);
    }
    println!("{images} crash images of 3 scripts");
}

/// How many calls of each kind a script makes on a sound disk.
fn calls(script: &Script) -> u64 {
    let disk = ForgetfulDisk::default();
    script.run(&disk, &shared()).expect("a sound disk");
    disk.calls()
}

#[test]
fn nothing_is_acknowledged_after_a_failed_call() {
    let mut runs = 0;
    let scripts = [0, 700].map(|room_bytes| Script { seed: 11, steps: 60, close_early: false, room_bytes });
    let calls = |script| (1..=calls(script)).map(move |at| (script, at));
    for (script, at) in scripts.iter().flat_map(calls) {
        runs += 1;
        let (disk, history) = (ForgetfulDisk::default(), shared());
        let failed: Arc<Mutex<Option<(Call, usize)>>> = Arc::default();
        {
            let (failed, history) = (failed.clone(), history.clone());
            // Once only: the next sync would succeed without having written what this one dropped.
            disk.fail(move |number, call| {
                (number == at).then(|| {
                    let acknowledged = history.lock().expect("alive").acknowledged();
                    *failed.lock().expect("alive") = Some((call, acknowledged));
                    Fault::Broken
                })
            });
        }
        let ran = script.run(&disk, &history);
        let (call, before) = failed.lock().expect("alive").take().expect("the call came");
        let after = history.lock().expect("alive").acknowledged();
        assert_eq!(after, before, "acknowledged after the failure of {call:?} {at}");
        if let Err(error) = ran {
            assert!(matches!(error, LogError::Io { .. }), "{call:?} {at}: {error}");
        }
        disk.heal();
        let wrong = judge(&disk.state(), &history, at, script.room_bytes);
        assert!(wrong.is_empty(), "{call:?} {at}: {wrong:?}");
    }
    println!("{runs} failed calls");
}

#[test]
fn a_full_disk_delays_or_refuses_and_loses_nothing() {
    let mut runs = 0;
    for (close_early, room_bytes) in [(false, 0), (false, 700), (true, 0), (true, 700)] {
        let script = Script { seed: 12, steps: 40, close_early, room_bytes };
        for at in 1..=calls(&script) {
            for times in [1, 2, 9] {
                let (disk, history) = (ForgetfulDisk::default(), shared());
                disk.fail(move |number, call| {
                    let takes_room = matches!(call, Call::Write | Call::Create | Call::Sync);
                    (takes_room && number >= at && number < at + times && call != Call::Sync).then_some(Fault::Full)
                });
                match script.run(&disk, &history) {
                    Ok(()) if !close_early => {
                        assert!(history.lock().expect("alive").is_complete(), "full at {at}, then all is done");
                    }
                    Ok(()) => {}
                    Err(error) => assert!(error.is_full(), "{error}"),
                }
                disk.heal();
                let wrong = judge(&disk.state(), &history, at, script.room_bytes);
                assert!(
                    wrong.is_empty(),
                    "full at {at}, {times} times, closed early {close_early}, room {room_bytes}: {wrong:?}"
                );
                runs += 1;
            }
        }
    }
    println!("{runs} runs into a full disk");
}

/// A small log whose steps were all acknowledged; where each write of entries began.
fn small(close: bool, room_bytes: usize) -> (ForgetfulDisk, Held, Vec<usize>) {
    let (disk, history) = (ForgetfulDisk::default(), shared());
    let (log, mut writer) = open(&disk, room_bytes).expect("an empty log");
    let mut begins = Vec::new();
    let mut dice = Dice::new(5);
    for _ in 0..12 {
        let mut history = history.lock().expect("alive");
        let next = history.now().entries.len();
        begins.push(next);
        let count = 1 + dice.below(3) as u64;
        let entries = (0..count).map(|more| entry(1, next as u64 + more, 20 * dice.below(10)));
        history.append(&log, entries.collect());
        drop(history);
        assert_eq!(writer.step(false), Turn::Done);
    }
    if close {
        log.close();
        writer.step(false);
    }
    let mut history = history.lock().expect("alive");
    assert!(history.is_complete());
    (disk.crash(Some(Kept::Nothing)), history.now().clone(), begins)
}

/// What opening a damaged copy gives: none when it is refused.
fn damaged(disk: &ForgetfulDisk, file: &PathBuf, change: impl FnOnce(&mut Vec<u8>)) -> Option<Held> {
    let copy = disk.state().after_crash(Kept::Nothing);
    copy.damage(file, change);
    match open(&copy, 0) {
        Ok((log, _)) => Some(held(&log)),
        Err(LogError::Damaged { file: named, .. }) => {
            assert_eq!(&named, file, "the damaged file is named");
            None
        }
        Err(LogError::ShorterThanFloor { .. }) => None,
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn a_flipped_or_missing_byte_never_shortens_the_log_in_silence() {
    let (mut flips, mut cuts) = (0, 0);
    for (close, room_bytes) in [(true, 700), (false, 0), (false, 700)] {
        let (disk, whole, begins) = small(close, room_bytes);
        // A log that was closed knows all of its entries to be durable. One that crashed right after its last write
        // cannot know of that write whether it was whole: only there a bad byte may pass for a torn end.
        let least = if close { whole.entries.len() } else { *begins.last().expect("writes") };
        let last = PathBuf::from(DIRECTORY).join("0000000000.log");
        assert!(disk.files().len() > 2, "several segments: {:?}", disk.files());
        let ends = disk.files().into_iter().filter(|(path, _)| path.extension().is_some()).map(|(path, _)| path).max();
        let ends = ends.unwrap_or(last);
        for (file, length) in disk.files() {
            for at in 0..length {
                for bit in [at % 8, (at + 3) % 8] {
                    if let Some(found) = damaged(&disk, &file, |bytes| bytes[at] ^= 1 << bit) {
                        assert!(!close, "{} with byte {at} flipped is taken", file.display());
                        assert!(found.entries.len() >= least, "{} byte {at}: {}", file.display(), found.entries.len());
                        assert_eq!(found.entries, whole.entries[..found.entries.len()]);
                        assert_eq!(file, ends, "only in the last file");
                    }
                    flips += 1;
                }
                if let Some(found) = damaged(&disk, &file, |bytes| bytes.truncate(at)) {
                    assert!(!close, "{} cut at {at} is taken", file.display());
                    assert_eq!(found.entries, whole.entries[..found.entries.len()]);
                    assert_eq!(file, ends, "only the last file may be cut");
                }
                cuts += 1;
            }
        }
    }
    println!("{flips} flips, {cuts} cuts");
}
