//! Marks on rare branches, to see that some run reaches them.
//!
//! A protection that no test ever enters may as well be wrong. So at the rare branches of the pure crates stands one
//! call, `marks::reached(Mark::…)`, and the simulator's tests say which scenario reached which mark; one that no run
//! reaches fails. Counting is per thread, as simulated worlds are, and only in builds with debug assertions: in all
//! others `reached` is nothing, so that the compiler drops it. No decision may ever depend on a mark.

use std::cell::Cell;

/// A crate's marks, each by its name and what happens there.
pub type Marks = &'static [(&'static str, &'static str)];

/// Makes a crate's list: its `Mark`s, `ALL` of them by name, and `reached`. One a line, as a variant, a name and what
/// happens there.
#[macro_export]
macro_rules! marks {
    ($($variant:ident $name:literal $sentence:literal)*) => {
        /// A rare branch.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Mark {
            $(#[doc = $sentence] $variant,)*
        }

        /// Each by its name and what happens there.
        pub const ALL: $crate::marks::Marks = &[$(($name, $sentence),)*];

        /// This branch was reached, on this thread.
        #[cfg(not(debug_assertions))]
        #[inline(always)]
        pub const fn reached(_: Mark) {}

        #[cfg(debug_assertions)]
        ::std::thread_local! {
            static REACHED: $crate::marks::Counts<{ ALL.len() }> = const { $crate::marks::Counts::new() };
        }

        /// This branch was reached, on this thread.
        #[cfg(debug_assertions)]
        pub fn reached(mark: Mark) {
            REACHED.with(|counts| counts.add(mark as usize));
        }

        /// The marks that this thread reached since it was asked last, with how often.
        #[cfg(debug_assertions)]
        #[must_use]
        pub fn take() -> ::std::vec::Vec<(&'static str, u64)> {
            REACHED.with(|counts| counts.take(ALL))
        }
    };
}

/// How often one thread reached each of a crate's marks.
#[derive(Debug)]
pub struct Counts<const MARKS: usize>([Cell<u64>; MARKS]);

impl<const MARKS: usize> Counts<MARKS> {
    /// None reached.
    #[must_use]
    pub const fn new() -> Self {
        Self([const { Cell::new(0) }; MARKS])
    }

    /// Counts one in this place.
    pub fn add(&self, place: usize) {
        self.0[place].set(self.0[place].get() + 1);
    }

    /// The names of those that were reached, with how often; they begin anew.
    #[must_use]
    pub fn take(&self, marks: Marks) -> Vec<(&'static str, u64)> {
        let counts = self.0.iter().map(Cell::take);
        marks.iter().zip(counts).map(|((name, _), count)| (*name, count)).filter(|(_, count)| *count > 0).collect()
    }
}

impl<const MARKS: usize> Default for Counts<MARKS> {
    fn default() -> Self {
        Self::new()
    }
}
