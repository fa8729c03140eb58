//! Cards and files that fail: typed errors that name the place, and nothing left behind.

use ax650_sim::control::Trouble;
use ax650_sim::testing::{TinySpec, write_tiny_model};

use super::super::error::Place;
use super::{
    Bench, CancelFlag, DeviceChoice, DeviceError, Driver, DriverOptions, ModelSpec, Paths, PathsWish, VOCAB,
};
use crate::device::Path;

/// `AXCL_ERR_ENGINE_EXECUTE_FAIL`, which says nothing of the cause.
const EXECUTE_FAIL: i32 = 0x8030_070C_u32.cast_signed();
/// `AXCL_ERR_MEMORY_EXECUTE_FAIL`, which the vendor's library has for exhausted memory, and for much else.
const REFUSED: i32 = 0x8030_050C_u32.cast_signed();
/// `AX_ERR_CMM_NOMEM`, which its documentation has for it.
const NO_MEMORY: i32 = 0x800B_0018_u32.cast_signed();

fn load_error(bench: &Bench, spec: &ModelSpec) -> DeviceError {
    let error = bench.driver.load(spec, &CancelFlag::new(), &mut |_| {}).unwrap_err();
    assert_eq!((bench.control.models(), bench.control.allocations()), (0, 0), "left behind after: {error}");
    error
}

#[test]
fn a_load_that_fails_at_any_call_leaves_nothing() {
    let plain = DriverOptions { paths: PathsWish(Paths::PLAIN), ..DriverOptions::default() };
    for (card, needed) in [
        ("software", ["axclrtMalloc", "axclrtEngineLoadFromFile", "axclrtEngineCreateIO"]),
        ("software,interface=board", ["AX_SYS_MemAlloc", "AX_ENGINE_CreateHandleV2", "AX_ENGINE_GetIOInfo"]),
    ] {
        let bench = Bench::with(&TinySpec::default(), &card.parse().unwrap(), &plain);
        let before = bench.control.all_calls();
        drop(bench.load());
        let calls = bench.control.all_calls();
        let of_a_load = |name: &str| calls[name] - before.get(name).copied().unwrap_or_default();
        let fallible: Vec<_> =
            calls.keys().filter(|name| !can_never_fail(name) && of_a_load(name) > 0).collect();
        for name in needed {
            assert!(fallible.contains(&&name), "{name} is not in {fallible:?}");
        }
        for name in fallible {
            // The head, the last file, has one group and needs no context.
            let not_needed = u64::from(*name == "AX_ENGINE_CreateContextV2");
            for nth in 1..=(of_a_load(name) - not_needed).min(3) {
                bench.control.fail_call(name, nth, EXECUTE_FAIL);
                if *name == "AX_ENGINE_CreateHandleV2" {
                    // The older function is tried then.
                    bench.control.fail_call("AX_ENGINE_CreateHandle", 1, EXECUTE_FAIL);
                }
                let text = load_error(&bench, &bench.spec()).to_string();
                assert!(
                    text.contains(name.trim_end_matches("V2")) && text.contains("0x8030070C"),
                    "{name}: {text}"
                );
            }
        }
        drop(bench.load());
    }
}

/// Calls that only give back, that return no code, or whose answer is only needed to warn early.
fn can_never_fail(name: &str) -> bool {
    const BACK: [&str; 5] = ["Free", "Unload", "DestroyIO", "DestroyIOInfo", "DestroyHandle"];
    const PLAIN: [&str; 4] = ["NumInputs", "NumOutputs", "SizeByIndex", "NameByIndex"];
    const ADVICE: [&str; 5] = ["FullVersion", "SocName", "GetVersion", "MemQueryStatus", "DeviceProperties"];
    BACK.iter().chain(&PLAIN).chain(&ADVICE).any(|end| name.ends_with(end))
}

#[test]
fn a_failed_run_names_layer_file_call_and_code_and_counts_no_row() {
    let bench = Bench::new(&TinySpec::default());
    let model = bench.load();
    let mut sequence = model.new_sequence().unwrap();
    bench.prefill(&mut sequence, 0, 5, 128);
    bench.control.fail_call("axclrtEngineExecute", 2, EXECUTE_FAIL);
    let error = sequence.prefill(&bench.text(5, 9), None, &CancelFlag::new()).unwrap_err();
    let DeviceError::Call { call, place, code, .. } = &error else { panic!("{error}") };
    assert_eq!(code.0, EXECUTE_FAIL);
    assert!(call.starts_with("axclrtEngineExecute (group "), "{call}");
    assert!(error.to_string().contains("; try again"), "{error}");
    assert_eq!(*place, Place { layer: Some(1), file: Some(bench.files.layers[1].clone()) });
    assert!(error.to_string().contains("in layer 1 (") && error.to_string().contains("runtime, engine"));
    assert_eq!(sequence.len(), 5);

    bench.control.fail_call("axclrtEngineExecute", 3, EXECUTE_FAIL);
    let error = sequence.decode(&bench.text(5, 6), &mut vec![0; VOCAB], &CancelFlag::new()).unwrap_err();
    assert!(error.to_string().contains("in the head ("), "{error}");
    assert_eq!(sequence.len(), 5);
    bench.decode(&mut sequence, 5);
}

#[test]
fn memory_that_runs_out_is_told_as_such() {
    let bench = Bench::new(&TinySpec::default());
    bench.control.set_memory_bytes(2048);
    let budget = load_error(&bench, &bench.spec());
    assert!(matches!(budget, DeviceError::OutOfMemory { .. }), "{budget}");
    assert!(budget.to_string().contains("2 KiB are free"), "{budget}");
    bench.control.set_memory_bytes(1 << 30);
    bench.control.fail_call("axclrtMalloc", 3, NO_MEMORY);
    assert!(matches!(load_error(&bench, &bench.spec()), DeviceError::OutOfMemory { .. }));
    bench.control.fail_call("axclrtMalloc", 3, REFUSED);
    assert!(matches!(load_error(&bench, &bench.spec()), DeviceError::Call { .. }));
    bench.control.fail_call("axclrtEngineLoadFromFile", 2, REFUSED);
    assert!(matches!(load_error(&bench, &bench.spec()), DeviceError::Call { .. }));

    let model = bench.load();
    let allocations = bench.control.allocations();
    bench.control.set_memory_bytes(bench.control.memory_in_use() + 4096);
    let error = model.new_sequence().unwrap_err();
    assert!(matches!(error, DeviceError::OutOfMemory { .. }), "{error}");
    assert!(error.to_string().contains("needs ") && error.to_string().contains("0x8030050C"), "{error}");
    assert_eq!(bench.control.allocations(), allocations);
    bench.control.set_memory_bytes(1 << 30);
    bench.control.fail_call("axclrtMalloc", 3, NO_MEMORY);
    let error = model.new_sequence().unwrap_err();
    assert!(matches!(error, DeviceError::OutOfMemory { .. }), "{error}");
    assert_eq!(bench.control.allocations(), allocations);
    drop(model.new_sequence().unwrap());
}

/// Neither the files nor a sequence beside them: what is missing is told before minutes are spent.
#[test]
fn a_model_that_will_not_fit_is_not_begun_to_be_loaded() {
    // More than the least that a board is believed to have.
    let sequence = 1 << 30;
    for (card, load) in
        [("software", "axclrtEngineLoadFromFile"), ("software,interface=board", "AX_ENGINE_CreateHandleV2")]
    {
        let plain = DriverOptions { paths: PathsWish(Paths::PLAIN), ..DriverOptions::default() };
        let bench = Bench::with(&TinySpec::default(), &card.parse().unwrap(), &plain);
        let spec = bench.spec();
        let files = spec.layers.iter().chain([&spec.head]);
        let files: Vec<u64> = files.map(|file| file.metadata().unwrap().len()).collect();
        let weights: u64 = files.iter().sum();
        // Over PCIe, a file is on the card twice while it is loaded.
        let loading = (0..files.len()).map(|file| files[..=file].iter().sum::<u64>() + files[file]).max();
        let mut cases = vec![(sequence, weights + sequence)];
        cases.extend(loading.filter(|_| card == "software").map(|loading| (0, loading)));
        drop(bench.load());
        let loads = bench.control.calls(load);
        for (sequence_bytes, peak) in cases {
            bench.control.set_memory_bytes(peak - 1);
            let error = load_error(&bench, &ModelSpec { sequence_bytes, ..bench.spec() });
            assert!(matches!(error, DeviceError::OutOfMemory { .. }), "{card}: {error}");
            let figures = format!("needs {} KiB, {} KiB are free", peak.div_ceil(1024), (peak - 1) / 1024);
            assert!(error.to_string().contains(&figures), "{card}: {error}, not {figures}");
            assert_eq!(bench.control.calls(load), loads, "{card}: nothing is loaded");
        }
        bench.control.set_memory_bytes(weights + sequence + 1024);
        let spec = ModelSpec { sequence_bytes: sequence, ..spec };
        drop(bench.driver.load(&spec, &CancelFlag::new(), &mut |_| {}).unwrap());
        assert!(bench.control.calls(load) > loads, "{card}");
    }
}

#[test]
fn layers_that_do_not_fit_together_are_refused_by_name() {
    let bench = Bench::new(&TinySpec::default());
    let other = tempfile::tempdir().unwrap();
    let shorter = TinySpec { kv_len: 290, architecture: "qwen2", ..TinySpec::default() };
    let odd = write_tiny_model(other.path(), &shorter).unwrap().layers[1].clone();
    let mut spec = bench.spec();
    spec.layers[1].clone_from(&odd);
    let text = load_error(&bench, &spec).to_string();
    assert!(text.contains(&odd.display().to_string()) && text.contains("layer 0"), "{text}");
    assert!(text.contains("(K_cache, group 0)"), "{text}");

    let spec = ModelSpec { vocab: VOCAB + 1, ..bench.spec() };
    let text = load_error(&bench, &spec).to_string();
    assert!(text.contains("post.axmodel") && text.contains("vocabulary"), "{text}");
    let spec = ModelSpec { hidden: 65, ..bench.spec() };
    assert!(load_error(&bench, &spec).to_string().contains("_l0_together"));
    let spec = ModelSpec { head: bench.files.layers[0].clone(), ..bench.spec() };
    assert!(matches!(load_error(&bench, &spec), DeviceError::Model(_)));
}

#[test]
fn files_that_are_not_models_are_refused_by_name() {
    let bench = Bench::new(&TinySpec::default());
    let bad = bench.files.layers[1].clone();
    let whole = std::fs::read(&bad).unwrap();
    for contents in
        [&b""[..], b"version https://git-lfs.github.com/spec/v1\n", b"garbage", &whole[..whole.len() / 2]]
    {
        std::fs::write(&bad, contents).unwrap();
        let text = load_error(&bench, &bench.spec()).to_string();
        assert!(text.contains(&bad.display().to_string()), "{text}");
    }
    std::fs::remove_file(&bad).unwrap();
    assert!(matches!(load_error(&bench, &bench.spec()), DeviceError::Model(_)));
}

#[test]
fn a_panic_of_the_progress_callback_passes_and_unloads() {
    let bench = Bench::new(&TinySpec::default());
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        bench.driver.load(&bench.spec(), &CancelFlag::new(), &mut |_| panic!("from the callback"))
    }));
    assert!(outcome.is_err());
    assert_eq!(bench.control.models(), 0);
}

#[test]
fn errors_of_giving_back_are_counted_and_the_last_is_kept() {
    let bench = Bench::new(&TinySpec::default());
    let model = bench.load();
    let sequence = model.new_sequence().unwrap();
    bench.control.fail_call("axclrtEngineDestroyIO", 1, EXECUTE_FAIL);
    bench.control.fail_call("axclrtFree", 1, EXECUTE_FAIL);
    drop(sequence);
    drop(model);
    let errors = bench.driver.take_drop_errors().unwrap();
    assert_eq!(errors.count, 2);
    assert!(errors.last.to_string().contains("axclrtEngineDestroyIO"), "{}", errors.last);
    assert!(bench.driver.take_drop_errors().is_none());
    assert_eq!(bench.control.models(), 0, "one failure does not stop the rest");
}

#[test]
fn what_other_paths_leave_behind_is_counted_and_they_are_left_all_the_same() {
    let bench = Bench::new(&TinySpec::default());
    let model = bench.load();
    bench.control.fail_call("axclrtFree", 1, EXECUTE_FAIL);
    let shared = Paths::from(Path::SharedInputs);
    model.set_paths(shared).unwrap();
    assert_eq!(model.paths(), shared);
    let errors = bench.driver.take_drop_errors().unwrap();
    assert!(errors.count == 1 && errors.last.to_string().contains("axclrtFree"), "{}", errors.last);
}

#[test]
fn a_board_whose_drivers_answer_nothing_is_lost() {
    let board = "software,interface=board".parse().unwrap();
    for function in ["AX_ENGINE_RunGroupIOSync", "AX_SYS_MinvalidateCache"] {
        let bench = Bench::with(&TinySpec::default(), &board, &DriverOptions::default());
        let model = bench.load();
        let mut sequence = model.new_sequence().unwrap();
        bench.control.cause(Trouble::Lost { function: Some(function.into()), nth: 1, returns: false });
        let mut logits = vec![0; VOCAB];
        let error = sequence.decode(&bench.text(0, 1), &mut logits, &CancelFlag::new()).unwrap_err();
        assert!(matches!(error, DeviceError::Lost { .. }), "{function}: {error}");
        bench.control.calm();
    }
}

#[test]
fn a_card_that_drops_off_the_bus_is_lost() {
    let bench = Bench::new(&TinySpec::default());
    let model = bench.load();
    let mut sequence = model.new_sequence().unwrap();
    bench.control.cause(Trouble::Lost { function: None, nth: 1, returns: false });
    let mut logits = vec![0; VOCAB];
    let error = sequence.decode(&bench.text(0, 1), &mut logits, &CancelFlag::new()).unwrap_err();
    assert!(matches!(error, DeviceError::Lost { .. }), "{error}");
    assert!(error.to_string().contains("0x8030040C"), "{error}");
    let error = Driver::open(&DeviceChoice::SOFTWARE, &DriverOptions::default()).unwrap_err();
    assert!(matches!(error, DeviceError::NoCard(_)), "{error}");
    bench.control.calm();
    bench.decode(&mut sequence, 0);
}

/// The card starts shells for its properties, each with a second to answer.
#[test]
fn a_card_too_busy_to_tell_its_memory_loads_all_the_same() {
    let bench = Bench::new(&TinySpec::default());
    let shell_took_too_long = 0x8030_0405_u32.cast_signed();
    let asked = bench.control.calls("axclrtGetDeviceProperties");
    bench.control.cause(Trouble::Fail {
        function: "axclrtGetDeviceProperties".into(),
        calls: (..).into(),
        code: shell_took_too_long,
    });
    let model = bench.load();
    assert_eq!(bench.control.calls("axclrtGetDeviceProperties") - asked, 1, "once, not for each file");
    let mut sequence = model.new_sequence().unwrap();
    bench.decode(&mut sequence, 0);
}

#[test]
fn a_card_can_be_opened_again() {
    let bench = Bench::new(&TinySpec::default());
    drop(bench.load());
    drop(bench);
    drop(Bench::new(&TinySpec::default()).load());
}

#[test]
fn auto_says_in_one_line_why_it_took_the_software_card() {
    let directory = tempfile::tempdir().unwrap();
    let options = DriverOptions {
        driver_path: Some(directory.path().into()),
        software_threads: Some(1),
        ..DriverOptions::default()
    };
    let driver = Driver::open(&DeviceChoice::Auto, &options).unwrap();
    let info = driver.info();
    assert_eq!(info.kind, "software");
    assert!(info.summary.contains("no driver library libaxcl_rt.so"), "{}", info.summary);
    assert!(!info.summary.contains('\n') && !info.version.is_empty() && info.total_memory > 0);

    let error = Driver::open(&DeviceChoice::Pcie(0), &options).unwrap_err();
    assert!(matches!(error, DeviceError::NoDriver(_)), "{error}");
    let error = Driver::open(&DeviceChoice::Board, &options).unwrap_err();
    assert!(error.to_string().contains("libax_sys.so"), "{error}");
}
