//! Files that are not layer files, or not whole ones.

use std::fs;
use std::path::Path;

use crate::testing::{TinySpec, write_tiny_model};
use crate::{Engine, LoadError, Pool, RunError, Scratch};

fn load(bytes: &[u8]) -> Result<Engine, LoadError> {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), bytes).unwrap();
    Engine::load(file.path())
}

/// A good layer file.
fn good() -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let spec = TinySpec { layers: 1, hidden: 32, heads: 2, kv_heads: 1, head_dim: 16, ..TinySpec::default() };
    fs::read(&write_tiny_model(dir.path(), &spec).unwrap().layers[0]).unwrap()
}

/// The good file with a piece of its header replaced by one of the same length.
fn edited(from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut bytes = good();
    let at = bytes.windows(from.len()).position(|w| w == from.as_bytes()).unwrap();
    bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
    bytes
}

#[test]
fn other_files_are_told_apart() {
    let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 123\n";
    assert!(matches!(load(pointer), Err(LoadError::GitLfsPointer { .. })));
    let vendor = [b"\x08\x07\x12\x07Pulsar2\x1a\x033.4".as_slice(), &[0; 600]].concat();
    assert!(matches!(load(&vendor), Err(LoadError::VendorAxmodel { .. })));
    assert!(matches!(load(b""), Err(LoadError::NotSafetensors { .. })));
    assert!(matches!(load(b"GGUF\x03\0\0\0\0\0\0\0"), Err(LoadError::NotSafetensors { .. })));
    assert!(matches!(load(&[0xFF; 64]), Err(LoadError::NotSafetensors { .. })));
    let missing = Engine::load(Path::new("/nonexistent/layer.axmodel"));
    assert!(matches!(missing, Err(LoadError::Io { .. })));
    let foreign =
        safetensors::serialize(Vec::<(&str, safetensors::tensor::TensorView<'_>)>::new(), None).unwrap();
    assert!(matches!(load(&foreign), Err(LoadError::NotSafetensors { .. })));
}

#[test]
fn a_file_cut_anywhere_is_an_error() {
    let bytes = good();
    for len in (0..bytes.len()).step_by(97).chain([bytes.len() - 1]) {
        let error = load(&bytes[..len]).unwrap_err();
        assert!(
            matches!(error, LoadError::Truncated { .. } | LoadError::NotSafetensors { .. }),
            "{len}: {error}"
        );
    }
    let longer = [bytes.as_slice(), &[0]].concat();
    assert!(matches!(load(&longer), Err(LoadError::Truncated { .. })));
}

#[test]
fn hostile_metadata_is_named() {
    let key_of = |bytes: &[u8]| match load(bytes) {
        Err(LoadError::Metadata { key, .. }) => key,
        other => unreachable!("{other:?}"),
    };
    assert_eq!(key_of(&edited(r#""ax650.heads":"2""#, r#""ax650.heads":"0""#)), "ax650.heads");
    assert_eq!(key_of(&edited(r#""ax650.heads":"2""#, r#""ax650.heads":"x""#)), "ax650.heads");
    assert_eq!(key_of(&edited(r#""ax650.head_dim":"16""#, r#""ax650.head_dim":"17""#)), "ax650.head_dim");
    assert_eq!(key_of(&edited(r#""ax650.kind":"layer""#, r#""ax650.kind":"layxr""#)), "ax650.kind");
    assert_eq!(key_of(&edited("interleaved", "interlaaved")), "ax650.rope_pairs");
    assert_eq!(key_of(&edited(r#""1,128,256,300""#, r#""1,128,256,900""#)), "ax650.history");
    assert_eq!(key_of(&edited(r#""1,128,256,300""#, r#""1,128,228,,00""#)), "ax650.history");
    assert_eq!(key_of(&edited(r#""ax650.rms_eps""#, r#""ax650.rms_epx""#)), "ax650.rms_eps");
    assert_eq!(key_of(&edited(r#""ax650.format":"1""#, r#""ax650.format":"2""#)), "ax650.format");
}

#[test]
fn tensors_that_do_not_fit_are_named() {
    let tensor_of = |bytes: &[u8]| match load(bytes) {
        Err(LoadError::Shape { tensor, .. }) => tensor,
        other => unreachable!("{other:?}"),
    };
    assert_eq!(tensor_of(&edited(r#""o.weight""#, r#""x.weight""#)), "o.weight");
    assert_eq!(tensor_of(&edited(r#""q.scale""#, r#""q.scalx""#)), "q.scale");
    assert_eq!(tensor_of(&edited(r#""ax650.hidden":"32""#, r#""ax650.hidden":"33""#)), "q.weight");
}

#[test]
fn any_damage_of_the_header_is_survived() {
    let bytes = good();
    let header = 8 + usize::try_from(u64::from_le_bytes(bytes[..8].try_into().unwrap())).unwrap();
    for at in (0..header).step_by(7) {
        for value in [0, b'"', b'9', b'}', 0xFF] {
            let mut damaged = bytes.clone();
            damaged[at] = value;
            // Whether it is still readable depends on the place; it must not panic.
            drop(load(&damaged));
        }
    }
}

#[test]
fn wrong_buffers_are_refused() {
    let engine = load(&good()).unwrap();
    let pool = Pool::new(1);
    let run = |group, inputs: &[&[u8]], outputs: &mut [&mut [u8]]| {
        engine.run(&pool, group, inputs, outputs, &mut Scratch::default())
    };
    let sizes = |tensors: &[crate::TensorInfo]| -> Vec<Vec<u64>> {
        tensors.iter().map(|tensor| vec![0; tensor.bytes(0).div_ceil(8) + 1]).collect()
    };
    let inputs = sizes(engine.inputs());
    let inputs: Vec<&[u8]> = inputs
        .iter()
        .zip(engine.inputs())
        .map(|(buffer, tensor)| &bytemuck::cast_slice(buffer)[..tensor.bytes(0)])
        .collect();
    let mut outputs = sizes(engine.outputs());
    let mut outputs: Vec<&mut [u8]> = outputs
        .iter_mut()
        .zip(engine.outputs())
        .map(|(buffer, tensor)| &mut bytemuck::cast_slice_mut(buffer)[..tensor.bytes(0)])
        .collect();
    assert_eq!(run(0, &inputs, &mut outputs), Ok(()));
    assert_eq!(run(99, &inputs, &mut outputs), Err(RunError::NoSuchGroup { group: 99, groups: 5 }));
    assert!(matches!(run(0, &inputs[..4], &mut outputs), Err(RunError::Count { side: "inputs", .. })));
    let mut short = inputs.clone();
    short[3] = &short[3][1..];
    assert!(matches!(run(0, &short, &mut outputs), Err(RunError::Size { tensor: "input", .. })));
    let shifted = vec![0_u64; 64];
    short[3] = &bytemuck::cast_slice(&shifted)[1..=engine.inputs()[3].bytes(0)];
    assert_eq!(run(0, &short, &mut outputs), Err(RunError::Alignment { tensor: "input" }));
}
