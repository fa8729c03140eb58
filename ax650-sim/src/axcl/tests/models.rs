//! Models in device memory, what they take, and bindings by name.

use std::ffi::CString;

use super::*;
use crate::testing::{TinyModel, TinySpec, write_tiny_model};

fn tiny() -> (Client, TinyModel, tempfile::TempDir) {
    let directory = tempfile::tempdir().expect("a directory");
    let files = write_tiny_model(directory.path(), &TinySpec::default()).expect("a tiny model");
    let client = Client::new();
    assert_eq!(axcl!(client.table, axclrtEngineInit(0)), 0);
    (client, files, directory)
}

impl Client {
    fn upload(&self, bytes: &[u8]) -> *mut c_void {
        let block = self.malloc(bytes.len());
        assert_eq!(self.write(block, bytes), 0);
        block
    }

    fn usage(&self, model: u64) -> (i64, i64) {
        let (mut system, mut cmm) = (-1, -1);
        let code = axcl!(self.table, axclrtEngineGetUsageFromModelId(model, &raw mut system, &raw mut cmm));
        assert_eq!(code, 0);
        (system, cmm)
    }
}

#[test]
fn a_model_in_device_memory_needs_it_only_while_it_is_loaded() {
    let (client, files, _directory) = tiny();
    let file = std::fs::read(&files.layers[0]).expect("a layer");
    let (block, size) = (client.upload(&file), file.len() as u64);
    let mut model = 0;
    assert_eq!(axcl!(client.table, axclrtEngineLoadFromMem(block, size, &raw mut model)), 0);
    assert_eq!(axcl!(client.table, axclrtFree(block)), 0);

    let path = CString::new(files.layers[0].to_str().expect("a path")).expect("no zero byte");
    let mut other = 0;
    assert_eq!(axcl!(client.table, axclrtEngineLoadFromFile(path.as_ptr(), &raw mut other)), 0);
    assert_eq!(client.usage(model), client.usage(other));
    let mut kind = 9;
    assert_eq!(axcl!(client.table, axclrtEngineGetModelTypeFromModelId(model, &raw mut kind)), 0);
    assert_eq!(kind, 2);
    for model in [model, other] {
        assert_eq!(axcl!(client.table, axclrtEngineUnload(model)), 0);
    }
    assert_eq!((client.card.memory_in_use(), client.finish()), (0, 0));
    assert!(client.broken().is_empty());
}

#[test]
fn what_a_model_takes_is_told_before_it_is_loaded() {
    let (client, files, _directory) = tiny();
    let file = std::fs::read(&files.head).expect("a head");
    let (block, size) = (client.upload(&file), file.len() as u64);
    let path = CString::new(files.head.to_str().expect("a path")).expect("no zero byte");
    let before = client.card.memory_in_use();

    let (mut system, mut cmm, mut kind) = ([-1; 2], [-1; 2], [9; 2]);
    let [of_file, of_memory] = [0, 1];
    let (s, c) = (&raw mut system[of_file], &raw mut cmm[of_file]);
    assert_eq!(axcl!(client.table, axclrtEngineGetUsage(path.as_ptr(), s, c)), 0);
    let (s, c) = (&raw mut system[of_memory], &raw mut cmm[of_memory]);
    assert_eq!(axcl!(client.table, axclrtEngineGetUsageFromMem(block, size, s, c)), 0);
    assert_eq!(axcl!(client.table, axclrtEngineGetModelType(path.as_ptr(), &raw mut kind[of_file])), 0);
    let k = &raw mut kind[of_memory];
    assert_eq!(axcl!(client.table, axclrtEngineGetModelTypeFromMem(block, size, k)), 0);
    assert_eq!((system, kind), ([0; 2], [2; 2]));
    assert!(cmm[0] == cmm[1] && cmm[0] > 0, "{cmm:?}");
    assert_eq!((client.card.memory_in_use(), client.card.models()), (before, 0));

    let absent = c"/absent".as_ptr();
    assert_eq!(hex(axcl!(client.table, axclrtEngineGetModelType(absent, k))), 0x8030_050C);
    let null = ptr::null();
    assert_eq!(hex(axcl!(client.table, axclrtEngineGetModelTypeFromMem(null, size, k))), 0x8030_0703);
    assert!(client.broken().is_empty());
}

#[test]
fn unsuitable_bytes_in_device_memory_are_refused() {
    let (client, _files, _directory) = tiny();
    let mut model = 7;
    let block = client.upload(b"\x08\x07\x12\x07Pulsar2 and the rest of a compiled model");
    let load = |data, size, model: &mut u64| {
        hex(axcl!(client.table, axclrtEngineLoadFromMem(data, size, &raw mut *model)))
    };
    assert_eq!(load(block.cast_const(), 40, &mut model), 0x8030_0709);
    let reason = last_error().expect("a reason").reason;
    assert!(reason.contains("Pulsar2"), "{reason}");
    assert_eq!(load(ptr::null(), 40, &mut model), 0x8030_0703);
    assert_eq!(load(block.cast_const(), 0, &mut model), 0x8030_0703);
    assert!(client.broken().is_empty());
    assert_ne!(load(block.cast_const(), 4096, &mut model), 0);
    assert_eq!(client.broken(), [Rule::OutOfRange]);
    assert_eq!((model, client.card.models()), (7, 0));
}

#[test]
fn buffers_are_bound_and_found_by_name() {
    let (client, files, _directory) = tiny();
    let path = CString::new(files.layers[0].to_str().expect("a path")).expect("no zero byte");
    let (mut model, mut info, mut io) = (0, ptr::null_mut(), ptr::null_mut());
    assert_eq!(axcl!(client.table, axclrtEngineLoadFromFile(path.as_ptr(), &raw mut model)), 0);
    assert_eq!(axcl!(client.table, axclrtEngineGetIOInfo(model, &raw mut info)), 0);
    assert_eq!(axcl!(client.table, axclrtEngineCreateIO(info, &raw mut io)), 0);
    // An IO outlives the description that it was made from.
    assert_eq!(axcl!(client.table, axclrtEngineDestroyIOInfo(info)), 0);
    let (block, name) = (client.malloc(64), c"mask".as_ptr());
    assert_eq!(axcl!(client.table, axclrtEngineSetInputBufferByName(io, name, block, 64)), 0);
    let (mut found, mut size) = (ptr::null_mut(), 0);
    let code = axcl!(client.table, axclrtEngineGetInputBufferByName(io, name, &raw mut found, &raw mut size));
    assert_eq!((code, found, size), (0, block, 64));
    let output = c"output".as_ptr();
    let code =
        axcl!(client.table, axclrtEngineGetOutputBufferByName(io, output, &raw mut found, &raw mut size));
    assert_eq!((code, found.is_null(), size), (0, true, 0));
    let code =
        axcl!(client.table, axclrtEngineGetOutputBufferByName(io, name, &raw mut found, &raw mut size));
    assert_eq!(hex(code), 0x8030_0703);

    // What programs do for groups that they never run: refused, and no breach.
    let null = ptr::null();
    assert_eq!(hex(axcl!(client.table, axclrtEngineSetInputBufferByIndex(io, 0, null, 64))), 0x8030_0702);
    assert_eq!(hex(axcl!(client.table, axclrtEngineSetOutputBufferByIndex(io, 0, block, 0))), 0x8030_0703);
    assert_eq!(axcl!(client.table, axclrtEngineDestroyIO(io)), 0);
    assert!(client.broken().is_empty());
}

#[test]
fn cores_are_chosen_for_models_and_not_for_contexts() {
    let (client, files, _directory) = tiny();
    let path = CString::new(files.head.to_str().expect("a path")).expect("no zero byte");
    let (mut model, mut context, mut set) = (0, 0, 0);
    assert_eq!(axcl!(client.table, axclrtEngineLoadFromFile(path.as_ptr(), &raw mut model)), 0);
    assert_eq!(axcl!(client.table, axclrtEngineCreateContext(model, &raw mut context)), 0);
    assert_eq!(axcl!(client.table, axclrtEngineSetAffinity(model, 0b101)), 0);
    assert_eq!(axcl!(client.table, axclrtEngineGetAffinity(model, &raw mut set)), 0);
    assert_eq!(set, 0b101);
    let of_context = |cores| hex(axcl!(client.table, axclrtEngineSetContextAffinity(model, context, cores)));
    assert_eq!([of_context(1), of_context(0), of_context(8)], [0x8030_0704, 0x8030_0703, 0x8030_0703]);
    let code = axcl!(client.table, axclrtEngineGetContextAffinity(model, context, &raw mut set));
    assert_eq!(hex(code), 0x8030_0704);
    assert!(client.broken().is_empty());
}
