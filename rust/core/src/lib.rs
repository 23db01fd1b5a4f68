//! The data path of `llava_fast`: from image bytes and conversations to batches.

pub mod cache;
pub mod check;
pub mod conversation;
pub mod counter;
pub mod counts;
pub mod error;
pub mod fingerprint;
pub mod image;
pub mod index;
pub mod loader;
pub mod loading;
pub mod pack;
pub mod packing;
pub(crate) mod pairs;
pub mod parallel;
pub mod parquet;
pub mod plan;
pub mod pool;
pub mod process;
pub mod reads;
pub mod record;
pub mod records;
pub mod source;

pub use error::{Class, Error, ImageFault, RecordFault, Result, TurnFault};
pub use record::{Record, Role, Turn};
pub use records::Records;
