//! Panics of a decoder as errors, without a word on the standard error stream.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{self, AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::sync::Once;

use crate::{ImageFault, Result};

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
    static PLACE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Runs `decode`; a panic in it is a bug, here or in a crate below, but one picture must not end a
/// training run.
///
/// # Errors
/// That of `decode`, or `Panic` with the message and the place in the source.
pub(super) fn guarded<T>(decode: impl FnOnce() -> Result<T>) -> Result<T> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let others = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !noted(info) {
                others(info);
            }
        }));
    });
    GUARDED.set(true);
    let result = catch_unwind(AssertUnwindSafe(decode));
    GUARDED.set(false);
    result.unwrap_or_else(|panic| {
        let text = message(panic.as_ref());
        Err(ImageFault::Panic(format!("{text}{}", PLACE.take())).into())
    })
}

/// Keeps the place of a guarded panic for the error; false for all other panics.
fn noted(info: &PanicHookInfo<'_>) -> bool {
    if GUARDED.get() {
        PLACE.set(info.location().map(|place| format!(", at {place}")).unwrap_or_default());
    }
    GUARDED.get()
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message")
}

#[cfg(test)]
mod tests {
    use std::env;
    use std::process::Command;

    use super::guarded;

    const NAME: &str = "image::guard::tests::a_panic_is_an_error_and_nothing_is_printed";

    #[test]
    fn a_panic_is_an_error_and_nothing_is_printed() {
        if env::var_os("LLAVA_FAST_TEST_CHILD").is_some() {
            let error = guarded::<()>(|| panic!("shift of {}", 64)).expect_err("a panic");
            let text = error.to_string();
            assert!(text.starts_with("decoder panicked: shift of 64, at "), "{text}");
            assert!(text.contains("guard.rs:"), "{text}");
            assert!(guarded(|| Ok(1)).is_ok_and(|one| one == 1));
            return;
        }
        // The test harness replaces the panic hook, so its own process would show nothing.
        let child = Command::new(env::current_exe().expect("this test"))
            .args(["--exact", NAME, "--nocapture"])
            .env("LLAVA_FAST_TEST_CHILD", "1")
            .output()
            .expect("a child process");
        assert!(child.status.success());
        assert_eq!(String::from_utf8_lossy(&child.stderr), "");
    }
}
