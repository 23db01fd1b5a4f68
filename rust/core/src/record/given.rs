//! What is known of a record without reading it: its name and its pictures, in a file where they lie
//! together.

use crate::error::RecordFault;

/// Name and pictures of a record.
#[derive(Clone, Debug)]
pub struct Given<'a> {
    /// its id, if it has none of its own
    pub id: &'a str,
    /// names of the pictures that lie with it, and what they are called from here on
    pub pictures: Vec<(&'a str, String)>,
}

impl Given<'_> {
    /// The pictures that a record means by the names that it gives: all there are if it gives none,
    /// and the only one whatever it is called, since converters leave old paths in place.
    pub(super) fn resolve(&self, named: Vec<String>) -> Result<Vec<String>, RecordFault> {
        if named.is_empty() || (named.len() == 1 && self.pictures.len() == 1) {
            return Ok(self.pictures.iter().map(|(_, full)| full.clone()).collect());
        }
        named.into_iter().map(|name| self.find(&name)).collect()
    }

    /// A name is that of the entry, without its folders if need be.
    fn find(&self, name: &str) -> Result<String, RecordFault> {
        let exact = self.pictures.iter().find(|(entry, _)| *entry == name);
        let found =
            exact.or_else(|| self.pictures.iter().find(|(entry, _)| last(entry) == last(name)));
        found.map(|(_, full)| full.clone()).ok_or_else(|| {
            let names: Vec<_> =
                self.pictures.iter().map(|(entry, _)| format!("`{entry}`")).collect();
            let there = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            RecordFault::BadPair(format!("the record names `{name}`, of its key there is {there}"))
        })
    }
}

fn last(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::Given;

    #[test]
    fn names_stand_for_the_pictures_of_their_key() {
        let pictures = |names: &[&'static str]| {
            let full = |name: &&'static str| (*name, name.to_uppercase());
            Given { id: "k", pictures: names.iter().map(full).collect() }
        };
        let two = pictures(&["d/k.0.jpg", "d/k.1.jpg"]);
        for (given, named, expected) in [
            (&two, &[][..], Some(&["D/K.0.JPG", "D/K.1.JPG"][..])),
            (&two, &["d/k.1.jpg", "k.0.jpg"], Some(&["D/K.1.JPG", "D/K.0.JPG"])),
            (&two, &["other/k.1.jpg"], Some(&["D/K.1.JPG"])),
            (&two, &["k.2.jpg"], None),
            (&pictures(&["k.jpg"]), &["coco/1.jpg"], Some(&["K.JPG"])),
            (&pictures(&["k.jpg"]), &["k.jpg", "k.jpg"], Some(&["K.JPG", "K.JPG"])),
            (&pictures(&[]), &["k.jpg"], None),
            (&pictures(&[]), &[], Some(&[])),
        ] {
            let named = named.iter().map(|&name| name.to_owned()).collect();
            let resolved = given.resolve(named).ok();
            assert_eq!(
                resolved.as_deref(),
                expected.map(|e| e.iter().map(ToString::to_string).collect::<Vec<_>>()).as_deref()
            );
        }
    }
}
