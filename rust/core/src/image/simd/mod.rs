//! Vector code for the processors at hand.
//!
//! Every routine here has a scalar twin that gives the same bytes; the twin is what other processors
//! run, and the oracle of the tests. Which one runs is decided once per process.

#![allow(unsafe_code, reason = "functions for instructions that were asked for at run time")]

use std::env;
use std::sync::OnceLock;

use crate::{Error, Result};

#[cfg(target_arch = "x86_64")]
mod lanes;

pub(crate) mod jpeg_colour;
pub(crate) mod jpeg_idct;
pub(super) mod planes;
pub(super) mod resize;
#[cfg(target_arch = "x86_64")]
mod resize_avx2;
#[cfg(target_arch = "x86_64")]
mod resize_avx512;

/// The environment variable that forces a path.
pub const VARIABLE: &str = "LLAVA_FAST_CPU";

/// A set of instructions that the code is written for; each has all of those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Path {
    /// whatever the compiler makes of plain Rust
    Scalar,
    /// AVX2, BMI1, BMI2, LZCNT and POPCNT: x86-64 since 2013
    Avx2,
    /// AVX-512 F, BW, DQ, VL, VBMI and VNNI: x86-64 servers since 2019
    Avx512,
}

impl Path {
    /// All paths, simplest first.
    pub const ALL: [Self; 3] = [Self::Scalar, Self::Avx2, Self::Avx512];

    /// `scalar`, `avx2` or `avx512`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
        }
    }

    /// Whether this processor has the instructions.
    #[must_use]
    pub fn available(self) -> bool {
        match self {
            Self::Scalar => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => has_avx2(),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => has_avx2() && has_avx512(),
            #[cfg(not(target_arch = "x86_64"))]
            Self::Avx2 | Self::Avx512 => false,
        }
    }

    /// The path of this process: the best available one, or the one that `LLAVA_FAST_CPU` names.
    ///
    /// # Errors
    /// `Argument` if the variable names no path, or one that this processor lacks.
    pub fn chosen() -> Result<Self> {
        static CHOSEN: OnceLock<Result<Path>> = OnceLock::new();
        CHOSEN.get_or_init(|| choose(env::var(VARIABLE).ok().as_deref())).clone()
    }
}

fn choose(forced: Option<&str>) -> Result<Path> {
    let Some(name) = forced.filter(|name| !name.is_empty()) else {
        return Ok(Path::ALL.into_iter().rfind(|path| path.available()).unwrap_or(Path::Scalar));
    };
    match Path::ALL.into_iter().find(|path| path.name() == name) {
        Some(path) if path.available() => Ok(path),
        Some(_) => Err(Error::Argument(format!("{VARIABLE}: this processor lacks `{name}`"))),
        None => Err(Error::Argument(format!(
            "{VARIABLE}: got `{name}`, expected one of scalar, avx2, avx512"
        ))),
    }
}

#[cfg(target_arch = "x86_64")]
fn has_avx2() -> bool {
    is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("bmi1")
        && is_x86_feature_detected!("bmi2")
        && is_x86_feature_detected!("lzcnt")
        && is_x86_feature_detected!("popcnt")
}

#[cfg(target_arch = "x86_64")]
fn has_avx512() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512vbmi")
        && is_x86_feature_detected!("avx512vnni")
}

/// Plain Rust that is compiled once for each path: the compiler then uses what the processor has.
///
/// `run`, and all that it calls in its loops, must be `#[inline(always)]`: only what is inlined is
/// compiled for the path.
pub(crate) trait Work {
    /// what comes out
    type Output;

    /// does it
    fn run<I: Instructions>(self) -> Self::Output;
}

/// Single instructions that the compiler does not find by itself.
pub(crate) trait Instructions {
    /// The `n`-th of the bits that are set, counted from 0 at the lowest; 0 if there are fewer.
    fn nth_set_bit(bits: u64, n: u32) -> u64;

    /// A bit for each byte that is 0xFF, the lowest for the first.
    fn full_bytes(bytes: &[u8; 64]) -> u64;
}

struct Plain;

impl Instructions for Plain {
    #[inline(always)]
    fn nth_set_bit(bits: u64, n: u32) -> u64 {
        let rest = (0..n).fold(bits, |bits, _| bits & bits.wrapping_sub(1));
        rest & rest.wrapping_neg()
    }

    #[inline(always)]
    fn full_bytes(bytes: &[u8; 64]) -> u64 {
        const HIGH: u64 = 0x8080_8080_8080_8080;
        bytes.as_chunks().0.iter().rev().fold(0, |mask, eight| {
            let eight = u64::from_le_bytes(*eight);
            // A byte has its high bit and carries into it from the other seven: it is 0xFF.
            let full = eight & (eight & !HIGH).wrapping_add(HIGH >> 7) & HIGH;
            // The eight bits next to each other, by a product that adds up shifted copies.
            mask << 8 | (full >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56
        })
    }
}

#[cfg(target_arch = "x86_64")]
struct Vectors;

#[cfg(target_arch = "x86_64")]
impl Instructions for Vectors {
    #[inline(always)]
    fn nth_set_bit(bits: u64, n: u32) -> u64 {
        // SAFETY: only paths that have the instruction are run with it, see below.
        unsafe { std::arch::x86_64::_pdep_u64(1 << (n & 63), bits) }
    }

    #[inline(always)]
    fn full_bytes(bytes: &[u8; 64]) -> u64 {
        // SAFETY: as above.
        unsafe { lanes::full_bytes(bytes) }
    }
}

/// Runs the copy of `work` that was compiled for `path`.
pub(crate) fn run<W: Work>(path: Path, work: W) -> W::Output {
    match path {
        // SAFETY: an available path has all instructions named at the function.
        #[cfg(target_arch = "x86_64")]
        Path::Avx2 => unsafe { run_avx2(work) },
        #[cfg(target_arch = "x86_64")]
        Path::Avx512 => unsafe { run_avx512(work) },
        _ => work.run::<Plain>(),
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
fn run_avx2<W: Work>(work: W) -> W::Output {
    work.run::<Vectors>()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(
    enable = "avx2,bmi1,bmi2,lzcnt,popcnt,avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi"
)]
fn run_avx512<W: Work>(work: W) -> W::Output {
    work.run::<Vectors>()
}

#[cfg(test)]
mod tests {
    use super::{Instructions, Path, Work, choose, run};

    struct Bits(u64, u32);

    impl Work for Bits {
        type Output = u64;

        #[inline(always)]
        fn run<I: Instructions>(self) -> u64 {
            I::nth_set_bit(self.0, self.1)
        }
    }

    #[test]
    fn set_bits_are_counted_on_every_path() {
        for path in Path::ALL.into_iter().filter(|path| path.available()) {
            for (bits, n, expected) in
                [(0b1011, 0, 1), (0b1011, 2, 8), (0b1011, 3, 0), (!0, 63, 1 << 63)]
            {
                assert_eq!(run(path, Bits(bits, n)), expected, "{path:?}");
            }
        }
    }

    #[test]
    fn a_path_is_forced_by_its_name() {
        assert_eq!(choose(Some("scalar")).ok(), Some(Path::Scalar));
        assert!(choose(None).is_ok_and(Path::available));
        assert_eq!(choose(Some("")).ok(), choose(None).ok());
        assert_eq!(
            choose(Some("sse")).map_err(|error| error.to_string()),
            Err("LLAVA_FAST_CPU: got `sse`, expected one of scalar, avx2, avx512".to_owned())
        );
    }

    struct Full([u8; 64]);

    impl Work for Full {
        type Output = u64;

        #[inline(always)]
        fn run<I: Instructions>(self) -> u64 {
            I::full_bytes(&self.0)
        }
    }

    #[test]
    fn full_bytes_are_found_on_every_path() {
        for path in Path::ALL.into_iter().filter(|path| path.available()) {
            for place in 0..64 {
                let mut bytes: [u8; 64] = std::array::from_fn(|i| (i * 9 % 255) as u8);
                (bytes[place], bytes[63 - place], bytes[place ^ 1]) = (0xFF, 0x7F, 0xFE);
                assert_eq!(run(path, Full(bytes)), 1 << place, "{path:?}");
            }
            assert_eq!(run(path, Full([0xFF; 64])), !0, "{path:?}");
        }
    }
}
