//! How much is done before the caller is asked again.

use std::time::{Duration, Instant};

/// The caller is back after about this time: it may want to stop, or say how far things are.
pub const PAUSE: Duration = Duration::from_millis(80);
const LARGEST: usize = 8192;

/// A number of records that takes about [`PAUSE`].
#[derive(Debug)]
pub struct Pace(usize);

impl Pace {
    /// Nothing is known yet.
    pub fn new() -> Self {
        Self(16)
    }

    /// How many to take next.
    pub fn size(&self) -> usize {
        self.0
    }

    /// That many took since `began`.
    pub fn learn(&mut self, began: Instant) {
        let seconds = began.elapsed().as_secs_f64().max(1e-9);
        let growth = (PAUSE.as_secs_f64() / seconds).min(2.0);
        self.0 = ((self.0 as f64 * growth) as usize).clamp(1, LARGEST);
    }
}
