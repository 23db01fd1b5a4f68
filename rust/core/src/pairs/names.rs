//! What the names of entries mean, by the rules of `WebDataset`.

/// What an entry is to the record of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Json,
    Text,
    Picture,
}

/// Endings of pictures. Whether one can be decoded is seen when it is.
const PICTURES: [&str; 14] = [
    "jpg", "jpeg", "jpe", "jfif", "png", "webp", "gif", "bmp", "tif", "tiff", "ppm", "pgm", "avif",
    "heic",
];

/// The key of an entry, its path up to the first dot of its file name, and its role; None for what
/// is no part of a record: hidden names, names without an ending or with another one.
pub(super) fn meaning(name: &str) -> Option<(&str, Role)> {
    let file = name.rfind('/').map_or(0, |slash| slash + 1);
    let dot = name[file..].find('.').filter(|&dot| dot > 0)?;
    let ending = name.rsplit('.').next()?.to_ascii_lowercase();
    let role = match ending.as_str() {
        "json" => Role::Json,
        "txt" => Role::Text,
        ending if PICTURES.contains(&ending) => Role::Picture,
        _ => return None,
    };
    Some((&name[..file + dot], role))
}

const BETWEEN: &str = " at byte ";

/// What a picture is called in its record: its name, and where its headers start in the tar.
pub(super) fn placed(name: &str, start: u64) -> String {
    format!("{name}{BETWEEN}{start}")
}

/// The two of a name that [`placed`] has made.
pub(super) fn split(placed: &str) -> Option<(&str, u64)> {
    let (name, start) = placed.rsplit_once(BETWEEN)?;
    Some((name, start.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::{Role, meaning, placed, split};

    #[test]
    fn keys_end_at_the_first_dot() {
        for (name, expected) in [
            ("a.json", Some(("a", Role::Json))),
            ("d.x/a.TXT", Some(("d.x/a", Role::Text))),
            ("d/a.1.JPEG", Some(("d/a", Role::Picture))),
            ("a.seg.png", Some(("a", Role::Picture))),
            (".a.json", None),
            ("d/._a.jpg", None),
            ("a", None),
            ("a.cls", None),
            ("a.json.gz", None),
            ("a.", None),
        ] {
            assert_eq!(meaning(name), expected, "{name}");
        }
    }

    #[test]
    fn names_and_places_come_back() {
        let odd = "a at byte 3.jpg";
        assert_eq!(split(&placed(odd, 512)), Some((odd, 512)));
        assert_eq!(split("a.jpg"), None);
        assert_eq!(split("a.jpg at byte x"), None);
    }
}
