//! Seed after seed, on all cores, until the checkers find something.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// What a hunt found: the lowest seed that did not hold, and what was found there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Catch {
    /// The seed.
    pub seed: u64,
    /// What the checkers said, each behind its name and a colon; `panic` where the core itself gave up.
    pub findings: Vec<String>,
}

impl Catch {
    /// The checkers that found something, in the order in which they judged.
    #[must_use]
    pub fn checkers(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for finding in &self.findings {
            let name = finding.split(':').next().unwrap_or_default();
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }
}

/// Runs the seeds `first..first + count` in order until one does not hold. Whatever the number of cores, the
/// lowest such seed is found.
pub fn hunt(first: u64, count: u64, run: impl Fn(u64) -> Vec<String> + Sync) -> Option<Catch> {
    let next = AtomicU64::new(first);
    let caught: Mutex<Option<Catch>> = Mutex::new(None);
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed - first >= count || lower(&caught, seed) {
                        return;
                    }
                    let findings =
                        catch_unwind(AssertUnwindSafe(|| run(seed))).unwrap_or_else(|panic| vec![panicked(&*panic)]);
                    let mut caught = caught.lock().expect("what may panic does not hold this");
                    if !findings.is_empty() && caught.as_ref().is_none_or(|catch| seed < catch.seed) {
                        *caught = Some(Catch { seed, findings });
                    }
                }
            });
        }
    });
    caught.into_inner().expect("what may panic does not hold this")
}

fn lower(caught: &Mutex<Option<Catch>>, seed: u64) -> bool {
    caught.lock().expect("what may panic does not hold this").as_ref().is_some_and(|catch| catch.seed < seed)
}

/// What a panic says, as a finding: a seed that panics is broken, too.
pub fn panicked(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    format!("panic: {}", text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_seed_that_does_not_hold_is_found() {
        let broken =
            |seed| if seed >= 7 { vec![format!("sets: {seed} is lost"), "sets: again".to_owned()] } else { vec![] };
        let catch = hunt(1, 100, broken).expect("seed 7 does not hold");
        assert_eq!(catch.seed, 7);
        assert_eq!(catch.checkers(), ["sets"]);
        assert_eq!(hunt(1, 6, broken), None);
    }

    #[test]
    fn a_core_that_gives_up_is_caught() {
        let catch = hunt(3, 1, |_| panic!("no")).expect("it panics");
        assert_eq!(catch.findings, ["panic: no"]);
    }
}
