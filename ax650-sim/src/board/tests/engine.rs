//! The NPU, handles, and what the engine tells of models.

use super::*;
use crate::last_error;

/// `CreateHandle` of some bytes.
fn create(client: &Client, file: &[u8]) -> Result<*mut c_void, u32> {
    let mut handle = ptr::null_mut();
    let size = u32::try_from(file.len()).unwrap();
    match ax!(client.table, AX_ENGINE_CreateHandle(&raw mut handle, file.as_ptr().cast(), size)) {
        0 => Ok(handle),
        code => Err(hex(code)),
    }
}

fn init(client: &Client, mode: u32) -> u32 {
    let mut attributes = AX_ENGINE_NPU_ATTR_T { eHardMode: mode, reserve: [0; 8] };
    hex(ax!(client.table, AX_ENGINE_Init(&raw mut attributes)))
}

fn mode(client: &Client) -> Result<u32, u32> {
    let mut attributes = AX_ENGINE_NPU_ATTR_T { eHardMode: 9, reserve: [0; 8] };
    match ax!(client.table, AX_ENGINE_GetVNPUAttr(&raw mut attributes)) {
        0 => Ok(attributes.eHardMode),
        code => Err(hex(code)),
    }
}

#[test]
fn the_npu_has_one_mode_at_a_time() {
    let client = Client::cold(true);
    assert_eq!(mode(&client), Err(0x8006_0083), "an answer, not a breach");
    assert_eq!(hex(ax!(client.table, AX_ENGINE_Init(ptr::null_mut()))), 0x8006_0084);
    assert_eq!(ax!(client.table, AX_ENGINE_Deinit()), 0, "nothing to undo");
    for wanted in 0..4 {
        assert_eq!((init(&client, wanted), mode(&client)), (0, Ok(wanted)));
        assert_eq!(init(&client, wanted), 0);
        assert_eq!(init(&client, (wanted + 1) % 4), 0x8006_008A);
        assert_eq!(ax!(client.table, AX_ENGINE_Deinit()), 0);
        assert_eq!(mode(&client), Ok(wanted), "one user is left");
        assert_eq!(ax!(client.table, AX_ENGINE_Deinit()), 0);
        assert_eq!(mode(&client), Err(0x8006_0083));
    }
    assert_eq!(init(&client, 4), 0x8006_0084);
    ax!(client.table, AX_ENGINE_NPUReset());
    assert!(!ax!(client.table, AX_ENGINE_GetVersion()).is_null());
    assert!(client.broken().is_empty());
}

#[test]
fn models_need_the_npu_and_the_whole_of_it() {
    let (files, _dir) = model(&TinySpec::default());
    let file = std::fs::read(&files.head).unwrap();
    let client = Client::cold(true);
    assert_eq!(create(&client, &file), Err(0x8006_0083));
    assert_eq!(client.broken(), [Rule::NotInitialised]);
    assert_eq!(init(&client, 1), 0);
    assert_eq!(create(&client, &file), Err(0x8006_0088));
    assert_eq!(ax!(client.table, AX_ENGINE_Deinit()), 0);
    assert_eq!(init(&client, 0), 0);
    let handle = create(&client, &file).unwrap();
    assert_eq!(ax!(client.table, AX_ENGINE_Deinit()), 0);
    assert_eq!((client.card.memory_in_use(), client.card.models()), (0, 0));
    assert_eq!(client.broken(), [Rule::Leak]);
    assert_eq!(hex(ax!(client.table, AX_ENGINE_DestroyHandle(handle))), 0x8006_0083);
    assert_eq!(client.broken(), [Rule::UseAfterFinalize]);
}

#[test]
fn what_is_no_layer_file_is_refused_and_explained() {
    let client = Client::new();
    let cases: [(&[u8], &str); 3] = [
        (b"\x08\x07\x12\x07Pulsar2 and more of a compiled model", "compiled for the NPU by Pulsar2"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS pointer"),
        (b"something else altogether", "is not a layer file"),
    ];
    for (file, reason) in cases {
        let mut handle = ptr::null_mut();
        let mut extra = ax650_sys::vendor::AX_ENGINE_HANDLE_EXTRA_T {
            pName: c"qwen_l0".as_ptr().cast_mut().cast(),
            ..Default::default()
        };
        let size = u32::try_from(file.len()).unwrap();
        let code = ax!(
            client.table,
            AX_ENGINE_CreateHandleV2(&raw mut handle, file.as_ptr().cast(), size, &raw mut extra)
        );
        assert_eq!(hex(code), 0x8006_0084);
        let error = last_error().expect("a reason");
        assert_eq!(error.call, "AX_ENGINE_CreateHandleV2");
        assert!(error.reason.contains(reason) && error.reason.contains("qwen_l0"), "{error}");
        let mut kind = 9;
        let code = ax!(client.table, AX_ENGINE_GetModelType(file.as_ptr().cast(), size, &raw mut kind));
        assert_eq!((hex(code), kind), (0x8006_0084, 9));
    }
    let mut handle = ptr::null_mut();
    assert_eq!(hex(ax!(client.table, AX_ENGINE_CreateHandle(&raw mut handle, ptr::null(), 8))), 0x8006_0084);
    assert_eq!(create(&client, &[]), Err(0x8006_0084));
    assert!(client.broken().is_empty());
}

#[test]
fn a_model_that_does_not_fit_is_refused_with_the_memorys_code() {
    let (files, _dir) = model(&TinySpec::default());
    let file = std::fs::read(&files.head).unwrap();
    let client = Client::new();
    let handle = create(&client, &file).unwrap();
    let mut usage = ax650_sys::vendor::AX_ENGINE_CMM_INFO { nCMMSize: 0 };
    assert_eq!(ax!(client.table, AX_ENGINE_GetCMMUsage(handle, &raw mut usage)), 0);
    assert!(u64::from(usage.nCMMSize) <= client.card.memory_in_use() && usage.nCMMSize > 0);
    client.card.set_memory_bytes(client.card.memory_in_use());
    assert_eq!(create(&client, &file), Err(0x800B_0018));
    assert_eq!(ax!(client.table, AX_ENGINE_DestroyHandle(handle)), 0);
    assert!(create(&client, &file).is_ok());
    assert!(client.broken().is_empty());
}

#[test]
fn a_handle_tells_about_itself() {
    let (files, _dir) = model(&TinySpec::default());
    let client = Client::new();
    let handle = create(&client, &std::fs::read(&files.layers[0]).unwrap()).unwrap();
    let mut kind = 9;
    assert_eq!(ax!(client.table, AX_ENGINE_GetHandleModelType(handle, &raw mut kind)), 0);
    assert_eq!(kind, 2);
    let mut set = 0;
    assert_eq!(ax!(client.table, AX_ENGINE_GetAffinity(handle, &raw mut set)), 0);
    assert_eq!(set, 0b111);
    for wanted in 1..8 {
        assert_eq!(ax!(client.table, AX_ENGINE_SetAffinity(handle, wanted)), 0);
        assert_eq!(ax!(client.table, AX_ENGINE_GetAffinity(handle, &raw mut set)), 0);
        assert_eq!(set, wanted);
    }
    let refused = [0, 8].map(|wanted| hex(ax!(client.table, AX_ENGINE_SetAffinity(handle, wanted))));
    assert_eq!(refused, [0x8006_0084; 2]);
    assert!(!ax!(client.table, AX_ENGINE_GetModelToolsVersion(handle)).is_null());
    assert!(client.broken().is_empty());
    assert!(!ax!(client.table, AX_ENGINE_GetModelToolsVersion(ptr::null_mut())).is_null());
    assert_eq!(client.broken(), [Rule::UnknownHandle]);
    for (name, function) in crate::UNDOCUMENTED {
        // SAFETY: the functions take nothing.
        let code = hex(unsafe { function() });
        assert_eq!(code, if name.starts_with("AX_SYS") { 0x800B_0014 } else { 0x8006_0088 }, "{name}");
    }
}

#[test]
fn contexts_of_both_kinds_go_together_in_either_order() {
    let (files, _dir) = model(&TinySpec::default());
    let client = Client::new();
    let file = std::fs::read(&files.head).unwrap();
    for first in [true, false] {
        let handle = create(&client, &file).unwrap();
        let mut context = ptr::null_mut();
        if first {
            assert_eq!(ax!(client.table, AX_ENGINE_CreateContext(handle)), 0);
        }
        assert_eq!(ax!(client.table, AX_ENGINE_CreateContextV2(handle, &raw mut context)), 0);
        assert!(!context.is_null());
        if !first {
            assert_eq!(ax!(client.table, AX_ENGINE_CreateContext(handle)), 0);
        }
        assert_eq!(ax!(client.table, AX_ENGINE_DestroyHandle(handle)), 0);
    }
    assert!(client.broken().is_empty());
}

#[test]
fn every_group_has_an_io_info_of_its_own() {
    let spec = TinySpec::default();
    let (files, _dir) = model(&spec);
    let client = Client::new();
    let handle = create(&client, &std::fs::read(&files.layers[0]).unwrap()).unwrap();
    let count = client.groups(handle);
    assert_eq!(usize::try_from(count), Ok(1 + spec.history().len()));
    let kv_dim = i32::try_from(spec.kv_dim()).unwrap();
    for (group, (history, rows)) in (0..).zip([(300, 1), (1, 128), (128, 128), (256, 128)]) {
        let (inputs, outputs) = client.tensors(handle, group);
        let shapes: Vec<_> = inputs.iter().map(|tensor| tensor.shape.clone()).collect();
        let columns = if history == 1 { rows } else { history + rows };
        let cache = vec![1, history, kv_dim];
        let expected = [cache.clone(), cache, Vec::from([rows]), vec![1, rows, 64], vec![1, rows, columns]];
        assert_eq!(shapes, expected);
        assert_eq!(inputs.iter().map(|tensor| tensor.data_type).collect::<Vec<_>>(), [9, 9, 7, 9, 9]);
        assert_eq!(inputs[2].size, 4 * u32::try_from(rows).unwrap());
        let names: Vec<_> = outputs.iter().map(|tensor| tensor.name.as_str()).collect();
        assert_eq!(names, ["K_cache_out", "V_cache_out", "output"]);
    }
    let mut info = ptr::null_mut();
    let code = ax!(client.table, AX_ENGINE_GetGroupIOInfo(handle, count, &raw mut info));
    assert_eq!((hex(code), info.is_null()), (0x8006_0084, true));
    assert_eq!(ax!(client.table, AX_ENGINE_GetIOInfo(handle, &raw mut info)), 0);
    // SAFETY: the engine gave the structure, and the handle lives.
    let first = unsafe { info.read() };
    assert_eq!((first.nInputSize, first.nOutputSize), (5, 3));
    // SAFETY: there are inputs.
    let input = unsafe { first.pInputs.read() };
    assert!(!input.pExtraMeta.is_null() && input.pStride.is_null());
    assert!(client.broken().is_empty());
}
