//! Where the entropy decoding of a scan is.

use super::bits::Bits;
use super::malformed;
use super::segments::Segments;
use crate::Result;

/// A broken rule, in the words of the error; small enough for hot loops.
pub(super) type Step<T> = std::result::Result<T, &'static str>;

/// The data between two restart markers, and what is carried from unit to unit within them.
#[derive(Clone)]
pub(super) struct Cursor<'a> {
    data: &'a Segments,
    index: usize,
    pub(super) bits: Bits<'a>,
    /// last DC value per part of the scan
    pub(super) dc: [i32; 4],
    /// blocks of a progressive scan that need nothing more, because a run of ends covers them
    pub(super) ended: u32,
    /// units in a segment, 0 = all, and those left in this one
    interval: usize,
    left: usize,
    /// the file was cut here and the caller wants what there is: the rest stays as it is
    pub(super) exhausted: bool,
}

impl<'a> Cursor<'a> {
    /// At the first unit of a scan with a restart marker every `interval` units, 0 = none.
    ///
    /// # Errors
    /// `Malformed` if there are no data.
    pub(super) fn new(data: &'a Segments, interval: usize) -> Result<Self> {
        Self::segment(data, 0, interval)
    }

    fn segment(data: &'a Segments, index: usize, interval: usize) -> Result<Self> {
        let Some(bytes) = data.segment(index) else {
            return Err(malformed(format!("restart marker {index} is missing")));
        };
        Ok(Self::over(bytes, data, index, interval))
    }

    fn over(bytes: &'a [u8], data: &'a Segments, index: usize, interval: usize) -> Self {
        let bits = Bits::new(bytes);
        Self { data, index, bits, dc: [0; 4], ended: 0, interval, left: interval, exhausted: false }
    }

    /// Goes on behind the next restart marker if one is due, which must be the right one.
    #[inline(always)]
    pub(super) fn begin_unit(&mut self) -> Result<()> {
        if self.interval > 0 {
            if self.left == 0 {
                *self = Self::restart(self.data, self.index, self.interval, self.exhausted)?;
            }
            self.left -= 1;
        }
        Ok(())
    }

    #[cold]
    fn restart(data: &'a Segments, index: usize, interval: usize, exhausted: bool) -> Result<Self> {
        let due = (index % 8) as u8;
        match data.restart(index) {
            Some(number) if number == due => Self::segment(data, index + 1, interval),
            Some(number) => Err(malformed(format!("restart marker {number}, expected {due}"))),
            // libjpeg decodes one more unit, from no data at all, unless it has met the end before.
            None if data.cut => Ok(Self { exhausted, ..Self::over(&[], data, index, interval) }),
            None => Err(malformed(format!("restart marker {index} is missing"))),
        }
    }

    /// Checks that the unit had all of its data.
    #[inline(always)]
    pub(super) fn end_unit(&mut self) -> Step<()> {
        if self.bits.overrun() {
            if !self.data.cut || self.data.restart(self.index).is_some() {
                return Err("the scan breaks off");
            }
            // The unit at the cut is decoded with zero bits behind it, as libjpeg does.
            self.exhausted = true;
        }
        Ok(())
    }
}
