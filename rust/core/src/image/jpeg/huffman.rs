//! Huffman tables as a file gives them: 16 code counts and the symbols.

use super::malformed;
use crate::Result;

/// A table as the file (or the standard) gives it.
#[derive(Clone, Debug)]
pub(super) struct Spec {
    /// how many codes of each length 1..=16
    pub(super) counts: [u8; 16],
    /// symbols in order of their codes
    pub(super) symbols: Vec<u8>,
}

/// What a table is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Dc,
    Ac,
    /// bits of AC coefficients that earlier scans have begun
    Refinement,
}

/// The codes of a table, to be found by their bits.
pub(super) struct Codes {
    /// per length: first code beyond that length, left-aligned to 16 bits
    limits: [u32; 17],
    /// per length: index of the symbol of code `c` is `c + offset`
    offsets: [i32; 17],
    symbols: Vec<u8>,
}

impl Codes {
    /// # Errors
    /// `Malformed` for counts that make no prefix code, or a DC size over 15.
    pub(super) fn new(spec: &Spec, kind: Kind) -> Result<Self> {
        if kind == Kind::Dc && spec.symbols.iter().any(|size| *size > 15) {
            return Err(malformed("a DC Huffman table has a size over 15"));
        }
        let (mut limits, mut offsets) = ([0; 17], [0; 17]);
        let (mut code, mut index) = (0_u32, 0_u32);
        for length in 1..=16_usize {
            let count = u32::from(spec.counts[length - 1]);
            // The standard keeps the code of all ones free.
            if count > 0 && code + count >= 1 << length {
                return Err(malformed("a Huffman table has more codes than its lengths allow"));
            }
            offsets[length] = index as i32 - code as i32;
            (code, index) = (code + count, index + count);
            limits[length] = code << (16 - length);
            code <<= 1;
        }
        Ok(Self { limits, offsets, symbols: spec.symbols.clone() })
    }

    /// The symbol whose code starts these 16 bits, and the length of the code.
    pub(super) fn find(&self, next: u32) -> Option<(u8, u32)> {
        let length = (1..=16).find(|length| next < self.limits[*length as usize])?;
        let index = (next >> (16 - length)) as i32 + self.offsets[length as usize];
        Some((*self.symbols.get(usize::try_from(index).ok()?)?, length))
    }
}

/// The tables of the standard's annex K, which Motion-JPEG frames leave out: `[DC, AC]` for luma,
/// then for chroma.
pub(super) fn standard(chroma: bool) -> [Spec; 2] {
    let dc_counts = if chroma {
        [0, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0]
    } else {
        [0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0]
    };
    let (ac_counts, ac_symbols) = if chroma {
        ([0, 2, 1, 2, 4, 4, 3, 4, 7, 5, 4, 4, 0, 1, 2, 119], &AC_CHROMA)
    } else {
        ([0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 125], &AC_LUMA)
    };
    [
        Spec { counts: dc_counts, symbols: (0..12).collect() },
        Spec { counts: ac_counts, symbols: ac_symbols.to_vec() },
    ]
}

#[rustfmt::skip]
const AC_LUMA: [u8; 162] = [
    0x01, 0x02, 0x03, 0x00, 0x04, 0x11, 0x05, 0x12, 0x21, 0x31, 0x41, 0x06, 0x13, 0x51, 0x61, 0x07, 0x22, 0x71,
    0x14, 0x32, 0x81, 0x91, 0xA1, 0x08, 0x23, 0x42, 0xB1, 0xC1, 0x15, 0x52, 0xD1, 0xF0, 0x24, 0x33, 0x62, 0x72,
    0x82, 0x09, 0x0A, 0x16, 0x17, 0x18, 0x19, 0x1A, 0x25, 0x26, 0x27, 0x28, 0x29, 0x2A, 0x34, 0x35, 0x36, 0x37,
    0x38, 0x39, 0x3A, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4A, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59,
    0x5A, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6A, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7A, 0x83,
    0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9A, 0xA2, 0xA3,
    0xA4, 0xA5, 0xA6, 0xA7, 0xA8, 0xA9, 0xAA, 0xB2, 0xB3, 0xB4, 0xB5, 0xB6, 0xB7, 0xB8, 0xB9, 0xBA, 0xC2, 0xC3,
    0xC4, 0xC5, 0xC6, 0xC7, 0xC8, 0xC9, 0xCA, 0xD2, 0xD3, 0xD4, 0xD5, 0xD6, 0xD7, 0xD8, 0xD9, 0xDA, 0xE1, 0xE2,
    0xE3, 0xE4, 0xE5, 0xE6, 0xE7, 0xE8, 0xE9, 0xEA, 0xF1, 0xF2, 0xF3, 0xF4, 0xF5, 0xF6, 0xF7, 0xF8, 0xF9, 0xFA,
];

#[rustfmt::skip]
const AC_CHROMA: [u8; 162] = [
    0x00, 0x01, 0x02, 0x03, 0x11, 0x04, 0x05, 0x21, 0x31, 0x06, 0x12, 0x41, 0x51, 0x07, 0x61, 0x71, 0x13, 0x22,
    0x32, 0x81, 0x08, 0x14, 0x42, 0x91, 0xA1, 0xB1, 0xC1, 0x09, 0x23, 0x33, 0x52, 0xF0, 0x15, 0x62, 0x72, 0xD1,
    0x0A, 0x16, 0x24, 0x34, 0xE1, 0x25, 0xF1, 0x17, 0x18, 0x19, 0x1A, 0x26, 0x27, 0x28, 0x29, 0x2A, 0x35, 0x36,
    0x37, 0x38, 0x39, 0x3A, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4A, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58,
    0x59, 0x5A, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6A, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7A,
    0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9A,
    0xA2, 0xA3, 0xA4, 0xA5, 0xA6, 0xA7, 0xA8, 0xA9, 0xAA, 0xB2, 0xB3, 0xB4, 0xB5, 0xB6, 0xB7, 0xB8, 0xB9, 0xBA,
    0xC2, 0xC3, 0xC4, 0xC5, 0xC6, 0xC7, 0xC8, 0xC9, 0xCA, 0xD2, 0xD3, 0xD4, 0xD5, 0xD6, 0xD7, 0xD8, 0xD9, 0xDA,
    0xE2, 0xE3, 0xE4, 0xE5, 0xE6, 0xE7, 0xE8, 0xE9, 0xEA, 0xF2, 0xF3, 0xF4, 0xF5, 0xF6, 0xF7, 0xF8, 0xF9, 0xFA,
];

#[cfg(test)]
mod tests {
    use super::{Codes, Kind, Spec, standard};

    #[test]
    fn every_code_of_the_standard_tables_is_found() {
        for chroma in [false, true] {
            for (spec, kind) in standard(chroma).iter().zip([Kind::Dc, Kind::Ac]) {
                let codes = Codes::new(spec, kind).expect("valid");
                let (mut code, mut symbols) = (0_u32, spec.symbols.iter());
                for length in 1..=16_u32 {
                    for _ in 0..spec.counts[length as usize - 1] {
                        let symbol = *symbols.next().expect("as many symbols as codes");
                        assert_eq!(codes.find(code << (16 - length)), Some((symbol, length)));
                        code += 1;
                    }
                    code <<= 1;
                }
            }
        }
    }

    #[test]
    fn impossible_tables_are_refused() {
        let spec = |counts: [u8; 16], symbols: Vec<u8>| Spec { counts, symbols };
        let mut three_of_one_bit = [0; 16];
        three_of_one_bit[0] = 3;
        assert!(Codes::new(&spec(three_of_one_bit, vec![0, 1, 2]), Kind::Ac).is_err());
        let mut one = [0; 16];
        one[0] = 1;
        assert!(Codes::new(&spec(one, vec![16]), Kind::Dc).is_err());
        let codes = Codes::new(&spec(one, vec![1]), Kind::Ac).expect("a single code is fine");
        assert_eq!((codes.find(0), codes.find(0x8000)), (Some((1, 1)), None));
    }
}
