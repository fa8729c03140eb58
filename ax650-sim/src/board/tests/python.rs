//! The habits of the vendor's Python binding on the board.

use super::reference::axcl_outputs;
use super::*;

/// Its IO lacks the last eight bytes of the structure.
const SHORT_IO: usize = 120;

#[test]
fn the_vendors_python_binding_lives_on_the_board() {
    let spec = TinySpec::default();
    let (files, _dir) = model(&spec);
    let client = Client::cold(true);
    let table = client.table;

    // Import: a mode that was not set yet is asked for, then set.
    assert_eq!(ax!(table, AX_SYS_Init()), 0);
    let mut attributes = AX_ENGINE_NPU_ATTR_T::default();
    assert_ne!(ax!(table, AX_ENGINE_GetVNPUAttr(&raw mut attributes)), 0);
    attributes.eHardMode = 0;
    assert_eq!(ax!(table, AX_ENGINE_Init(&raw mut attributes)), 0);
    assert_eq!(ax!(table, AX_ENGINE_GetVNPUAttr(&raw mut attributes)), 0);
    assert_eq!(attributes.eHardMode, 0);
    assert!(!ax!(table, AX_ENGINE_GetVersion()).is_null());

    for (path, group) in [(&files.head, 0), (&files.layers[0], 0), (&files.layers[0], 2)] {
        session(&client, path, group);
    }

    // Exit: nothing was freed. The card takes it back and writes it down.
    assert_eq!((ax!(table, AX_ENGINE_Deinit()), ax!(table, AX_SYS_Deinit())), (0, 0));
    assert_eq!(client.card.memory_in_use(), 0);
    assert_eq!(client.broken(), [Rule::Leak, Rule::Leak]);
}

/// Inputs and outputs.
type Group = (Vec<Tensor>, Vec<Tensor>);

fn session(client: &Client, path: &Path, group: u32) {
    let table = client.table;
    let file = std::fs::read(path).unwrap();
    let (data, size) = (file.as_ptr().cast(), u32::try_from(file.len()).unwrap());
    let mut kind = 9;
    assert_eq!(ax!(table, AX_ENGINE_GetModelType(data, size, &raw mut kind)), 0);
    assert!(kind <= 2);
    let (handle, context) = client.load(path);
    assert!(!ax!(table, AX_ENGINE_GetModelToolsVersion(handle)).is_null());

    // One cached buffer per tensor, as large as its largest group needs.
    let count = client.groups(handle);
    let all: Vec<_> = (0..count).map(|group| client.tensors(handle, group)).collect();
    let largest = |side: fn(&Group) -> &Vec<Tensor>, index: usize| {
        all.iter().map(|group| side(group)[index].size).max().unwrap()
    };
    let (inputs, outputs) = &all[usize::try_from(group).unwrap()];
    let mut feeds = Vec::new();
    let bind = |block: Buffer| block.bind();
    let mut bound_inputs: Vec<_> = inputs
        .iter()
        .enumerate()
        .map(|(index, tensor)| {
            let block = client.allocate(largest(|group| &group.0, index), true);
            block.fill(0);
            let feed = (0..tensor.size).map(|byte| u8::try_from(byte % 7).unwrap()).collect::<Vec<_>>();
            let feed = if tensor.name == "input" { feed } else { vec![0; feed.len()] };
            block.write(0, &feed);
            assert_eq!(client.flush(block), 0, "the whole buffer");
            feeds.push(feed);
            bind(block)
        })
        .collect();
    let blocks: Vec<_> =
        (0..outputs.len()).map(|index| client.allocate(largest(|group| &group.1, index), true)).collect();
    let mut bound_outputs: Vec<_> = blocks.iter().map(|block| bind(*block)).collect();

    let io = io_of(&mut bound_inputs, &mut bound_outputs);
    // The structure ends where its memory ends, so that a read beyond it is found by the tools that find such.
    let mut short = vec![0_u8; SHORT_IO].into_boxed_slice();
    // SAFETY: both are that long and plain bytes.
    unsafe { ptr::copy_nonoverlapping((&raw const io).cast::<u8>(), short.as_mut_ptr(), SHORT_IO) };
    let io: *mut AX_ENGINE_IO_T = short.as_mut_ptr().cast();
    let code = if count > 1 {
        ax!(table, AX_ENGINE_RunGroupIOSync(handle, context, group, io))
    } else {
        ax!(table, AX_ENGINE_RunSyncV2(handle, context, io))
    };
    assert_eq!(hex(code), 0);
    let expected = axcl_outputs(path, group, &feeds);
    for ((tensor, block), expected) in outputs.iter().zip(blocks).zip(expected) {
        assert_eq!(client.invalidate(block), 0);
        assert_eq!(block.read(0, usize::try_from(tensor.size).unwrap()), expected, "{}", tensor.name);
    }
    assert!(client.broken().is_empty());
}
