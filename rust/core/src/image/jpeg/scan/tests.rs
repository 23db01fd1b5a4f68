//! Coefficients through random codes and back: bit buffer, Huffman tables and scan together.

use proptest::prelude::*;

use super::super::huffman::{Kind, Spec};
use super::super::lines::Lines;
use super::{Cursor, Pairs, Part, Segments, ZIGZAG, block};
use crate::image::simd;

/// A prefix code of these symbols with lengths as near the wanted ones as the rest allows.
fn spec(symbols: &[u8], wanted: &[u32]) -> Spec {
    let mut left = (1 << 16) - 1; // the code of all ones stays free
    let mut pairs = Vec::new();
    for (index, symbol) in symbols.iter().enumerate() {
        let others = symbols.len() - 1 - index;
        let mut length = wanted[index];
        while 1 << (16 - length) > left - others {
            length += 1;
        }
        left -= 1 << (16 - length);
        pairs.push((length, *symbol));
    }
    pairs.sort_by_key(|(length, _)| *length);
    let mut counts = [0; 16];
    for (length, _) in &pairs {
        counts[*length as usize - 1] += 1;
    }
    Spec { counts, symbols: pairs.into_iter().map(|(_, symbol)| symbol).collect() }
}

/// Tables with random lengths, half of them with mostly the longest.
fn specs(symbols: Vec<u8>) -> impl Strategy<Value = Spec> {
    let count = symbols.len();
    let lengths = |weight| {
        let length = prop_oneof![weight => Just(16_u32), 1 => 1_u32..=16];
        prop::collection::vec(length, count)
    };
    let wanted = prop_oneof![lengths(1), lengths(1000)];
    (Just(symbols).prop_shuffle(), wanted).prop_map(|(symbols, wanted)| spec(&symbols, &wanted))
}

fn dc_symbols() -> Vec<u8> {
    (0..16).collect()
}

fn ac_symbols() -> Vec<u8> {
    let all = (0..16).flat_map(|run| (1..16).map(move |size| run << 4 | size));
    all.chain([0x00, 0xF0]).collect()
}

/// Numbers of up to `bits` bits, every size equally often.
fn number(bits: u32) -> impl Strategy<Value = i16> {
    (0..=bits, any::<i16>()).prop_map(|(size, value)| (i32::from(value) % (1 << size)) as i16)
}

/// In file order; mostly zeros, so that runs are long.
fn blocks() -> impl Strategy<Value = Vec<Vec<i16>>> {
    let coefficients = |zeros| {
        let value = prop_oneof![zeros => Just(0), 1 => number(15)];
        (number(14), prop::collection::vec(value, 63))
    };
    let block = prop_oneof![coefficients(1), coefficients(9), coefficients(60)]
        .prop_map(|(dc, ac)| [vec![dc], ac].concat());
    prop::collection::vec(block, 1..12)
}

/// What an encoder does: the bits of some blocks, one `u8` each.
struct Writer<'a> {
    specs: [&'a Spec; 2],
    bits: Vec<u8>,
}

impl Writer<'_> {
    fn put(&mut self, value: u32, count: u32) {
        self.bits.extend((0..count).rev().map(|i| (value >> i & 1) as u8));
    }

    /// The code of run and size, then the magnitude.
    fn symbol(&mut self, spec: usize, run: u8, value: i32) {
        let size = 32 - value.unsigned_abs().leading_zeros();
        let (mut code, mut index) = (0, 0);
        'found: for (length, count) in (1..).zip(self.specs[spec].counts) {
            for _ in 0..count {
                if self.specs[spec].symbols[index] == run << 4 | size as u8 {
                    self.put(code, length);
                    break 'found;
                }
                code += 1;
                index += 1;
            }
            code <<= 1;
        }
        self.put((if value < 0 { value - 1 } else { value }) as u32, size);
    }

    fn block(&mut self, block: &[i16], dc: i16) {
        self.symbol(0, 0, i32::from(block[0]) - i32::from(dc));
        let mut run = 0;
        let last = block.iter().rposition(|value| *value != 0).unwrap_or(0);
        for value in &block[1..=last] {
            if *value == 0 {
                run += 1;
                continue;
            }
            (0..run / 16).for_each(|_| self.symbol(1, 15, 0));
            self.symbol(1, run % 16, i32::from(*value));
            run = 0;
        }
        if last < 63 {
            self.symbol(1, 0, 0);
        }
    }

    /// Whole bytes, filled up with ones and stuffed.
    fn bytes(mut self) -> Vec<u8> {
        self.bits.resize(self.bits.len().next_multiple_of(8), 1);
        let byte = |bits: &[u8]| bits.iter().fold(0, |byte, bit| byte << 1 | bit);
        let stuffed = |byte| if byte == 0xFF { vec![0xFF, 0] } else { vec![byte] };
        self.bits.chunks(8).map(byte).flat_map(stuffed).collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]
    #[test]
    fn any_blocks_come_back_through_any_codes(
        dc in specs(dc_symbols()),
        ac in specs(ac_symbols()),
        blocks in blocks(),
        interval in 1_usize..12,
    ) {
        let mut file = Vec::new();
        for (index, blocks) in blocks.chunks(interval).enumerate() {
            if index > 0 {
                file.extend([0xFF, 0xD0 + ((index - 1) % 8) as u8]);
            }
            let mut writer = Writer { specs: [&dc, &ac], bits: Vec::new() };
            let before = [0].into_iter().chain(blocks.iter().map(|block| block[0]));
            blocks.iter().zip(before).for_each(|(block, dc)| writer.block(block, dc));
            file.extend(writer.bytes());
        }
        let data = Segments::read(&file, simd::Path::Scalar).expect("valid");
        let (dc, ac) = (Pairs::new(&dc, Kind::Dc)?, Pairs::new(&ac, Kind::Ac)?);
        let part = Part { component: 0, dc, ac, quant: [1; 64], blocks: (1, 1) };
        let mut cursor = Cursor::new(&data, interval)?;
        let mut lines = Lines::new((1, 1), blocks.len())?;
        for (index, expected) in blocks.iter().enumerate() {
            cursor.begin_unit()?;
            let window = lines.window(index, 0);
            let last = expected.iter().rposition(|value| *value != 0).unwrap_or(0);
            let Cursor { dc: [dc, ..], bits, .. } = &mut cursor;
            prop_assert_eq!(block(&part, dc, bits, window), Ok(last as u8));
            let values = ZIGZAG[..64].iter().map(|place| window[usize::from(*place)]);
            prop_assert_eq!(values.collect::<Vec<_>>(), expected.clone());
            prop_assert_eq!(cursor.end_unit(), Ok(()));
        }
    }
}
