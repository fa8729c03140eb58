use super::*;

#[test]
fn every_profile_reads_and_every_number_has_a_source() {
    for name in Profile::names() {
        let profile = Profile::named(name).unwrap();
        assert_eq!(profile.name(), *name);
        assert!(!profile.summary().is_empty());
        for (figure, Figure { source, .. }) in profile.figures() {
            assert!(source.len() > 10, "{name}: {figure} has no source");
        }
    }
    assert_eq!(Profile::named("board-ax650n").unwrap().interface(), Interface::Board);
    assert_eq!(Profile::named("pi5-llm8850").unwrap().device_memory_bytes(), 7040 << 20);
}

#[test]
fn an_unknown_name_lists_the_known_ones() {
    let error = Profile::named("pi6").unwrap_err().to_string();
    assert!(error.contains("`pi6`") && error.contains("pi5-llm8850"), "{error}");
}

/// Reads the text of a profile that has one line changed.
fn changed(from: &str, to: &str) -> Result<Profile, ProfileError> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("own.toml");
    let text = EMBEDDED[2].1;
    assert!(text.contains(from));
    fs::write(&path, text.replacen(from, to, 1)).unwrap();
    Profile::read(&path)
}

#[test]
fn a_file_of_ones_own_is_named_after_it() {
    let profile = changed("value = 457", "value = 100.5").unwrap();
    assert_eq!(profile.name(), "own");
    assert!((profile.layer_call_us.value - 100.5).abs() < 1e-9);
}

#[test]
fn bad_files_are_explained() {
    let cases = [
        ("value = 457", "value = ", "line "),
        ("value = 457", "value = \"fast\"", "invalid type"),
        ("value = 457", "value = -1", "layer_call_us is -1; it must be between 0"),
        ("value = 457", "value = nan", "layer_call_us is NaN"),
        ("value = 2.6", "value = 0", "chunk_tops is 0; it must be above 0"),
        ("value = 7040", "value = inf", "device_memory_mib is inf"),
        ("[layer_call_us]", "[layer_cost_us]", "unknown field `layer_cost_us`"),
        ("interface = \"pcie\"", "interface = \"usb\"", "unknown variant `usb`"),
        ("source = \"our choice", "sauce = \"our choice", "unknown field `sauce`"),
    ];
    for (from, to, expected) in cases {
        let error = changed(from, to).unwrap_err().to_string();
        assert!(error.contains(expected) && error.contains("own.toml"), "{to}: {error}");
    }
    let missing = Profile::read(Path::new("/absent/own.toml")).unwrap_err().to_string();
    assert!(missing.contains("/absent/own.toml"), "{missing}");
}
