//! The table itself, and what tools use.

use super::*;

/// The names of all functions, and whether the table has each.
macro_rules! entries {
    ($($(variadic)? fn $name:ident($($parameter:ident: $type:ty),*) -> $result:ty;)*) => {
        |table: &ax_pcie_table| vec![$((stringify!($name), table.$name.is_some())),*]
    };
}

#[test]
fn every_entry_is_filled() {
    let client = Client::cold();
    let entries = ax650_sys::pcie_functions!(entries)(&client.table);
    assert!(entries.len() > 120, "{}", entries.len());
    for (name, filled) in entries {
        assert!(filled, "{name}");
    }
}

#[test]
fn the_bus_and_the_processes_of_a_device_are_told() {
    let client = Client::cold();
    assert_eq!(axcl!(client.table, axclInit(ptr::null())), 0);
    let mut bus = ax650_sys::vendor::axclrtDeviceBusInfo { domain: 9, bus: 9, slot: 9, func: 9 };
    assert_eq!(axcl!(client.table, axclrtGetDeviceBusInfo(DEVICE_ID, &raw mut bus)), 0);
    assert_eq!((bus.domain, bus.bus, bus.slot, bus.func), (0, DEVICE_ID.cast_unsigned(), 0, 0));
    let mut users = ax650_sys::vendor::axclrtDevicePidInfo::default();
    for active in [false, true] {
        assert_eq!(axcl!(client.table, axclrtGetDevicePidInfo(DEVICE_ID, &raw mut users)), 0);
        assert_eq!((users.num == 1, users.pid.is_null()), (active, !active));
        assert_eq!(axcl!(client.table, axclrtSetDevice(DEVICE_ID)), 0);
    }
    // SAFETY: the card gave one number.
    assert_eq!(unsafe { users.pid.read() }, std::process::id());
    // SAFETY: made with malloc for us to free, and not used any more.
    unsafe { libc::free(users.pid.cast()) };
    assert_eq!(hex(axcl!(client.table, axclrtGetDeviceBusInfo(1, &raw mut bus))), 0x8030_0184);
    assert!(client.broken().is_empty());
}

#[test]
fn what_has_no_meaning_here_answers_the_code_of_its_part() {
    let client = Client::new();
    let null: *mut c_void = ptr::null_mut();
    let answers = [
        axcl!(client.table, axclrtRebootDevice(DEVICE_ID)),
        axcl!(client.table, axclrtControlChangePCIeSubId(1, 2)),
        axcl!(client.table, axclrtExecWorker(c"/opt/bin/a".as_ptr(), ptr::null(), null.cast(), null.cast())),
        axcl!(client.table, axclrtP2PTriggerTest(null, null.cast())),
        axcl!(client.table, axclrtLog(1, 0, ptr::null())),
        axcl!(client.table, axclrtCreateTask(null.cast(), null, 1, null, 0, 0, false, 0)),
        axcl!(client.table, axclrtControlCreateStream(1, null)),
    ];
    let codes = [0x104, 0x904, 0xC04, 0xB04, 0x804, 0x404, 0x904].map(|part| 0x8030_0000 + part);
    assert_eq!(answers.map(hex), codes);
    assert_eq!(axcl!(client.table, axclrtLatencyLoopback([1_u8; 8].as_ptr().cast(), 8, true, 0)), 0);
    assert_eq!(axcl!(client.table, axclrtConfigGetDmaBufSize()), 4 << 20);
    assert!(client.broken().is_empty());
}

#[test]
fn files_are_put_on_the_card_and_fetched_back() {
    let client = Client::new();
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| {
        let path = directory.path().join(name);
        std::ffi::CString::new(path.to_str().expect("a path")).expect("no zero byte")
    };
    let (source, back, empty) = (path("source"), path("new/back"), path("empty"));
    std::fs::write(directory.path().join("source"), b"a program").expect("a file");
    std::fs::write(directory.path().join("empty"), b"").expect("a file");
    let (first, second) = (c"/opt/bin1".as_ptr(), c"/opt/bin2".as_ptr());
    let transfer = |from, to, policy| hex(axcl!(client.table, axclrtTransferFile(from, to, policy)));
    assert_eq!(transfer(source.as_ptr(), first, 0), 0);
    assert_eq!(transfer(first, second, 2), 0);
    assert_eq!(transfer(second, back.as_ptr(), 1), 0);
    assert_eq!(std::fs::read(directory.path().join("new/back")).expect("a file"), b"a program");
    assert_eq!(transfer(first, ptr::null(), 3), 0);

    assert_eq!(transfer(first, back.as_ptr(), 1), 0x8030_0C0C);
    assert_eq!(transfer(path("absent").as_ptr(), first, 0), 0x8030_0C81);
    assert_eq!(transfer(empty.as_ptr(), first, 0), 0x8030_0C82);
    assert_eq!(transfer(second, second, 2), 0x8030_0C84);
    assert_eq!(transfer(second, ptr::null(), 2), 0x8030_0C02);
    assert_eq!(transfer(second, first, 9), 0x8030_0C03);
    assert!(client.broken().is_empty());
}

#[test]
fn a_unit_of_cards_takes_memory_of_each() {
    let client = Client::of(2);
    let create = |unit: &ax650_sys::vendor::axclrtP2PUnitInfo, handle: *mut *mut c_void| {
        hex(axcl!(client.table, axclrtCreateP2PUnit(&raw const *unit, handle)))
    };
    let mut unit = ax650_sys::vendor::axclrtP2PUnitInfo::default();
    let mut handle = ptr::null_mut();
    assert_eq!(axcl!(client.table, axclInit(ptr::null())), 0);
    assert_eq!(create(&unit, &raw mut handle), 0x8030_0B03);
    unit.u32DeviceNum = 2;
    unit.n32DeviceId[..2].copy_from_slice(&[DEVICE_ID, DEVICE_ID + 1]);
    unit.u32DeviceMemSize[..2].copy_from_slice(&[1 << 20, 1 << 30]);
    assert_eq!(create(&unit, ptr::null_mut()), 0x8030_0B02);
    assert_eq!(create(&unit, &raw mut handle), 0x8030_0B0B, "the second card is too small");
    assert_eq!(client.card.memory_in_use(), 0, "what the first had given is back");
    unit.u32DeviceMemSize[1] = 2 << 20;
    assert_eq!(create(&unit, &raw mut handle), 0);
    assert_eq!(client.card.memory_in_use(), 3 << 20);
    assert_eq!(axcl!(client.table, axclrtDestoryP2PUnit(handle)), 0);
    assert_eq!(hex(axcl!(client.table, axclrtDestoryP2PUnit(handle))), 0x8030_0B03);
    assert_eq!(client.card.memory_in_use(), 0);
    assert_eq!(axcl!(client.table, axclFinalize()), 0);
    assert!(client.broken().is_empty());
}
