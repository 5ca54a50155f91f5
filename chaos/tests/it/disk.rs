//! The forgetful disk: what was synced is there after a loss of power, and what was not is gone.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use trine_chaos::arena::disk::fault::Fault;
use trine_chaos::arena::disk::loss::{Forgotten, Loss};
use trine_chaos::arena::disk::{Disk, own_mounts};
use trine_chaos::chance::Chance;

/// A forgetful disk for a test, and the real directory under it as everybody else sees it; none, with the reason
/// told, where the system has no such thing.
struct Bench {
    disk: Disk,
    _directory: TempDir,
}

impl Bench {
    fn new() -> Option<Self> {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("data");
        fs::create_dir(&path).expect("a directory");
        // Without the right to mounts of our own, the mount is everybody's for the time of the test.
        let own = own_mounts();
        match Disk::mount(&path) {
            Ok(disk) => Some(Self { disk, _directory: directory }),
            Err(error) => {
                println!("passed over: no forgetful disk here: {error:#} ({own:?})");
                None
            }
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.disk.path().join(name)
    }

    fn lose(&mut self) -> Forgotten {
        self.disk.lose(Loss::ALL, 1).expect("power can always be lost")
    }
}

fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

#[test]
fn a_synced_file_without_a_synced_name_is_gone_and_with_one_it_stays() {
    let Some(mut bench) = Bench::new() else { return };
    for name in ["named", "nameless"] {
        let mut file = File::create(bench.path(name)).expect("room");
        file.write_all(b"synced").expect("room");
        file.sync_data().expect("it works");
        if name == "named" {
            sync_directory(bench.disk.path()).expect("it works");
        }
        file.write_all(b", and more").expect("room");
    }
    assert_eq!(fs::read(bench.path("nameless")).expect("it is there"), b"synced, and more");
    let forgotten = bench.lose();
    assert_eq!((forgotten.files, forgotten.names), (2, 1));
    assert_eq!(fs::read(bench.path("named")).expect("it is there"), b"synced");
    assert_eq!(File::open(bench.path("nameless")).expect_err("it is gone").kind(), ErrorKind::NotFound);
}

#[test]
fn a_replaced_file_comes_back_until_the_directory_is_synced() {
    let Some(mut bench) = Bench::new() else { return };
    let replace = |content: &str| {
        let mut new = File::create(bench.path("state.new")).expect("room");
        new.write_all(content.as_bytes()).expect("room");
        new.sync_all().expect("it works");
        fs::rename(bench.path("state.new"), bench.path("state")).expect("it works");
    };
    replace("one");
    sync_directory(bench.disk.path()).expect("it works");
    replace("two");
    assert_eq!(fs::read(bench.path("state")).expect("it is there"), b"two");
    bench.lose();
    assert_eq!(fs::read(bench.path("state")).expect("it is there"), b"one");
    fs::remove_file(bench.path("state")).expect("it works");
    bench.lose();
    assert_eq!(fs::read(bench.path("state")).expect("a removal is undone, too"), b"one");
}

#[test]
fn a_file_that_moves_between_directories_survives_a_sync_of_the_one_it_left() {
    let Some(mut bench) = Bench::new() else { return };
    for name in ["a", "b"] {
        fs::create_dir(bench.path(name)).expect("room");
    }
    fs::write(bench.path("a/file"), b"content").expect("room");
    File::open(bench.path("a/file")).and_then(|file| file.sync_all()).expect("it works");
    sync_directory(&bench.path("a")).expect("it works");
    sync_directory(bench.disk.path()).expect("it works");
    fs::rename(bench.path("a/file"), bench.path("b/file")).expect("it works");
    sync_directory(&bench.path("a")).expect("it works");
    assert_eq!(fs::read(bench.path("b/file")).expect("it is there"), b"content");
    sync_directory(&bench.path("b")).expect("it works");
    bench.lose();
    assert_eq!(fs::read(bench.path("b/file")).expect("it is there"), b"content");
    assert!(!fs::exists(bench.path("a/file")).expect("an answer"));
}

#[test]
fn a_new_directory_is_only_as_durable_as_its_own_name() {
    let Some(mut bench) = Bench::new() else { return };
    let make = || {
        fs::create_dir_all(bench.path("outer/inner")).expect("room");
        let mut file = File::create(bench.path("outer/inner/file")).expect("room");
        file.write_all(b"content").expect("room");
        file.sync_all().expect("it works");
        sync_directory(&bench.path("outer/inner")).expect("it works");
        sync_directory(&bench.path("outer")).expect("it works");
    };
    make();
    assert_eq!(bench.lose().names, 1, "only the outermost name was not synced");
    assert!(!fs::exists(bench.path("outer")).expect("an answer"));
    let make = || {
        fs::create_dir_all(bench.path("outer/inner")).expect("room");
        fs::write(bench.path("outer/inner/file"), b"content").expect("room");
        File::open(bench.path("outer/inner/file")).and_then(|file| file.sync_all()).expect("it works");
        sync_directory(&bench.path("outer/inner")).expect("it works");
        sync_directory(&bench.path("outer")).expect("it works");
        sync_directory(bench.disk.path()).expect("it works");
    };
    make();
    fs::remove_dir_all(bench.path("outer")).expect("it works");
    bench.lose();
    assert_eq!(fs::read(bench.path("outer/inner/file")).expect("it is there"), b"content");
}

#[test]
fn a_failed_sync_gives_up_its_data_and_the_next_one_says_ok() {
    let Some(mut bench) = Bench::new() else { return };
    let file = File::create(bench.path("file")).expect("room");
    sync_directory(bench.disk.path()).expect("it works");
    file.write_all_at(b"lost", 0).expect("room");
    bench.disk.set(Fault::FailSync(Some(1)));
    assert_eq!(file.sync_data().expect_err("it fails").raw_os_error(), Some(nix::libc::EIO));
    file.sync_data().expect("the second one says ok, as systems do");
    assert_eq!(fs::read(bench.path("file")).expect("it is there"), b"lost", "the cache still has it");
    file.write_all_at(b"kept", 4096).expect("room");
    file.sync_data().expect("it works");
    drop(file);
    bench.lose();
    let content = fs::read(bench.path("file")).expect("it is there");
    assert_eq!((&content[..4], &content[4096..]), (&[0; 4][..], &b"kept"[..]));
}

#[test]
fn a_full_disk_refuses_says_so_and_has_room_again() {
    let Some(bench) = Bench::new() else { return };
    fs::write(bench.path("first"), vec![7; 64 * 1024]).expect("room");
    bench.disk.set(Fault::Full { left_bytes: 8192, told: true });
    let free =
        || nix::sys::statvfs::statvfs(bench.disk.path()).map(|disk| disk.blocks_available() * disk.fragment_size());
    assert_eq!(free(), Ok(8192));
    let file = File::create(bench.path("second")).expect("a name takes no room");
    file.write_all_at(&[1; 8192], 0).expect("as much as was left");
    file.write_all_at(&[2; 8192], 0).expect("in place");
    assert_eq!(file.write_at(&[1], 8192).expect_err("full").kind(), ErrorKind::StorageFull);
    assert_eq!(free(), Ok(0));
    fs::remove_file(bench.path("first")).expect("it works");
    file.write_all_at(&[1; 4096], 8192).expect("there is room again");
    bench.disk.set(Fault::Full { left_bytes: 0, told: false });
    assert!(free().expect("an answer") > 0, "a disk that lies");
    assert_eq!(file.write_at(&[1], 1 << 20).expect_err("full").kind(), ErrorKind::StorageFull);
}

#[test]
fn writes_fail_and_are_done_in_part() {
    let Some(bench) = Bench::new() else { return };
    let mut file = File::create(bench.path("file")).expect("room");
    bench.disk.set(Fault::FailWrite(Some(2)));
    file.write_all(b"0123").expect("the first one works");
    assert_eq!(file.write(b"4").expect_err("the second does not").raw_os_error(), Some(nix::libc::EIO));
    file.write_all(b"4567").expect("the third one works");
    bench.disk.set(Fault::ShortWrites);
    assert_eq!(file.write(b"89ab").expect("room"), 2);
    file.write_all(b"abcdef").expect("piece by piece");
    assert_eq!(fs::read(bench.path("file")).expect("it is there"), b"0123456789abcdef");
}

#[test]
fn a_slow_disk_is_slow_until_it_is_told_otherwise() {
    let Some(bench) = Bench::new() else { return };
    let file = File::create(bench.path("file")).expect("room");
    bench.disk.set(Fault::SlowSync(std::time::Duration::from_secs(500)));
    std::thread::scope(|scope| {
        let synced = scope.spawn(|| file.sync_all());
        // Others go on meanwhile.
        fs::write(bench.path("other"), b"fast").expect("room");
        assert_eq!(fs::read(bench.path("other")).expect("it is there"), b"fast");
        bench.disk.set(Fault::Nothing);
        synced.join().expect("no panic").expect("it works");
    });
}

#[test]
fn locks_hold_and_a_clean_end_writes_everything_back() {
    let Some(bench) = Bench::new() else { return };
    let path = bench.path("lock");
    let first = File::create(&path).expect("room");
    first.try_lock().expect("nobody has it");
    let second = OpenOptions::new().write(true).open(&path).expect("it is there");
    assert!(matches!(second.try_lock(), Err(TryLockError::WouldBlock)));
    drop(first);
    second.try_lock().expect("nobody has it any more");
    drop(second);
    fs::create_dir(bench.path("directory")).expect("room");
    fs::write(bench.path("directory/file"), vec![9; 300_000]).expect("room");
    let Bench { disk, _directory: directory } = bench;
    drop(disk);
    let real = directory.path().join("data/directory/file");
    assert_eq!(fs::read(real).expect("the real directory has it now"), vec![9; 300_000]);
}

/// What a file was written, and what of it was synced.
#[derive(Debug, Clone, Default)]
struct ModelFile {
    now: Vec<u8>,
    synced: Vec<u8>,
    clean: bool,
    /// Its greatest length since it was synced.
    longest: usize,
}

/// The names of a directory, those that were synced, and what each stood for since.
#[derive(Debug, Clone, Default)]
struct ModelDirectory {
    now: BTreeMap<String, usize>,
    synced: BTreeMap<String, usize>,
    since: BTreeMap<String, BTreeSet<Option<usize>>>,
}

impl ModelDirectory {
    fn change(&mut self, name: &str, to: Option<usize>) {
        let before = self.now.get(name).copied();
        self.since.entry(name.to_owned()).or_default().extend([before, to]);
        match to {
            Some(file) => self.now.insert(name.to_owned(), file),
            None => self.now.remove(name),
        };
    }
}

struct Script {
    bench: Bench,
    chance: Chance,
    files: Vec<ModelFile>,
    directories: BTreeMap<&'static str, ModelDirectory>,
}

const DIRECTORIES: [&str; 3] = [".", "a", "b"];
const NAMES: [&str; 4] = ["w", "x", "y", "z"];

impl Script {
    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.chance.below(from.len() as u64) as usize]
    }

    /// One random operation, done to the disk and to the model.
    fn step(&mut self) -> io::Result<()> {
        let (directory, name) = (self.pick(&DIRECTORIES), self.pick(&NAMES));
        let path = self.bench.path(&format!("{directory}/{name}"));
        let held = self.directories[directory].now.get(name).copied();
        match (self.chance.below(10), held) {
            (0 | 1, _) => {
                sync_directory(&self.bench.path(directory))?;
                let model = self.directories.get_mut(directory).expect("a directory");
                model.synced = model.now.clone();
                model.since.clear();
            }
            (_, None) => {
                File::create_new(&path)?;
                self.files.push(ModelFile { clean: true, ..ModelFile::default() });
                let file = self.files.len() - 1;
                self.directories.get_mut(directory).expect("a directory").change(name, Some(file));
            }
            (2 | 3, Some(file)) => {
                File::open(&path)?.sync_data()?;
                let model = &mut self.files[file];
                model.synced = model.now.clone();
                (model.clean, model.longest) = (true, model.now.len());
            }
            (4, Some(_)) => {
                fs::remove_file(&path)?;
                self.directories.get_mut(directory).expect("a directory").change(name, None);
            }
            (5, Some(file)) => {
                let (to_directory, to_name) = (self.pick(&DIRECTORIES), self.pick(&NAMES));
                if (to_directory, to_name) != (directory, name) {
                    fs::rename(&path, self.bench.path(&format!("{to_directory}/{to_name}")))?;
                    self.directories.get_mut(directory).expect("a directory").change(name, None);
                    self.directories.get_mut(to_directory).expect("a directory").change(to_name, Some(file));
                }
            }
            (6, Some(file)) => {
                let length = self.chance.below(20_000);
                OpenOptions::new().write(true).open(&path)?.set_len(length)?;
                let model = &mut self.files[file];
                model.now.resize(length as usize, 0);
                (model.clean, model.longest) = (false, model.longest.max(model.now.len()));
            }
            (_, Some(file)) => {
                let (offset, length) = (self.chance.below(12_000) as usize, 1 + self.chance.below(9_000) as usize);
                let byte = 1 + self.chance.below(255) as u8;
                OpenOptions::new().write(true).open(&path)?.write_all_at(&vec![byte; length], offset as u64)?;
                let model = &mut self.files[file];
                model.now.resize(model.now.len().max(offset + length), 0);
                model.now[offset..offset + length].fill(byte);
                (model.clean, model.longest) = (false, model.longest.max(model.now.len()));
            }
        }
        Ok(())
    }

    /// What stands on the disk under each name of a directory.
    fn found(&self, directory: &str) -> BTreeMap<String, Vec<u8>> {
        let mut found = BTreeMap::new();
        for entry in fs::read_dir(self.bench.path(directory)).expect("it is there") {
            let entry = entry.expect("it can be read");
            if entry.file_type().expect("it has one").is_file() {
                let name = entry.file_name().into_string().expect("our names are text");
                found.insert(name, fs::read(entry.path()).expect("it can be read"));
            }
        }
        found
    }

    fn agrees(&self, synced: bool) {
        for (directory, model) in &self.directories {
            let names = if synced { &model.synced } else { &model.now };
            let of = |file: &usize| if synced { &self.files[*file].synced } else { &self.files[*file].now };
            let expected: BTreeMap<_, _> = names.iter().map(|(name, file)| (name.clone(), of(file).clone())).collect();
            assert!(self.found(directory) == expected, "{directory} differs (synced: {synced})");
        }
    }

    /// After a loss that left something: what was synced is whole, and the rest is made of what was or is there.
    fn may_be(&self) {
        for (directory, model) in &self.directories {
            let found = self.found(directory);
            for name in NAMES {
                let before = model.synced.get(name).copied();
                let mut candidates = model.since.get(name).cloned().unwrap_or_default();
                candidates.insert(before);
                let content = found.get(name);
                let fits = candidates.iter().any(|candidate| match (candidate, content) {
                    (None, None) => true,
                    (Some(file), Some(content)) => may_hold(&self.files[*file], content),
                    _ => false,
                });
                assert!(fits, "{directory}/{name} is none of {candidates:?}: {:?}", content.map(Vec::len));
            }
        }
    }

    /// The model starts again from what the disk holds.
    fn restart(&mut self) {
        self.files.clear();
        for directory in DIRECTORIES {
            let mut model = ModelDirectory::default();
            for (name, content) in self.found(directory) {
                model.now.insert(name, self.files.len());
                self.files.push(ModelFile {
                    longest: content.len(),
                    now: content.clone(),
                    synced: content,
                    clean: true,
                });
            }
            model.synced = model.now.clone();
            self.directories.insert(directory, model);
        }
    }
}

/// A file with unsynced changes may hold any mixture, within the lengths that it had.
fn may_hold(file: &ModelFile, content: &[u8]) -> bool {
    if file.clean { content == file.synced } else { content.len() <= file.longest }
}

#[test]
fn two_hundred_random_operations_survive_power_losses_exactly_as_far_as_they_were_synced() {
    for (seed, every) in [(1, 5), (2, 11), (3, 29), (4, 200)] {
        let Some(bench) = Bench::new() else { return };
        for name in ["a", "b"] {
            fs::create_dir(bench.path(name)).expect("room");
        }
        sync_directory(bench.disk.path()).expect("it works");
        let mut script = Script { bench, chance: Chance::new(seed), files: Vec::new(), directories: BTreeMap::new() };
        script.restart();
        let mut forgotten = Forgotten::default();
        for step in 1..=200 {
            script.step().unwrap_or_else(|error| panic!("seed {seed}, step {step}: {error}"));
            if step % every != 0 {
                continue;
            }
            script.agrees(false);
            let how = [Loss::ALL, Loss::SOME, Loss::TORN][(step / every) % 3];
            let how = if every == 200 { Loss::ALL } else { how };
            forgotten.add(script.bench.disk.lose(how, seed * 1000 + step as u64).expect("power can always be lost"));
            if how == Loss::ALL {
                script.agrees(true);
            } else {
                script.may_be();
            }
            script.restart();
        }
        assert!(forgotten.files > 0 && forgotten.bytes > 0 && forgotten.names > 0, "seed {seed}: {forgotten}");
    }
}
