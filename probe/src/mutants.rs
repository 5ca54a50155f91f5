//! Deliberate defects, to see that the checkers see them.
//!
//! A checker that never found anything may be blind. So the product can be broken on purpose: at the one spot where a
//! protection lives stands one question, `mutants::is(Mutant::…)`, and whoever starts a program chooses one defect by its
//! name. Names and answers exist only in builds with the feature `mutants`, which no manifest enables. In all others
//! `is` is the constant `false`, so that the compiler drops what stands behind it; that no name is in such a binary is
//! checked by `chaos/scripts/mutants-absent.sh`.
//!
//! A program tells what is chosen, once, before it starts anything; who tells nothing, as the tests of the pure crates, has
//! what the variable `TRINE_MUTANT` named when this was built. Crates that do IO ask that variable when they run, for tests
//! that start no program.
//! `trine-chaos mutants` runs those that the simulator can see; docs/testing.md says which test saw which of the others.

/// A crate's defects, each by its name and what is wrong with it.
pub type Defects = &'static [(&'static str, &'static str)];

/// Makes a crate's list: its `Mutant`s, `ALL` of them by name, and the question `is`. One a line, as a variant, a name and
/// what is wrong. A crate that does IO says so before them.
#[cfg(not(feature = "mutants"))]
#[macro_export]
macro_rules! mutants {
    (of a program; $($list:tt)*) => {
        $crate::mutants! { $($list)* }
    };
    ($($variant:ident $name:literal $defect:literal)*) => {
        /// A deliberate defect.
        #[derive(Clone, Copy, PartialEq, Eq)]
        pub enum Mutant {
            $(#[doc = $defect] $variant,)*
        }

        /// Each by its name and what is wrong with it: none, in a build like this one.
        pub const ALL: $crate::mutants::Defects = &[];

        /// Whether this defect was chosen: never, in a build like this one.
        #[inline(always)]
        #[must_use]
        pub const fn is(_: Mutant) -> bool {
            false
        }
    };
}

/// Makes a crate's list: its `Mutant`s, `ALL` of them by name, and the question `is`. One a line, as a variant, a name and
/// what is wrong. A crate that does IO says so before them.
#[cfg(feature = "mutants")]
#[macro_export]
macro_rules! mutants {
    (of a program; $($list:tt)*) => {
        $crate::mutants! { @(is_named) $($list)* }

        /// Whether the environment, which a pure crate does not read, or whoever started this names the defect.
        fn is_named(defect: u64) -> bool {
            $crate::mutants::is_named(defect, || ::std::env::var($crate::mutants::VARIABLE).ok())
        }
    };
    (@($is:path) $($variant:ident $name:literal $defect:literal)*) => {
        /// A deliberate defect.
        #[derive(Clone, Copy, PartialEq, Eq)]
        pub enum Mutant {
            $(#[doc = $defect] $variant,)*
        }

        /// Each by its name and what is wrong with it.
        pub const ALL: $crate::mutants::Defects = &[$(($name, $defect),)*];

        /// Whether this defect was chosen. Being asked about the chosen one is counted.
        #[must_use]
        pub fn is(mutant: Mutant) -> bool {
            const IDS: &[u64] = &[$($crate::mutants::id($name),)*];
            $is(IDS[mutant as usize])
        }
    };
    ($($list:tt)*) => {
        $crate::mutants! { @($crate::mutants::is) $($list)* }
    };
}

#[cfg(feature = "mutants")]
pub use chosen::{VARIABLE, choose, id, is, is_named, reached};

#[cfg(feature = "mutants")]
mod chosen {
    use std::sync::Once;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::Defects;

    /// What whoever tells nothing has: what was named when this was built.
    const BUILT_WITH: Option<&str> = option_env!("TRINE_MUTANT");
    /// The variable by which programs are told.
    pub const VARIABLE: &str = "TRINE_MUTANT";

    /// The chosen one's [`id`]; 0: none.
    static CHOSEN: AtomicU64 = AtomicU64::new(0);
    static REACHED: AtomicU64 = AtomicU64::new(0);
    /// Done when a defect, or none, has been chosen.
    static TOLD: Once = Once::new();

    /// What a name is compared by: FNV-1a, 64 bits.
    #[must_use]
    pub const fn id(name: &str) -> u64 {
        let (mut id, mut at) = (0xcbf2_9ce4_8422_2325, 0);
        while at < name.len() {
            id = (id ^ name.as_bytes()[at] as u64).wrapping_mul(0x0100_0000_01b3);
            at += 1;
        }
        id
    }

    /// Whether the defect with this id was chosen. Being asked about the chosen one is counted.
    #[must_use]
    pub fn is(defect: u64) -> bool {
        TOLD.call_once(|| set(BUILT_WITH));
        let chosen = CHOSEN.load(Ordering::Relaxed) == defect;
        if chosen {
            REACHED.fetch_add(1, Ordering::Relaxed);
        }
        chosen
    }

    /// As [`is`], where the environment may name the defect: it is read when it is asked first.
    #[must_use]
    pub fn is_named(defect: u64, named: impl FnOnce() -> Option<String>) -> bool {
        static READ: Once = Once::new();
        READ.call_once(|| {
            if let Some(name) = named() {
                TOLD.call_once(|| {});
                set(Some(&name));
            }
        });
        is(defect)
    }

    /// Chooses a defect by its name, in place of any other; none: the product is whole.
    ///
    /// # Errors
    /// All names, when there is none such in these lists.
    pub fn choose(name: Option<&str>, lists: &[Defects]) -> Result<(), String> {
        let known = || lists.iter().copied().flatten().map(|(known, _)| *known);
        if let Some(name) = name.filter(|name| !known().any(|known| known == *name)) {
            return Err(format!("no mutant `{name}`; there are: {}", known().collect::<Vec<_>>().join(", ")));
        }
        TOLD.call_once(|| {});
        set(name);
        Ok(())
    }

    fn set(name: Option<&str>) {
        CHOSEN.store(name.map_or(0, id), Ordering::Relaxed);
        REACHED.store(0, Ordering::Relaxed);
    }

    /// How often the chosen defect's spot was reached since it was chosen: one that no run reaches shows nothing.
    #[must_use]
    pub fn reached() -> u64 {
        REACHED.load(Ordering::Relaxed)
    }
}
