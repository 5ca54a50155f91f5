//! Placement's bounds, in one place.

/// How many voters a region has at most, unless configured otherwise.
pub const VOTERS_MAX: usize = 5;
