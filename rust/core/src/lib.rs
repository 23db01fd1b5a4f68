//! The data path of `llava_fast`: from image bytes and conversations to batches.

pub mod error;
pub mod packing;
pub mod parallel;
pub mod plan;

pub use error::{Class, Error, ImageFault, RecordFault, Result};
