//! The data path of `llava_fast`: from image bytes and conversations to batches.

pub mod error;

pub use error::{Class, Error, ImageFault, RecordFault, Result};
