//! Import of real models.

use std::path::Path;
use std::time::Instant;

use ax650::models::dequantise::TensorReader;
use ax650::models::gguf::Header;
use ax650::models::import::{ImportOptions, Weights};
use safetensors::SafeTensors;

use crate::fixture::Workshop;
use crate::models::fetch;

/// Relative error (root of the mean square) that int8 per channel may add to a weight matrix.
const MAX_RELATIVE_ERROR: f64 = 0.025;

#[test]
fn smollm2() {
    import(&fetch("smollm2"));
}

#[test]
fn qwen2_5_coder() {
    import(&fetch("qwen2.5-coder-0.5b"));
}

#[test]
fn qwen3_tiny() {
    import(&fetch("qwen3-tiny"));
}

fn import(path: &Path) {
    let workshop = Workshop::new();
    let start = Instant::now();
    let options = ImportOptions { weights: Weights::W8A16, context: None };
    let model = workshop.store.import(&"real".parse().unwrap(), path, &options, &mut |_| {}).unwrap();
    let took = start.elapsed();
    let (worst, mean) = quantisation_error(path, &model.card_parts().unwrap().files.layers);
    println!(
        "{}: {} of {}, {:.1} MB in {:.1} s, relative int8 error mean {mean:.5} worst {worst:.5}",
        path.display(),
        model.manifest.parameter_size,
        model.manifest.family,
        model.size as f64 / 1e6,
        took.as_secs_f64()
    );
    assert!(worst < MAX_RELATIVE_ERROR, "{worst}");
    assert!(!model.text().unwrap().end_ids().is_empty());
}

/// Worst and mean relative error over the matrices of the first, a middle and the last layer.
fn quantisation_error(path: &Path, layers: &[std::path::PathBuf]) -> (f64, f64) {
    let bytes = std::fs::read(path).unwrap();
    let file = std::fs::File::open(path).unwrap();
    let header = Header::parse(&bytes, bytes.len() as u64).unwrap();
    let mut errors = Vec::new();
    for index in [0, layers.len() / 2, layers.len() - 1] {
        let layer = std::fs::read(&layers[index]).unwrap();
        let layer = SafeTensors::deserialize(&layer).unwrap();
        for (ours, theirs) in [
            ("q", "attn_q"),
            ("v", "attn_v"),
            ("o", "attn_output"),
            ("gate", "ffn_gate"),
            ("down", "ffn_down"),
        ] {
            let tensor = &header.tensors()[format!("blk.{index}.{theirs}.weight").as_str()];
            let wanted = TensorReader::new(&file, path, tensor).read_all().unwrap();
            let weight = layer.tensor(&format!("{ours}.weight")).unwrap();
            let scale = layer.tensor(&format!("{ours}.scale")).unwrap();
            let scales = scale.data().as_chunks::<4>().0;
            let (mut error, mut square) = (0.0, 0.0);
            for (i, (w, q)) in wanted.iter().zip(weight.data()).enumerate() {
                let scale = f32::from_le_bytes(scales[i / tensor.columns]);
                error += f64::from(w - f32::from(q.cast_signed()) * scale).powi(2);
                square += f64::from(*w).powi(2);
            }
            errors.push((error / square).sqrt());
        }
    }
    (errors.iter().copied().fold(0.0, f64::max), errors.iter().sum::<f64>() / errors.len() as f64)
}
