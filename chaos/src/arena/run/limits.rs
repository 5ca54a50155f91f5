//! How long a run waits for what, and how often it tries.

use std::time::Duration;
/// How long a change of a roster is tried.
pub const CHANGE_PATIENCE: Duration = Duration::from_secs(120);
/// How long one attempt at that may take.
pub const CHANGE_ATTEMPT: Duration = Duration::from_secs(3);
/// Between two attempts.
pub const CHANGE_PAUSE: Duration = Duration::from_millis(250);
/// From one growth of a canary, and from one look at it, to the next.
pub const CANARY_EVERY: Duration = Duration::from_millis(250);
/// How long a canary's answer may take.
pub const CANARY_PATIENCE: Duration = Duration::from_millis(800);
/// From one question for a node's status to the next.
pub const WATCH_EVERY: Duration = Duration::from_millis(250);
/// How long a status may take.
pub const WATCH_PATIENCE: Duration = Duration::from_millis(800);
/// How often processes are looked at while nothing else happens.
pub const AGREEMENT_LOOK: Duration = Duration::from_millis(100);
/// How long agreement is waited for beyond the plan's bound, so that a report can say how late it was.
pub const END_GRACE: Duration = Duration::from_secs(20);
/// How long a leader sleeps at most, until another leads.
pub const DEPOSED_MAX: Duration = Duration::from_secs(10);
/// How often a node that ends by itself after the heal is started again.
pub const RESTARTS_MAX: u32 = 5;
/// How often a region is tried after the heal beyond the plan's bound, in bounds: so that a report can say how late it was.
pub const PROBE_BOUNDS: u32 = 2;
