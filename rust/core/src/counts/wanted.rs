//! Which records of a file are taken at all.

/// A set of record numbers.
#[derive(Debug)]
pub enum Wanted {
    /// all of so many
    All(usize),
    /// a bit for each record of the file, and how many are set
    Some(Vec<u64>, usize),
}

impl Wanted {
    /// Of a file of so many `records`; `chosen` may name one several times, None = all.
    pub fn new(chosen: Option<&[u32]>, records: usize) -> Self {
        let Some(chosen) = chosen else { return Self::All(records) };
        let mut bits = vec![0u64; records.div_ceil(64)];
        for &number in chosen {
            bits[number as usize / 64] |= 1 << (number % 64);
        }
        let count = bits.iter().map(|word| word.count_ones() as usize).sum();
        Self::Some(bits, count)
    }

    /// How many they are.
    pub fn len(&self) -> usize {
        match self {
            Self::All(records) => *records,
            Self::Some(_, count) => *count,
        }
    }

    /// Whether record `number` is one of them.
    pub fn has(&self, number: usize) -> bool {
        match self {
            Self::All(records) => number < *records,
            Self::Some(bits, _) => bits[number / 64] >> (number % 64) & 1 == 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_counts_once_however_often_it_is_taken() {
        let some = Wanted::new(Some(&[0, 63, 64, 64, 129, 0]), 130);
        assert_eq!(some.len(), 4);
        let had: Vec<usize> = (0..130).filter(|&number| some.has(number)).collect();
        assert_eq!(had, [0, 63, 64, 129]);
        let all = Wanted::new(None, 3);
        assert!(all.len() == 3 && all.has(2) && !all.has(3));
    }
}
