//! Groups on a disk that forgets: after every call a crash, at every call an error, in every byte a flip.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use trine_journal::LogError;
use trine_journal::appender::{Closing, Sizes};
use trine_journal::groups::{GroupSizes, Groups};

use crate::forgetful::{Call, Dice, Fault, ForgetfulDisk, Kept, State};

const DIRECTORY: &str = "/journal";
/// Steps of a script with a crash at every call.
const STEPS: usize = 60;

/// A disk with room is waited for as long as it takes.
struct Patient;

impl Closing for Patient {
    fn wait_closed(&self, _: Duration) -> bool {
        false
    }
}

type Group = (u64, Vec<u8>);

/// What was written and promised, and what stands elsewhere.
#[derive(Debug, Clone, Default)]
struct History {
    /// In order, the one under way too.
    written: Vec<Vec<u8>>,
    /// The numbers of those that were acknowledged.
    numbers: Vec<u64>,
    /// Up to which number the groups stand elsewhere.
    kept: u64,
    /// What is known elsewhere to have been acknowledged.
    floor: u64,
}

impl History {
    /// Why this cannot be what a disk holds.
    fn refutes(&self, found: &[Group]) -> Option<String> {
        let acknowledged = self.numbers.iter().zip(&self.written).map(|(number, group)| (*number, group.clone()));
        let owed: Vec<Group> = acknowledged.filter(|(number, _)| *number > self.kept).collect();
        if found.len() < owed.len() || found[..owed.len()] != owed {
            return Some(format!("{} groups of {} that were acknowledged", found.len(), owed.len()));
        }
        let more = &found[owed.len()..];
        let under_way = self.written.get(self.numbers.len());
        match more {
            [] => None,
            [(_, group)] if Some(group) == under_way => None,
            _ => Some(format!("{} groups that were never written", more.len())),
        }
    }
}

fn open(
    disk: &ForgetfulDisk,
    history: &History,
    room_bytes: usize,
) -> Result<(Groups<ForgetfulDisk>, Vec<Group>), LogError> {
    let mut found = Vec::new();
    let files = Sizes { segment_bytes: 2_000, reserve_bytes: 0, room_bytes };
    let sizes = GroupSizes { files, part_bytes: 300 };
    let take = |number, bytes: bytes::Bytes| {
        found.push((number, bytes.to_vec()));
        Ok(())
    };
    let groups = Groups::open(disk.clone(), Path::new(DIRECTORY), sizes, (Some(history.floor), history.kept), take)?;
    Ok((groups, found))
}

fn group(dice: &mut Dice) -> Vec<u8> {
    let length = [0, 7, 250, 299, 301, 900][dice.below(6)];
    (0..length).map(|_| u8::try_from(dice.below(256)).expect("a byte")).collect()
}

/// Runs steps until one fails; says how it ended.
fn run(
    disk: &ForgetfulDisk,
    history: &Mutex<History>,
    (seed, steps): (u64, usize),
    room_bytes: usize,
) -> Result<(), String> {
    let told = |error: &dyn std::fmt::Debug| format!("{error:?}");
    let mut dice = Dice::new(seed);
    let look = || history.lock().expect("alive").clone();
    let (mut groups, _) = open(disk, &look(), room_bytes).map_err(|error| told(&error))?;
    for _ in 0..steps {
        match dice.below(10) {
            // What was acknowledged is put elsewhere, and then forgotten here.
            0 | 1 => {
                let upto = {
                    let mut history = history.lock().expect("alive");
                    let last = history.numbers.len();
                    if last > 0 {
                        history.kept = history.kept.max(history.numbers[last - 1 - dice.below(last.min(4))]);
                    }
                    history.kept
                };
                groups.forget(upto).map_err(|error| told(&error))?;
            }
            2 => {
                let mut history = history.lock().expect("alive");
                history.floor = history.numbers.last().copied().unwrap_or_default();
            }
            3 => {
                groups.close().map_err(|error| told(&error))?;
                groups = open(disk, &look(), room_bytes).map_err(|error| told(&error))?.0;
            }
            _ => {
                let group = group(&mut dice);
                history.lock().expect("alive").written.push(group.clone());
                let number = groups.write(&group, &Patient).map_err(|error| told(&error))?;
                history.lock().expect("alive").numbers.push(number);
            }
        }
    }
    groups.close().map_err(|error| told(&error))
}

/// Opens what a crash left, once more after a crash right then, and writes behind it.
fn judge(image: &ForgetfulDisk, history: &History, room_bytes: usize) -> Option<String> {
    let opened = |disk: &ForgetfulDisk| open(disk, history, room_bytes).map_err(|error| error.to_string());
    let all = || -> Result<Option<String>, String> {
        let (mut groups, found) = opened(image)?;
        if let Some(wrong) = history.refutes(&found) {
            return Ok(Some(wrong));
        }
        // What was handed over is relied upon at once.
        let (_, again) = opened(&image.state().after_crash(Kept::Nothing))?;
        if again != found {
            return Ok(Some("handed over what was not durable".to_owned()));
        }
        let number = groups.write(b"behind", &Patient).map_err(|error| format!("{error:?}"))?;
        let (_, more) = opened(&image.state().after_crash(Kept::Nothing))?;
        let wanted: Vec<Group> = found.into_iter().chain([(number, b"behind".to_vec())]).collect();
        Ok((more != wanted).then(|| "what is written behind it does not follow".to_owned()))
    };
    all().unwrap_or_else(Some)
}

fn after(state: &State, history: &History, seed: u64, room_bytes: usize) -> Vec<String> {
    let kinds = [Kept::Nothing, Kept::Everything, Kept::Some(seed), Kept::Some(!seed)].map(Some);
    let wrong = kinds.into_iter().chain([None]).filter_map(|kept| {
        let image = kept.map_or_else(|| state.after_kill(), |kept| state.after_crash(kept));
        judge(&image, history, room_bytes).map(|wrong| format!("{kept:?}: {wrong}"))
    });
    wrong.collect()
}

#[test]
fn whatever_a_crash_leaves_holds_all_that_was_acknowledged() {
    let mut images = 0;
    for (seed, room_bytes) in (0..).zip([0, 700, 3_000]) {
        let (disk, history) = (ForgetfulDisk::default(), Arc::new(Mutex::new(History::default())));
        let judged: Arc<Mutex<(u64, Vec<String>)>> = Arc::default();
        {
            let (history, judged) = (history.clone(), judged.clone());
            disk.watch(move |state, call| {
                let mut judged = judged.lock().expect("alive");
                judged.0 += 1;
                let history = history.lock().expect("alive").clone();
                let found = after(state, &history, seed << 32 | judged.0, room_bytes);
                let at = judged.0;
                judged.1.extend(found.into_iter().map(|text| format!("{call:?} {at}: {text}")));
            });
        }
        run(&disk, &history, (seed, STEPS), room_bytes).expect("a sound disk");
        let (count, wrong) = judged.lock().expect("alive").clone();
        assert!(wrong.is_empty(), "seed {seed}: {} wrong:\n{}", wrong.len(), wrong[..wrong.len().min(5)].join("\n"));
        images += 5 * count;
    }
    println!("{images} crash images of 3 scripts");
}

#[test]
fn nothing_is_acknowledged_after_a_failed_call() {
    let mut runs = 0;
    for room_bytes in [0, 700] {
        let whole = ForgetfulDisk::default();
        run(&whole, &Mutex::default(), (11, 40), room_bytes).expect("a sound disk");
        for at in 1..=whole.calls() {
            let (disk, history) = (ForgetfulDisk::default(), Arc::new(Mutex::new(History::default())));
            let failed: Arc<Mutex<Option<(Call, usize)>>> = Arc::default();
            {
                let (failed, history) = (failed.clone(), history.clone());
                // Once only: the next sync would succeed without having written what this one dropped.
                disk.fail(move |number, call| {
                    (number == at).then(|| {
                        let acknowledged = history.lock().expect("alive").numbers.len();
                        *failed.lock().expect("alive") = Some((call, acknowledged));
                        Fault::Broken
                    })
                });
            }
            let ran = run(&disk, &history, (11, 40), room_bytes);
            let (call, before) = failed.lock().expect("alive").take().expect("the call came");
            let history = history.lock().expect("alive").clone();
            assert!(ran.is_err(), "{call:?} {at} failed, and nobody was told");
            assert_eq!(history.numbers.len(), before, "acknowledged after the failure of {call:?} {at}");
            disk.heal();
            let wrong = after(&disk.state(), &history, at, room_bytes);
            assert!(wrong.is_empty(), "{call:?} {at}: {wrong:?}");
            runs += 1;
        }
    }
    println!("{runs} failed calls");
}

#[test]
fn a_full_disk_delays_and_loses_nothing() {
    for room_bytes in [0, 700] {
        let whole = ForgetfulDisk::default();
        run(&whole, &Mutex::default(), (12, 40), room_bytes).expect("a sound disk");
        for at in 1..=whole.calls() {
            let (disk, history) = (ForgetfulDisk::default(), Mutex::new(History::default()));
            disk.fail(move |number, call| {
                let takes_room = matches!(call, Call::Write | Call::Create);
                (takes_room && number >= at && number < at + 3).then_some(Fault::Full)
            });
            // Only what is found at a start is written without waiting for room.
            let ran = run(&disk, &history, (12, 40), room_bytes);
            if let Err(why) = ran {
                assert!(why.contains("StorageFull"), "full at {at}: {why}");
            }
            disk.heal();
            let history = history.lock().expect("alive").clone();
            let wrong = after(&disk.state(), &history, at, room_bytes);
            assert!(wrong.is_empty(), "full at {at}: {wrong:?}");
        }
    }
}

/// What opening a damaged copy gives: none when it is refused.
fn damaged(
    disk: &ForgetfulDisk,
    history: &History,
    file: &Path,
    change: impl FnOnce(&mut Vec<u8>),
) -> Option<Vec<Group>> {
    let copy = disk.state().after_crash(Kept::Nothing);
    copy.damage(file, change);
    match open(&copy, history, 0) {
        Ok((_, found)) => Some(found),
        Err(LogError::Damaged { .. } | LogError::ShorterThanFloor { .. }) => None,
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn a_flipped_or_missing_byte_never_shortens_a_journal_in_silence() {
    let (disk, history) = (ForgetfulDisk::default(), Mutex::new(History::default()));
    {
        let (mut groups, _) = open(&disk, &History::default(), 0).expect("an empty journal");
        let mut dice = Dice::new(5);
        for _ in 0..14 {
            let group = group(&mut dice);
            let mut history = history.lock().expect("alive");
            history.numbers.push(groups.write(&group, &Patient).expect("a sound disk"));
            history.written.push(group);
        }
    }
    let mut history = history.lock().expect("alive").clone();
    history.floor = *history.numbers.last().expect("groups");
    assert!(disk.files().len() > 2, "several files: {:?}", disk.files());
    for (file, length) in disk.files() {
        for at in 0..length {
            let flipped = damaged(&disk, &history, &file, |bytes| bytes[at] ^= 1 << (at % 8));
            assert!(flipped.is_none(), "{} with byte {at} flipped is taken", file.display());
            let cut = damaged(&disk, &history, &file, |bytes| bytes.truncate(at));
            assert!(cut.is_none(), "{} cut at {at} is taken", file.display());
        }
    }
}
