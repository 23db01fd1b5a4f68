use std::fs;
use std::path::PathBuf;

use super::*;

/// A folder that goes with the test.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let name = format!("llava_fast_index_{}_{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).expect("a temporary folder");
        Self(path)
    }

    fn side(&self) -> Side {
        Place::folder(self.0.clone()).side(&self.0.join("data.json"))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn content(side: &Side, kind: &str, key: &[u8]) -> Option<Vec<u8>> {
    let found = side.find(kind, key)?;
    let mut bytes = vec![0; found.length as usize];
    found.read(&mut bytes, 0).ok()?;
    Some(bytes)
}

fn publish(side: &Side, key: &[u8], body: &[u8]) {
    let lock = side.lock("kind").expect("a folder that can be written");
    lock.publish("kind", key, |out| out.write_all(body)).expect("room");
}

#[test]
fn a_side_file_is_found_by_kind_and_key() {
    let scratch = Scratch::new("found");
    let side = scratch.side();
    assert!(content(&side, "kind", b"key").is_none());
    publish(&side, b"key", b"content");
    assert_eq!(content(&side, "kind", b"key").as_deref(), Some(&b"content"[..]));
    assert!(content(&side, "kind", b"kez").is_none());
    assert!(content(&side, "other", b"key").is_none());
    publish(&side, b"kez", b"");
    assert!(content(&side, "kind", b"key").is_none());
    assert_eq!(content(&side, "kind", b"kez").as_deref(), Some(&b""[..]));
}

#[test]
fn one_changed_byte_or_another_length_makes_it_none() {
    let scratch = Scratch::new("damaged");
    let side = scratch.side();
    publish(&side, b"key", b"content");
    let path = side.path(&side.folders[0], "kind");
    let whole = fs::read(&path).expect("published");
    for place in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[place] ^= 1;
        fs::write(&path, &damaged).expect("written");
        assert!(content(&side, "kind", b"key").is_none(), "byte {place}");
    }
    for length in 0..whole.len() {
        fs::write(&path, &whole[..length]).expect("written");
        assert!(content(&side, "kind", b"key").is_none(), "{length} bytes");
    }
    fs::write(&path, [&whole[..], b"!"].concat()).expect("written");
    assert!(content(&side, "kind", b"key").is_none());
}

#[test]
fn a_failed_body_leaves_what_was_there() {
    let scratch = Scratch::new("failed");
    let side = scratch.side();
    publish(&side, b"key", b"content");
    let lock = side.lock("kind").expect("a folder that can be written");
    let failed = lock.publish("kind", b"key", |out| {
        out.write_all(b"half")?;
        Err(std::io::Error::other("no more"))
    });
    assert!(failed.is_err());
    drop(lock);
    assert_eq!(content(&side, "kind", b"key").as_deref(), Some(&b"content"[..]));
    let mut names: Vec<_> = fs::read_dir(&side.folders[0])
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("text"))
        .collect();
    names.sort();
    assert_eq!(names, [".gitignore", "data.json.kind", "data.json.kind.lock"]);
}

#[test]
fn a_lock_is_waited_for() {
    let scratch = Scratch::new("lock");
    let side = scratch.side();
    let held = side.lock("kind").expect("a folder that can be written");
    std::thread::scope(|scope| {
        let other = scope.spawn(|| {
            let _lock = side.lock("kind");
            content(&side, "kind", b"key")
        });
        std::thread::sleep(std::time::Duration::from_millis(50));
        assert!(!other.is_finished());
        held.publish("kind", b"key", |out| out.write_all(b"content")).expect("room");
        drop(held);
        assert_eq!(other.join().expect("no panic").as_deref(), Some(&b"content"[..]));
    });
}

#[test]
fn an_identity_changes_with_time_size_and_sampled_bytes() {
    let scratch = Scratch::new("identity");
    let path = scratch.0.join("data.json");
    let mut bytes = vec![b' '; 1 << 20];
    fs::write(&path, &bytes).expect("written");
    let open = || fs::File::options().write(true).read(true).open(&path).expect("there");
    let before = open();
    let time = before.metadata().expect("there").modified().expect("a time");
    let identity = Identity::of(&before).expect("regular");
    assert_eq!(Identity::of(&open()).expect("regular"), identity);
    for place in [0, bytes.len() / 2, bytes.len() - 1] {
        bytes[place] = b'!';
        fs::write(&path, &bytes).expect("written");
        open().set_modified(time).expect("settable");
        let changed = Identity::of(&open()).expect("regular");
        // The middle may lie between two blocks.
        assert!(changed != identity || place == bytes.len() / 2, "byte {place}");
        bytes[place] = b' ';
    }
    fs::write(&path, &bytes).expect("written");
    open().set_modified(time).expect("settable");
    assert_eq!(Identity::of(&open()).expect("regular"), identity);
    open().set_modified(time - std::time::Duration::from_nanos(1)).expect("settable");
    assert_ne!(Identity::of(&open()).expect("regular"), identity);
}
