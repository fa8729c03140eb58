//! Models, their descriptions, and their runs.

use std::ffi::{CStr, CString, c_void};
use std::path::Path;
use std::ptr;

use ax650_sys::vendor::axclrtEngineIODims;

use super::{Client, hex};
use crate::last_error;
use crate::testing::{CHUNK, TinyModel, TinySpec, write_tiny_model};
use crate::violations::Rule;

pub(super) const DECODE: u32 = 0;

/// A loaded layer of a tiny model with every tensor of one group bound to its own buffer.
pub(super) struct Bound {
    pub(super) model: u64,
    pub(super) context: u64,
    pub(super) info: *mut c_void,
    pub(super) io: *mut c_void,
    pub(super) inputs: Vec<(*mut c_void, u64)>,
    pub(super) outputs: Vec<(*mut c_void, u64)>,
}

pub(super) const K_CACHE: usize = 0;
pub(super) const INDICES: usize = 2;
pub(super) const INPUT: usize = 3;
pub(super) const MASK: usize = 4;
pub(super) const K_OUT: usize = 0;
pub(super) const V_OUT: usize = 1;
pub(super) const OUTPUT: usize = 2;

impl Client {
    pub(super) fn load(&self, path: &Path) -> Result<u64, i32> {
        let path = CString::new(path.to_str().expect("a UTF-8 path")).expect("no zero byte");
        let mut model = 0;
        match axcl!(self.table, axclrtEngineLoadFromFile(path.as_ptr(), &raw mut model)) {
            0 => Ok(model),
            code => Err(code),
        }
    }

    pub(super) fn with_model(spec: &TinySpec) -> (Self, TinyModel, tempfile::TempDir) {
        let dir = tempfile::tempdir().expect("a directory");
        let files = write_tiny_model(dir.path(), spec).expect("a tiny model");
        let client = Self::new();
        assert_eq!(axcl!(client.table, axclrtEngineInit(0)), 0);
        (client, files, dir)
    }

    pub(super) fn bind(&self, path: &Path, group: u32) -> Bound {
        let model = self.load(path).expect("a model");
        let (mut context, mut info, mut io) = (0, ptr::null_mut(), ptr::null_mut());
        assert_eq!(axcl!(self.table, axclrtEngineCreateContext(model, &raw mut context)), 0);
        assert_eq!(axcl!(self.table, axclrtEngineGetIOInfo(model, &raw mut info)), 0);
        assert_eq!(axcl!(self.table, axclrtEngineCreateIO(info, &raw mut io)), 0);
        let (mut inputs, mut outputs) = (Vec::new(), Vec::new());
        for index in 0..axcl!(self.table, axclrtEngineGetNumInputs(info)) {
            let size = axcl!(self.table, axclrtEngineGetInputSizeByIndex(info, group, index));
            let buffer = self.malloc(usize::try_from(size).expect("a size"));
            axcl!(self.table, axclrtMemset(buffer, 0, usize::try_from(size).expect("a size")));
            assert_eq!(axcl!(self.table, axclrtEngineSetInputBufferByIndex(io, index, buffer, size)), 0);
            inputs.push((buffer, size));
        }
        for index in 0..axcl!(self.table, axclrtEngineGetNumOutputs(info)) {
            let size = axcl!(self.table, axclrtEngineGetOutputSizeByIndex(info, group, index));
            let buffer = self.malloc(usize::try_from(size).expect("a size"));
            assert_eq!(axcl!(self.table, axclrtEngineSetOutputBufferByIndex(io, index, buffer, size)), 0);
            outputs.push((buffer, size));
        }
        Bound { model, context, info, io, inputs, outputs }
    }

    pub(super) fn execute(&self, bound: &Bound, group: u32) -> i32 {
        axcl!(self.table, axclrtEngineExecute(bound.model, bound.context, group, bound.io))
    }

    pub(super) fn rebind_input(&self, bound: &Bound, tensor: usize, buffer: *mut c_void, size: u64) {
        let tensor = u32::try_from(tensor).expect("an index");
        assert_eq!(axcl!(self.table, axclrtEngineSetInputBufferByIndex(bound.io, tensor, buffer, size)), 0);
    }

    pub(super) fn rebind_output(&self, bound: &Bound, tensor: usize, buffer: *mut c_void, size: u64) {
        let tensor = u32::try_from(tensor).expect("an index");
        assert_eq!(axcl!(self.table, axclrtEngineSetOutputBufferByIndex(bound.io, tensor, buffer, size)), 0);
    }
}

#[test]
fn files_that_are_no_layers_are_explained() {
    let client = Client::new();
    assert_eq!(axcl!(client.table, axclrtEngineInit(0)), 0);
    let dir = tempfile::tempdir().expect("a directory");
    let write = |name: &str, bytes: &[u8]| {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).expect("a file");
        path
    };
    let cases = [
        (write("lfs.axmodel", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n"), 0x8030_0709),
        (write("vendor.axmodel", b"\x08\x07\x12\x07Pulsar2 and more bytes of a compiled model"), 0x8030_0709),
        (write("empty.axmodel", b""), 0x8030_0709),
        (dir.path().join("absent.axmodel"), 0x8030_0703),
        (dir.path().to_owned(), 0x8030_0703),
    ];
    for (path, code) in cases {
        assert_eq!(client.load(&path).map_err(hex), Err(code), "{}", path.display());
        let error = last_error().expect("a reason");
        assert_eq!((error.call, hex(error.code)), ("axclrtEngineLoadFromFile", code));
        assert!(error.reason.contains(path.to_str().expect("UTF-8")), "{error}");
    }
    assert!(client.broken().is_empty());
}

#[test]
fn io_info_tells_names_types_and_shapes() {
    let spec = TinySpec::default();
    let (client, files, _dir) = Client::with_model(&spec);
    let layer = client.bind(&files.layers[0], DECODE);
    let mut groups = 0;
    assert_eq!(axcl!(client.table, axclrtEngineGetShapeGroupsCount(layer.info, &raw mut groups)), 0);
    assert_eq!(groups, 1 + i32::try_from(spec.history().len()).expect("a count"));

    let names: Vec<&CStr> = (0..5)
        .map(|index| axcl!(client.table, axclrtEngineGetInputNameByIndex(layer.info, index)))
        // SAFETY: the names live as long as the IO info, which the test does not destroy.
        .map(|name| unsafe { CStr::from_ptr(name) })
        .collect();
    assert_eq!(names, [c"K_cache", c"V_cache", c"indices", c"input", c"mask"]);
    assert!(axcl!(client.table, axclrtEngineGetInputNameByIndex(layer.info, 5)).is_null());
    assert_eq!(axcl!(client.table, axclrtEngineGetOutputIndexByName(layer.info, c"output".as_ptr())), 2);
    assert_eq!(axcl!(client.table, axclrtEngineGetOutputIndexByName(layer.info, c"logits".as_ptr())), -1);

    let mut dims = axclrtEngineIODims { dimCount: 0, dims: [0; 32] };
    assert_eq!(axcl!(client.table, axclrtEngineGetInputDims(layer.info, 0, 4, &raw mut dims)), 0);
    assert_eq!(dims.dims[..3], [1, 1, 301]);
    assert_eq!(axcl!(client.table, axclrtEngineGetInputDims(layer.info, 2, 4, &raw mut dims)), 0);
    assert_eq!(dims.dims[..3], [1, 128, 256]);
    let mut types = [0; 5];
    for (index, place) in (0..).zip(&mut types) {
        assert_eq!(axcl!(client.table, axclrtEngineGetInputDataType(layer.info, index, place)), 0);
    }
    assert_eq!(types, [14, 14, 8, 14, 14]);
    assert_eq!(
        hex(axcl!(client.table, axclrtEngineGetInputDims(layer.info, 9, 4, &raw mut dims))),
        0x8030_0781
    );
    assert!(client.broken().is_empty());
}

#[test]
fn a_decode_step_reads_bindings_of_the_moment_and_may_write_into_its_cache() {
    let spec = TinySpec::default();
    let (client, files, _dir) = Client::with_model(&spec);
    let layer = client.bind(&files.layers[0], DECODE);
    // One in bf16, everywhere in the hidden state.
    assert_eq!(client.write(layer.inputs[INPUT].0, &[0x80, 0x3F].repeat(spec.hidden)), 0);
    // Everything hidden but the last column, which is the token itself.
    let mut mask = [0x80, 0xC7].repeat(spec.kv_len + 1);
    mask[2 * spec.kv_len..].fill(0);
    assert_eq!(client.write(layer.inputs[MASK].0, &mask), 0);
    assert_eq!(client.execute(&layer, DECODE), 0);
    let row = spec.kv_dim() * 2;
    let plain = client.read(layer.outputs[K_OUT].0, row);
    assert_ne!(plain, vec![0xFF; row], "the row was written");

    let slot = layer.inputs[K_CACHE].0.wrapping_byte_add(5 * row);
    client.rebind_output(&layer, K_OUT, slot, row as u64);
    assert_eq!(client.execute(&layer, DECODE), 0);
    assert_eq!(client.read(slot, row), plain);
    assert!(client.broken().is_empty());
}

#[test]
fn runs_with_wrong_bindings_are_refused() {
    let (client, files, _dir) = Client::with_model(&TinySpec::default());
    let layer = client.bind(&files.layers[0], DECODE);
    let (input, size) = layer.inputs[INPUT];

    let mut unbound = ptr::null_mut();
    assert_eq!(axcl!(client.table, axclrtEngineCreateIO(layer.info, &raw mut unbound)), 0);
    let execute = |io| axcl!(client.table, axclrtEngineExecute(layer.model, layer.context, DECODE, io));
    assert_eq!(hex(execute(unbound)), 0x8030_0702);
    client.rebind_input(&layer, INPUT, input, size - 1);
    assert_eq!(hex(client.execute(&layer, DECODE)), 0x8030_0703);
    client.rebind_input(&layer, INPUT, input.wrapping_byte_add(1), size);
    assert_eq!(hex(client.execute(&layer, DECODE)), 0x8030_0703);
    client.rebind_input(&layer, INPUT, input.wrapping_byte_add(2), size);
    assert_eq!(hex(client.execute(&layer, DECODE)), 0x8030_070C);
    client.rebind_input(&layer, INPUT, layer.outputs[OUTPUT].0, size);
    assert_eq!(hex(client.execute(&layer, DECODE)), 0x8030_0703);
    let expected = [Rule::UnboundTensor, Rule::BufferSize, Rule::Misaligned, Rule::OutOfRange, Rule::Overlap];
    assert_eq!(client.broken(), expected);

    client.rebind_input(&layer, INPUT, input, size);
    assert_eq!(axcl!(client.table, axclrtFree(layer.inputs[MASK].0)), 0);
    assert_ne!(client.execute(&layer, DECODE), 0);
    assert_eq!(client.broken(), [Rule::UseAfterFree]);
    assert_eq!(hex(client.execute(&layer, 40)), 0x8030_0781);
    assert!(client.broken().is_empty());
}

#[test]
fn bindings_that_broke_on_cards_are_written_down() {
    let (client, files, _dir) = Client::with_model(&TinySpec::default());
    let layer = client.bind(&files.layers[0], DECODE);
    let table = client.malloc(4096);
    assert_eq!(axcl!(client.table, axclrtMemset(table, 0, 4096)), 0);
    client.rebind_input(&layer, INDICES, table.wrapping_byte_add(128), 4);
    assert_eq!(client.execute(&layer, DECODE), 0);
    assert_eq!(client.broken(), [Rule::InteriorBinding]);

    client.rebind_input(&layer, INDICES, layer.inputs[INDICES].0, 4);
    // The buffers of decode are too small for a chunk, and the IO is the wrong one to begin with.
    assert_ne!(client.execute(&layer, 1), 0);
    assert_eq!(client.broken(), [Rule::SharedIo, Rule::BufferSize]);
}

#[test]
fn a_chunk_may_write_its_rows_into_the_cache_it_reads_and_nowhere_else() {
    let spec = TinySpec::default();
    let (client, files, _dir) = Client::with_model(&spec);
    let layer = client.bind(&files.layers[0], 2);
    assert_eq!(client.execute(&layer, 2), 0);
    let row = spec.kv_dim() * 2;
    let rows = (CHUNK * row) as u64;
    let cache = client.malloc(spec.kv_len * row);
    assert_eq!(axcl!(client.table, axclrtMemset(cache, 0, spec.kv_len * row)), 0);
    client.rebind_input(&layer, K_CACHE, cache, (spec.kv_len * row) as u64);
    client.rebind_output(&layer, K_OUT, cache.wrapping_byte_add(row), rows);
    assert_eq!(client.execute(&layer, 2), 0);
    assert!(client.broken().is_empty());
    client.rebind_output(&layer, V_OUT, cache.wrapping_byte_add(row), rows);
    assert_eq!(hex(client.execute(&layer, 2)), 0x8030_0703);
    assert_eq!(client.broken(), [Rule::Overlap]);
}

#[test]
fn queued_runs_give_what_plain_runs_give() {
    let spec = TinySpec::default();
    let (client, files, _dir) = Client::with_model(&spec);
    let layers = [client.bind(&files.layers[0], DECODE), client.bind(&files.layers[1], DECODE)];
    assert_eq!(client.write(layers[0].inputs[INPUT].0, &[0x80, 0x3F].repeat(spec.hidden)), 0);
    let (hidden, size) = layers[0].outputs[OUTPUT];
    client.rebind_input(&layers[1], INPUT, hidden, size);
    for layer in &layers {
        assert_eq!(client.execute(layer, DECODE), 0);
    }
    let (result, len) = (layers[1].outputs[OUTPUT].0, spec.hidden * 2);
    let plain = client.read(result, len);

    assert_eq!(axcl!(client.table, axclrtMemset(result, 0xFF, len)), 0);
    let mut stream = ptr::null_mut();
    assert_eq!(axcl!(client.table, axclrtCreateStream(&raw mut stream)), 0);
    for layer in &layers {
        let Bound { model, context, io, .. } = *layer;
        assert_eq!(axcl!(client.table, axclrtEngineExecuteAsync(model, context, DECODE, io, stream)), 0);
    }
    assert_eq!(client.read(result, 2), [0xFF; 2]);
    client.rebind_input(&layers[1], INPUT, hidden, size);
    assert_eq!(client.broken(), [Rule::ReadBeforeWait, Rule::BoundWhileQueued]);
    assert_eq!(axcl!(client.table, axclrtSynchronizeStream(stream)), 0);
    assert_eq!(client.read(result, len), plain);
    client.rebind_input(&layers[1], INPUT, hidden, size);
    assert!(client.broken().is_empty());
}

#[test]
fn models_take_memory_and_give_it_back() {
    let (client, files, _dir) = Client::with_model(&TinySpec::default());
    let before = client.card.memory_in_use();
    let model = client.load(&files.head).expect("a model");
    let (mut system, mut cmm) = (-1, -1);
    let code = axcl!(client.table, axclrtEngineGetUsageFromModelId(model, &raw mut system, &raw mut cmm));
    assert_eq!((code, system, client.card.models()), (0, 0, 1));
    assert_eq!(axcl!(client.table, axclrtEngineUnload(model)), 0);
    assert_eq!((client.card.memory_in_use(), client.card.models()), (before, 0));
    assert_eq!(hex(axcl!(client.table, axclrtEngineUnload(model))), 0x8030_0703);
    assert_eq!(client.broken(), [Rule::UnknownHandle]);

    client.card.set_memory_bytes(1000);
    assert_eq!(client.load(&files.head).map_err(hex), Err(0x8030_050C));
    assert!(client.broken().is_empty());
}

#[test]
fn a_file_and_its_model_are_on_the_card_together_while_it_is_loaded() {
    let (client, files, _dir) = Client::with_model(&TinySpec::default());
    let before = client.card.memory_in_use();
    client.load(&files.head).expect("a model");
    let model = client.card.memory_in_use() - before;
    let file = std::fs::metadata(&files.head).expect("a file").len().next_multiple_of(128);

    let used = client.card.memory_in_use();
    client.card.set_memory_bytes(used + file);
    assert_eq!(client.load(&files.head).map_err(hex), Err(0x8030_070C));
    client.card.set_memory_bytes(used + file + model - 1);
    assert_eq!(client.load(&files.head).map_err(hex), Err(0x8030_070C));
    assert_eq!((client.card.memory_in_use(), client.card.models()), (used, 1));
    client.card.set_memory_bytes(used + file + model);
    client.load(&files.head).expect("a second model");
    assert_eq!(client.card.memory_in_use(), used + model);
    assert!(client.broken().is_empty());
}

#[test]
fn the_engine_must_be_up() {
    let client = Client::new();
    let mut kind = 9;
    assert_ne!(axcl!(client.table, axclrtEngineGetVNpuKind(&raw mut kind)), 0);
    assert!(client.broken().is_empty());
    assert_ne!(client.load(Path::new("/absent")), Ok(0));
    assert_eq!(client.broken(), [Rule::EngineNotReady]);
    assert_eq!(axcl!(client.table, axclrtEngineInit(1)), 0);
    assert_eq!(axcl!(client.table, axclrtEngineInit(1)), 0);
    assert_ne!(axcl!(client.table, axclrtEngineInit(0)), 0);
    assert_eq!(axcl!(client.table, axclrtEngineGetVNpuKind(&raw mut kind)), 0);
    assert_eq!(kind, 1);
}

#[test]
fn models_of_three_cores_need_the_whole_npu() {
    let (client, files, _dir) = Client::with_model(&TinySpec::default());
    assert_eq!(axcl!(client.table, axclrtEngineFinalize()), 0);
    for kind in 1..=3 {
        assert_eq!(axcl!(client.table, axclrtEngineInit(kind)), 0);
        assert_eq!(client.load(&files.head).map_err(hex), Err(0x8030_070C));
        assert!(last_error().expect("a reason").reason.contains("3 cores"));
        assert_eq!(axcl!(client.table, axclrtEngineFinalize()), 0);
    }
    assert_eq!(axcl!(client.table, axclrtEngineInit(0)), 0);
    client.load(&files.head).expect("a model");
    assert!(client.broken().is_empty());
}

#[test]
fn a_batch_is_kept_and_refused_when_it_is_to_be_run() {
    let (client, files, _dir) = Client::with_model(&TinySpec::default());
    let layer = client.bind(&files.layers[0], DECODE);
    for (batch, code) in [(0, 0), (1, 0), (2, 0x8030_070C), (u32::MAX, 0x8030_070C), (1, 0)] {
        assert_eq!(axcl!(client.table, axclrtEngineSetDynamicBatchSize(layer.io, batch)), 0);
        assert_eq!(hex(client.execute(&layer, DECODE)), code, "{batch}");
    }
    assert!(client.broken().is_empty());
}

/// As programs do that initialise for each of their models.
#[test]
fn the_engine_is_up_until_the_last_user_finalises_it() {
    let (client, files, _dir) = Client::with_model(&TinySpec::default());
    let layer = client.bind(&files.layers[0], DECODE);
    assert_eq!(axcl!(client.table, axclrtEngineInit(0)), 0);
    assert_ne!(axcl!(client.table, axclrtEngineInit(1)), 0);
    assert_eq!(axcl!(client.table, axclrtEngineFinalize()), 0);
    assert_eq!(client.execute(&layer, DECODE), 0);
    assert_eq!(axcl!(client.table, axclrtEngineFinalize()), 0);
    assert!(client.broken().is_empty());
    assert_eq!(axcl!(client.table, axclrtEngineFinalize()), 0);
    assert_eq!(client.broken(), [Rule::EngineNotReady]);
    assert_eq!(axcl!(client.table, axclrtEngineInit(1)), 0);
}

#[test]
fn a_cache_that_nobody_cleared_is_noticed() {
    let spec = TinySpec::default();
    let (client, files, _dir) = Client::with_model(&spec);
    let layer = client.bind(&files.layers[0], DECODE);
    let (_, size) = layer.inputs[K_CACHE];
    let cache = client.malloc(usize::try_from(size).expect("a size"));
    client.rebind_input(&layer, K_CACHE, cache, size);
    assert_eq!(client.execute(&layer, DECODE), 0);
    assert_eq!(client.broken(), [Rule::NeverWritten]);
}

/// Additive mask values in bf16: 0, and -65536 for what a row must not see.
fn mask(rows: usize, columns: usize, sees: impl Fn(usize, usize) -> bool) -> Vec<u8> {
    let cells = (0..rows * columns).map(|cell| sees(cell / columns, cell % columns));
    cells.flat_map(|visible| if visible { [0, 0] } else { [0x80, 0xC7] }).collect()
}

#[test]
fn a_chunk_gives_the_bits_of_decode_steps() {
    let tokens = 5;
    for architecture in ["llama", "qwen2", "qwen3"] {
        let spec = TinySpec { architecture, ..TinySpec::default() };
        let (client, files, _dir) = Client::with_model(&spec);
        let embedding = std::fs::read(&files.embedding).expect("an embedding");
        let (hidden, row) = (spec.hidden * 2, spec.kv_dim() * 2);

        let chunk = client.bind(&files.layers[0], 1);
        let positions: Vec<u8> = (0..tokens).flat_map(|position: u32| position.to_le_bytes()).collect();
        let real = positions.len() / 4;
        assert_eq!(client.write(chunk.inputs[INDICES].0, &positions), 0);
        assert_eq!(client.write(chunk.inputs[INPUT].0, &embedding[..real * hidden]), 0);
        let visible = mask(CHUNK, CHUNK, |row, column| row < real && column <= row);
        assert_eq!(client.write(chunk.inputs[MASK].0, &visible), 0);
        assert_eq!(client.execute(&chunk, 1), 0);

        let step = client.bind(&files.layers[0], DECODE);
        for token in 0..real {
            assert_eq!(client.write(step.inputs[INDICES].0, &positions[token * 4..][..4]), 0);
            assert_eq!(client.write(step.inputs[INPUT].0, &embedding[token * hidden..][..hidden]), 0);
            let visible = mask(1, spec.kv_len + 1, |_, column| column < token || column == spec.kv_len);
            assert_eq!(client.write(step.inputs[MASK].0, &visible), 0);
            for (output, cache) in [(K_OUT, K_CACHE), (K_OUT + 1, K_CACHE + 1)] {
                let slot = step.inputs[cache].0.wrapping_byte_add(token * row);
                client.rebind_output(&step, output, slot, row as u64);
            }
            assert_eq!(client.execute(&step, DECODE), 0);
            let expected = client.read(chunk.outputs[OUTPUT].0.wrapping_byte_add(token * hidden), hidden);
            assert_eq!(client.read(step.outputs[OUTPUT].0, hidden), expected, "{architecture}, row {token}");
            assert!(expected.iter().any(|&byte| byte != 0));
        }
        for (output, cache) in [(K_OUT, K_CACHE), (K_OUT + 1, K_CACHE + 1)] {
            let rows = client.read(chunk.outputs[output].0, real * row);
            assert_eq!(client.read(step.inputs[cache].0, real * row), rows, "{architecture}");
        }
        assert!(client.broken().is_empty());
    }
}
