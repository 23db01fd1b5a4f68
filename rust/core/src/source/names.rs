//! Names of the files of an archive.

use std::borrow::Cow;

/// The longest name that is kept, in bytes; no system opens longer paths.
const LONGEST: usize = 4096;

/// A name without `.` and empty parts, as `tar` and people write them; `None` for one that leads out
/// of the archive or is no text.
pub(crate) fn clean(name: &[u8]) -> Option<Cow<'_, str>> {
    let name = std::str::from_utf8(name).ok().filter(|name| name.len() <= LONGEST)?;
    let mut parts = name.split('/');
    if name.starts_with('/') || name.contains('\0') || parts.clone().any(|part| part == "..") {
        return None;
    }
    if parts.clone().all(|part| !matches!(part, "" | ".")) {
        return Some(Cow::Borrowed(name));
    }
    let first = parts.by_ref().find(|part| !matches!(*part, "" | "."))?;
    let mut cleaned = first.to_owned();
    for part in parts.filter(|part| !matches!(*part, "" | ".")) {
        cleaned.push('/');
        cleaned.push_str(part);
    }
    Some(Cow::Owned(cleaned))
}

#[cfg(test)]
mod tests {
    use super::clean;

    #[test]
    fn names_are_cleaned_or_refused() {
        for (name, cleaned) in [
            ("a/b.jpg", Some("a/b.jpg")),
            ("./a//b.jpg", Some("a/b.jpg")),
            ("a/", Some("a")),
            ("a\\b", Some("a\\b")),
            ("..a/b..", Some("..a/b..")),
            ("", None),
            ("./", None),
            ("/a", None),
            ("a/../b", None),
            ("..", None),
            ("a\0b", None),
        ] {
            assert_eq!(clean(name.as_bytes()).as_deref(), cleaned, "{name}");
        }
        assert_eq!(clean(b"caf\xe9.jpg"), None);
        assert_eq!(clean(&[b'a'; 4097]), None);
    }
}
