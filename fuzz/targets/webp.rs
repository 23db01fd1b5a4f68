#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| llava_fast_fuzz::picture(
    data,
    &[(0, b"RIFF"), (8, b"WEBP")]
));
