//! Where in an object an entry stands: the names of the maps on the way, none for the object itself.

use std::fmt;
use std::sync::Arc;

/// The names from the object's top to a value; the top itself has none. Sorts name by name, so that what stands
/// below a path follows it directly.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Path(Arc<[Arc<str>]>);

impl Path {
    pub(crate) fn new(names: Vec<Arc<str>>) -> Self {
        Self(names.into())
    }

    pub(crate) fn names(&self) -> &[Arc<str>] {
        &self.0
    }

    pub(crate) fn depth(&self) -> usize {
        self.0.len()
    }

    /// Whether `self` is `top` or stands below it.
    pub(crate) fn is_under(&self, top: &Self) -> bool {
        self.0.starts_with(&top.0)
    }

    /// The path of `name` in the map at `self`.
    pub(crate) fn field(&self, name: &str) -> Self {
        Self(self.0.iter().cloned().chain([Arc::from(name)]).collect())
    }

    /// How many names `self` has in common with `other` from the top.
    pub(crate) fn shared(&self, other: &Self) -> usize {
        self.0.iter().zip(other.0.iter()).take_while(|(mine, theirs)| mine == theirs).count()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.0.iter().map(|name| name.len() + 2).sum()
    }
}

impl fmt::Debug for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|name| write!(f, "/{name}"))
    }
}
