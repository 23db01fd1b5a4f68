//! From a checked conversation to ids and labels.
//!
//! `template` says what is written around each turn, `layout` which of that is a token of the
//! tokenizer, `render` writes a conversation piece by piece, `tokenizer` turns a run of text into ids
//! with byte spans, `builder` puts them together. Labels come from the spans: nothing is ever counted
//! twice. `encode` is the way in.

pub mod affix;
mod builder;
pub mod encode;
pub mod layout;
pub mod render;
pub mod segments;
pub mod template;
pub mod tokenizer;

pub use encode::{Encoder, IGNORE, Sample};
pub use layout::Format;
pub use segments::Segment;
pub use template::Template;
pub use tokenizer::{Tokenizer, TokenizerOptions};
