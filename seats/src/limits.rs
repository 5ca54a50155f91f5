//! How long whoever is seated may take to speak, and how many wait for a place, in one place.

use std::time::Duration;

/// What each place adds to how long one who is seated may take to speak: so newcomers come in at no less than one in so
/// long. A thousand of them are gone from the queue in a fraction of the patience of a node that dials another.
pub const GRACE_PER_PLACE: Duration = Duration::from_micros(400);
/// The longest that it comes to.
pub const GRACE_MAX: Duration = Duration::from_millis(500);
/// How many connections wait in the system's queue of a listener.
pub const BACKLOG: u32 = 4096;
