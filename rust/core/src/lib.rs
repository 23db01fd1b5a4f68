//! The data path of `llava_fast`: from image bytes and conversations to batches.

pub mod conversation;
pub mod counter;
pub mod error;
pub mod image;
pub mod source;

pub use error::{Class, Error, ImageFault, RecordFault, Result};
pub use record::{Record, Role, Turn};
pub use records::Records;
