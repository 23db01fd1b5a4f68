//! The data path of `llava_fast`: from image bytes and conversations to batches.

pub mod conversation;
pub mod error;
pub mod fingerprint;
pub mod record;
pub mod records;

pub use error::{Class, Error, ImageFault, RecordFault, Result};
pub use record::{Record, Role, Turn};
pub use records::Records;
