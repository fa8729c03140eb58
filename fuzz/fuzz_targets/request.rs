//! Any bytes as the body of a request, to the families of routes: no panic, the same whatever stands behind the first
//! value, and no more memory than is set aside for it. What the values take at the least is a fraction of what is set
//! aside for them, so that part sees values that are not counted, and not that one is larger than was thought.
#![no_main]

use libfuzzer_sys::fuzz_target;
use readers::request::{least, read, weight};

fuzz_target!(|data: &[u8]| {
    let read_first = read(data);
    if read_first.iter().any(Option::is_some) {
        let mut longer = data.to_vec();
        longer.extend_from_slice(b" }]\"\xff{\"model\":\"other\"}");
        assert_eq!(read(&longer), read_first);
    }
    if let Some(weight) = weight(data) {
        assert!(least(data) <= weight + 256, "{} bytes, {weight} set aside", least(data));
    }
});
