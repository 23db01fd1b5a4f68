//! From a checked conversation to ids and labels.
//!
//! `template` says what is written around each turn, `render` writes a conversation as segments
//! (text, STOP or picture; supervised or not), `tokenizer` turns a run of text into ids with byte
//! spans, `encode` puts them together. Labels come from the spans: nothing is ever counted twice.

pub mod encode;
pub mod render;
pub mod template;
pub mod tokenizer;

pub use encode::{IGNORE, Sample, encode, encode_segments};
pub use render::{Piece, Segment, prompt, render};
pub use template::{Template, find, names};
pub use tokenizer::{Tokenizer, TokenizerOptions};
