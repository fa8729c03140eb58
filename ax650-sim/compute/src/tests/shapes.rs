//! Layers and heads that are not computed.

use crate::testing::{CHUNK, TinyModel, TinySpec, TinyWeights, write_tiny_model};
use crate::{Engine, Pool, SYNTHETIC_TOKEN, Scratch};

const SYNTHETIC: TinyWeights = TinyWeights::Synthetic { layer_bytes: 101_000_000, head_bytes: 389_000_000 };

fn files(spec: &TinySpec) -> (TinyModel, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    (write_tiny_model(dir.path(), spec).unwrap(), dir)
}

/// Runs a group on inputs of nothing but NaN; returns the outputs.
fn run(engine: &Engine, group: usize) -> Vec<Vec<u8>> {
    let inputs: Vec<_> = engine.inputs().iter().map(|tensor| vec![0xFF; tensor.bytes(group)]).collect();
    let mut outputs: Vec<_> = engine.outputs().iter().map(|tensor| vec![0xFF; tensor.bytes(group)]).collect();
    let read: Vec<&[u8]> = inputs.iter().map(Vec::as_slice).collect();
    let mut write: Vec<&mut [u8]> = outputs.iter_mut().map(Vec::as_mut_slice).collect();
    engine.run(&Pool::new(1), group, &read, &mut write, &mut Scratch::default()).unwrap();
    outputs
}

#[test]
fn a_synthetic_file_has_the_tensors_of_a_real_one() {
    let (real, _real) = files(&TinySpec::default());
    let (synthetic, _synthetic) = files(&TinySpec { weights: SYNTHETIC, ..TinySpec::default() });
    for (real, synthetic) in [(&real.layers[1], &synthetic.layers[1]), (&real.head, &synthetic.head)] {
        let (real, synthetic) = (Engine::load(real).unwrap(), Engine::load(synthetic).unwrap());
        assert!(matches!(synthetic, Engine::Shape(_)));
        assert_eq!((real.inputs(), real.outputs()), (synthetic.inputs(), synthetic.outputs()));
        assert_eq!(real.is_head(), synthetic.is_head());
        for group in 0..real.groups() {
            assert_eq!(real.operations(group), synthetic.operations(group));
        }
    }
    assert_eq!(Engine::load(&synthetic.layers[0]).unwrap().weight_bytes(), 101_000_000);
    assert_eq!(Engine::load(&synthetic.head).unwrap().weight_bytes(), 389_000_000);
}

#[test]
fn results_are_zero_but_for_one_token() {
    let (model, _dir) = files(&TinySpec { weights: SYNTHETIC, ..TinySpec::default() });
    let layer = Engine::load(&model.layers[0]).unwrap();
    for group in 0..layer.groups() {
        assert!(run(&layer, group).iter().flatten().all(|&byte| byte == 0), "group {group}");
    }
    let logits = &run(&Engine::load(&model.head).unwrap(), 0)[0];
    let values: Vec<u16> = logits.as_chunks().0.iter().map(|bytes| u16::from_le_bytes(*bytes)).collect();
    assert_eq!(values.iter().filter(|&&value| value != 0).count(), 1);
    assert_eq!(values[SYNTHETIC_TOKEN], 0x42C8);
}

#[test]
fn a_real_file_can_be_loaded_for_its_shape() {
    let (model, _dir) = files(&TinySpec::default());
    let shape = Engine::load_shape(&model.layers[0]).unwrap();
    assert!(matches!(shape, Engine::Shape(_)));
    let packed = Engine::load(&model.layers[0]).unwrap().weight_bytes();
    let [shape, packed] = [shape.weight_bytes(), packed].map(|bytes| bytes as f64);
    assert!((shape / packed - 1.0).abs() < 0.2, "{shape} bytes in the file, {packed} packed");
}

#[test]
fn decode_groups_of_several_lengths_see_the_same() {
    let spec = TinySpec { smaller_decode: vec![64, 128], ..TinySpec::default() };
    let (model, _dir) = files(&spec);
    let layer = Engine::load(&model.layers[0]).unwrap();
    assert_eq!(layer.groups(), 3 + spec.history().len());
    let lengths: Vec<i32> = layer.inputs()[0].dims.iter().map(|dims| dims[1]).collect();
    assert_eq!(lengths[..3], [64, 128, 300]);
    let rows: Vec<i32> = layer.inputs()[2].dims.iter().map(|dims| dims[0]).collect();
    let chunk = i32::try_from(CHUNK).unwrap();
    assert_eq!(rows[..4], [1, 1, 1, chunk]);
    assert_eq!((layer.operations(2), layer.operations(3) > 0), (0, true));

    // The first 50 rows of the cache are visible, and the token itself.
    let kv_bytes = spec.kv_dim() * 2;
    let cache: Vec<u8> = (0..64 * kv_bytes / 2).flat_map(|at| [at.to_le_bytes()[0], 0x3D]).collect();
    let outputs: Vec<_> = (0..3)
        .map(|group| {
            let sizes: Vec<usize> = layer.inputs().iter().map(|tensor| tensor.bytes(group)).collect();
            let mut inputs: Vec<Vec<u8>> = sizes.iter().map(|&size| vec![0; size]).collect();
            inputs[0][..cache.len()].copy_from_slice(&cache);
            inputs[1][..cache.len()].copy_from_slice(&cache);
            inputs[2] = 50_u32.to_le_bytes().to_vec();
            inputs[3] = [0x80, 0x3F].repeat(spec.hidden);
            let columns = sizes[4] / 2;
            inputs[4] = (0..columns)
                .flat_map(|at| if at < 50 || at == columns - 1 { [0, 0] } else { [0x80, 0xC7] })
                .collect();
            let mut outputs: Vec<_> =
                layer.outputs().iter().map(|tensor| vec![0xFF; tensor.bytes(group)]).collect();
            let read: Vec<&[u8]> = inputs.iter().map(Vec::as_slice).collect();
            let mut write: Vec<&mut [u8]> = outputs.iter_mut().map(Vec::as_mut_slice).collect();
            layer.run(&Pool::new(1), group, &read, &mut write, &mut Scratch::default()).unwrap();
            outputs
        })
        .collect();
    assert!(outputs[0][2].iter().any(|&byte| byte != 0));
    assert_eq!(outputs[0], outputs[2]);
    assert_eq!(outputs[1], outputs[2]);
}
