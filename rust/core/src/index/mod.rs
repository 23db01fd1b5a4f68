//! Side files: what reading a data file through has shown, kept so that it is read through once.
//!
//! A side file lies in a folder `.llava_fast` beside its data file, or where that cannot be written,
//! in the user's cache folder. It is written under another name and renamed when it is whole, so it
//! never changes: processes and ranks read it without a lock. What it was made from is part of it.
//! A file that is damaged, of another version or made from something else counts as none.

mod identity;
mod lock;
mod place;
mod sealed;
#[cfg(test)]
mod tests;

pub use identity::Identity;
pub use lock::Lock;
pub use place::{Place, Side};
pub use sealed::Sealed;
