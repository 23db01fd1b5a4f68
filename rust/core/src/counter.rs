//! Counter-based random numbers: any number of a sequence can be had without the ones before.

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// The output number `counter`, from 0, of the `SplitMix64` generator whose state is `key`
/// (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
#[must_use]
pub fn splitmix64(key: u64, counter: u64) -> u64 {
    let state = key.wrapping_add(GOLDEN.wrapping_mul(counter.wrapping_add(1)));
    let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// One key from several numbers: `key = splitmix64(key ^ number, 0)`, starting from 0.
#[must_use]
pub fn fold(numbers: &[u64]) -> u64 {
    numbers.iter().fold(0, |key, number| splitmix64(key ^ number, 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_published_generator() {
        let outputs = [0, 1, 2].map(|counter| splitmix64(1_234_567, counter));
        let published =
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        assert_eq!(outputs, published);
    }
}
