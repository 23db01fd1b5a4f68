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

/// The environment variable that forces a path.
pub const VARIABLE: &str = "LLAVA_FAST_CPU";

/// A set of instructions that the code is written for; each has all of those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Path {
    /// whatever the compiler makes of plain Rust
    Scalar,
    /// AVX2, BMI1, BMI2 and LZCNT: x86-64 since 2013
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
    fn run(self) -> Self::Output;
}

/// Runs the copy of `work` that was compiled for `path`.
pub(crate) fn run<W: Work>(path: Path, work: W) -> W::Output {
    match path {
        // SAFETY: an available path has all instructions named at the function.
        #[cfg(target_arch = "x86_64")]
        Path::Avx2 => unsafe { run_avx2(work) },
        #[cfg(target_arch = "x86_64")]
        Path::Avx512 => unsafe { run_avx512(work) },
        _ => work.run(),
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt")]
fn run_avx2<W: Work>(work: W) -> W::Output {
    work.run()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi")]
fn run_avx512<W: Work>(work: W) -> W::Output {
    work.run()
}

#[cfg(test)]
mod tests {
    use super::{Path, choose};

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
}
