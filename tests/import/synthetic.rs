//! Models with shapes and no weights.

use std::fs;
use std::os::unix::fs::MetadataExt;

use ax650::models::import::SyntheticShape;
use ax650::models::layer_file::{FileHead, read_head};
use ax650::models::store::Store;

use crate::fixture::{Workshop, files};

#[test]
fn shapes_are_real_and_take_no_room() {
    let workshop = Workshop::new();
    for (shape, layers, hidden, context, last) in [
        (SyntheticShape::Qwen3_4b, 36, 2560, 2559, "2048"),
        (SyntheticShape::Qwen3_1_7b, 28, 2048, 2559, "2048"),
        (SyntheticShape::Qwen3_0_6b, 28, 1024, 2559, "2048"),
        (SyntheticShape::Qwen3Vl4bInt4, 36, 2560, 2047, "1152"),
    ] {
        let name = shape.name().parse().unwrap();
        let model = workshop.store.synthesise(&name, shape).unwrap();
        assert!(model.is_synthetic());
        assert_eq!(
            (model.card_parts().unwrap().files.layers.len(), model.hidden(), model.context_len()),
            (layers, hidden, context)
        );
        assert_eq!(model.embedding().unwrap().vocab(), 151_936);
        let Ok(FileHead::Software(head)) = read_head(&model.card_parts().unwrap().files.layers[1]) else {
            panic!("{shape}")
        };
        assert!(head.is_synthetic() && head.shapes.is_empty());
        assert!(head.metadata["ax650.history"].ends_with(last), "{shape}");
        assert!(head.number("ax650.weight_bytes").unwrap() > 10_000_000);
        let blocks: u64 = files(&model.dir).iter().map(|file| fs::metadata(file).unwrap().blocks()).sum();
        assert!(blocks * 512 < 1 << 20, "{shape} takes {} bytes", blocks * 512);
        // Opened anew it is the same, and it says once what it is.
        let again = Store::open(workshop.root()).resolve(&name).unwrap();
        assert_eq!(again.digest, model.digest);
        assert!(again.take_warning().is_some() && again.take_warning().is_none());
    }
}

#[test]
fn a_layer_that_promises_weights_it_does_not_have_is_refused() {
    let workshop = Workshop::new();
    let model = workshop.store.synthesise(&"tiny".parse().unwrap(), SyntheticShape::Qwen3_0_6b).unwrap();
    let path = &model.card_parts().unwrap().files.layers[0];
    let text = fs::read(path).unwrap();
    let swap = |from: &str, to: &str| {
        let at = text.windows(from.len()).position(|window| window == from.as_bytes()).unwrap();
        let edited = [&text[..at], to.as_bytes(), &text[at + from.len()..]].concat();
        fs::write(path, edited).unwrap();
        Store::open(workshop.root()).resolve(&model.name).unwrap_err().to_string()
    };
    let error = swap("\"ax650.weights\":\"synthetic\"", "\"ax650.weights\":\"w8a16    \"");
    assert!(error.contains("_l0_") && error.contains("attn_norm"), "{error}");
    let error = swap("ax650.weight_bytes", "ax650.weight_bytez");
    assert!(error.contains("ax650.weight_bytes"), "{error}");
}
