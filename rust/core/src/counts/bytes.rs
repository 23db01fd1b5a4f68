//! Numbers and texts in a side file: little-endian, texts with their length before them.

/// Takes bytes from the front. Whatever is not there is None.
pub struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*head)
    }

    pub fn byte(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub fn short(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub fn word(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub fn long(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// At most `longest` bytes.
    pub fn text(&mut self, longest: usize) -> Option<&'a str> {
        let length = self.word()? as usize;
        let (text, rest) = self.0.split_at_checked(length).filter(|_| length <= longest)?;
        self.0 = rest;
        str::from_utf8(text).ok()
    }
}

/// What [`Reader::text`] takes; texts here are far shorter than 4 GiB.
pub fn put_text(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend((text.len() as u32).to_le_bytes());
    bytes.extend(text.as_bytes());
}
