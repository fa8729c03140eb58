//! Any bytes as the JSON header of a layer file, with any length of data after it: no panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use readers::layer_file::parse_head;

fuzz_target!(|input: (u32, &[u8])| {
    let (data_bytes, header) = input;
    if let Ok(head) = parse_head(header, data_bytes.into()) {
        head.number("ax650.hidden").ok();
        head.expect_shape("q.weight", &[1, 1]).ok();
    }
});
