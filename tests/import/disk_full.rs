//! A disk that fills up in the middle of an import.
//!
//! The test starts itself again under a limit on the size of files, which makes writes fail as a full disk does. The
//! signal that goes with the limit is ignored by the shell and so by the child.

use std::path::PathBuf;
use std::process::Command;

use ax650::models::import::{ImportError, ImportOptions};
use ax650::models::store::Store;

use crate::fixture::{Workshop, files, tiny};

const ROOT: &str = "AX650_TEST_IMPORT_ROOT";
const SOURCE: &str = "AX650_TEST_IMPORT_SOURCE";

#[test]
fn nothing_is_left_on_a_full_disk() {
    let workshop = Workshop::new();
    // A model of that name stays as it was.
    let options = ImportOptions { context: Some(9), ..ImportOptions::default() };
    let before = workshop.create("tiny", &tiny("llama").bytes(), &options).unwrap();
    let kept = workshop.left();
    let source = workshop.source(&tiny("llama").bytes());
    // In units of 512 bytes: from the first byte of a layer to within the last file.
    for blocks in [0, 1, 16, 60] {
        let output = Command::new("sh")
            .args(["-c", "trap '' XFSZ; ulimit -f \"$1\"; shift; exec \"$@\"", "sh", &blocks.to_string()])
            .arg(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "--ignored",
                "--test-threads=1",
                "--nocapture",
                "disk_full::import_under_a_limit",
            ])
            .env(ROOT, workshop.root())
            .env(SOURCE, &source)
            .output()
            .unwrap();
        let text =
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{blocks}: {text}");
        assert!(
            text.contains("refused: cannot write") && text.contains("nothing was kept"),
            "{blocks}: {text}"
        );
        assert_eq!(files(&workshop.root()), kept, "{blocks}");
        let store = Store::open(workshop.root());
        assert_eq!(store.resolve(&before.name).unwrap().digest, before.digest);
    }
}

#[test]
#[ignore = "a part of nothing_is_left_on_a_full_disk"]
fn import_under_a_limit() {
    let (Some(root), Some(source)) = (std::env::var_os(ROOT), std::env::var_os(SOURCE)) else { return };
    let store = Store::open(PathBuf::from(root));
    let name = "tiny".parse().unwrap();
    let result = store.import(&name, &PathBuf::from(source), &ImportOptions::default(), &mut |_| {});
    let error = result.unwrap_err();
    assert!(matches!(error, ImportError::Write { .. }), "{error}");
    println!("refused: {error}");
}
