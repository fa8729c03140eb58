//! Any bytes as a GGUF file: no panic, no memory by declared length, and no tensor outside the file.
#![no_main]

use libfuzzer_sys::fuzz_target;
use readers::gguf::{Header, Value};

fuzz_target!(|data: &[u8]| {
    // The file is the input, or the input is its prefix.
    for file_bytes in [data.len() as u64, data.len() as u64 + (1 << 30)] {
        let Ok(header) = Header::parse(data, file_bytes) else { continue };
        for (name, tensor) in header.tensors() {
            assert_eq!(*name, tensor.name);
            assert!(tensor.offset.checked_add(tensor.bytes).is_some_and(|end| end <= file_bytes));
            assert_eq!(tensor.rows as u64 * tensor.row_bytes() as u64, tensor.bytes);
            assert!(tensor.columns > 0 && tensor.rows > 0);
        }
        for (key, value) in header.metadata() {
            assert!(!value.describe().is_empty());
            if let Value::Array(array) = value {
                assert_eq!(array.iter().count(), array.len());
            }
            header.optional_str(key).ok();
            header.optional_u64(key).ok();
            header.optional_strings(key).ok();
        }
    }
});
