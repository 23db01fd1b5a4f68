#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| llava_fast_fuzz::picture(
    data,
    &[(0, b"\x89PNG\r\n\x1a\n")]
));
