//! `ax650 create -f` and `ax650 cp`, with and without a server.

use crate::program::{Program, stderr, stdout};

const MODELFILE: &str = "# a test\nFROM tiny\nPARAMETER num_predict 4\nPARAMETER stop \"<|x|>\"\n\
    TEMPLATE \"\"\"{{ if .System }}[{{ .System }}]{{ end }}<{{ .Prompt }}>\"\"\"\nSYSTEM Be brief.\nMESSAGE user hi\n\
    MESSAGE assistant \"ho\"\nLICENSE MIT\n";

fn shown(program: &Program, model: &str, part: &str) -> String {
    stdout(&program.run(&["show", model, part]).success())
}

#[test]
fn a_modelfile_makes_a_model_of_a_model() {
    let program = Program::new();
    program.create("tiny");
    let file = program.path("Modelfile");
    std::fs::write(&file, MODELFILE).unwrap();
    let made = stdout(&program.run(&["create", "mine", "-f", file.to_str().unwrap()]).success());
    assert!(made.starts_with("created 'mine:latest': llama"), "{made}");
    assert_eq!(shown(&program, "mine", "--system"), "Be brief.\n");
    assert_eq!(
        shown(&program, "mine", "--template"),
        "{{ if .System }}[{{ .System }}]{{ end }}<{{ .Prompt }}>\n"
    );
    assert_eq!(shown(&program, "mine", "--license"), "MIT\n");
    let parameters = shown(&program, "mine", "--parameters");
    assert!(parameters.contains("num_predict                    4"), "{parameters}");

    // What is shown makes the same model again, without the one it was made of.
    let modelfile = shown(&program, "mine", "--modelfile");
    assert!(modelfile.contains("MESSAGE assistant \"ho\""), "{modelfile}");
    std::fs::write(&file, &modelfile).unwrap();
    program.run(&["rm", "tiny"]).success();
    program.run(&["create", "again", "-f", file.to_str().unwrap()]).success();
    let end = |text: &str| text.split_once("TEMPLATE").unwrap().1.to_owned();
    assert_eq!(end(&shown(&program, "again", "--modelfile")), end(&modelfile));
    assert!(!stdout(&program.run(&["run", "again", "hello"]).success()).is_empty());
}

#[test]
fn a_modelfile_makes_a_model_of_a_file_beside_it() {
    let program = Program::new();
    crate::gguf::write_tiny_llama(&program.path("tiny.gguf"));
    let file = program.path("Modelfile");
    std::fs::write(&file, "FROM ./tiny.gguf\nSYSTEM Be brief.").unwrap();
    let file = file.to_str().unwrap();
    program.run(&["create", "mine", "-f", file, "--context", "128"]).success();
    assert_eq!(shown(&program, "mine", "--system"), "Be brief.\n");
}

#[test]
fn mistakes_in_a_modelfile_are_told_by_line() {
    let program = Program::new();
    let file = program.path("Modelfile");
    for (text, message) in [
        ("FROM tiny\nPARAMETER heat 1", "line 2: unknown parameter 'heat'"),
        ("FROM tiny\nTEMPLATE \"{{ .Prompt\"", "TEMPLATE: chat template failed: line 1: unclosed action"),
        ("FROM nothing", "FROM nothing is neither a model of the store nor a file"),
        ("FROM ./absent.gguf", "absent.gguf"),
        ("SYSTEM x", "no FROM line"),
        ("FROM tiny\nADAPTER x", "line 2: ADAPTER is not supported"),
    ] {
        std::fs::write(&file, text).unwrap();
        let told = stderr(&program.run(&["create", "mine", "-f", file.to_str().unwrap()]).code(1));
        assert!(told.contains(message), "{told}");
    }
    assert!(!stdout(&program.run(&["list"]).success()).contains("mine"));
}

#[test]
fn a_copy_is_a_model_of_its_own() {
    let program = Program::new();
    program.create("tiny");
    assert_eq!(stdout(&program.run(&["cp", "tiny", "other"]).success()), "copied 'tiny' to 'other'\n");
    program.run(&["rm", "tiny"]).success();
    assert!(stdout(&program.run(&["list"]).success()).contains("other:latest"));
    assert!(stderr(&program.run(&["cp", "tiny", "x"]).code(1)).contains("model 'tiny' not found"));
    assert!(stderr(&program.run(&["cp", "other", "a b"]).code(1)).contains("invalid"));
}
