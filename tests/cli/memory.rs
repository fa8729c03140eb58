//! Bodies made to take more memory or time than they are long.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::program::Program;

const MIB: usize = 1 << 20;

/// Sends a body and returns the status of the answer.
fn post(program: &Program, path: &str, body: &[u8]) -> u16 {
    let mut socket = TcpStream::connect(program.host()).unwrap();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    socket.write_all(head.as_bytes()).unwrap();
    socket.write_all(body).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

/// `begin`, as many of `item` as stay below `bytes`, `end`.
fn filled(begin: &str, item: &str, end: &str, bytes: usize) -> Vec<u8> {
    [begin, &item.repeat(bytes / item.len()), end].concat().into_bytes()
}

#[test]
fn values_take_no_more_memory_than_is_set_aside() {
    let mut program = Program::new();
    let server = program.serve();
    let before = server.peak_memory();
    // Far too many values: refused when they come.
    for item in ["0,", "[],", r#"{"":0},"#, r#""a","#, r#""":{"":[]},"#] {
        let object = item.starts_with(r#""":"#);
        let (begin, end) = if object { (r#"{"x":{"#, "}}") } else { (r#"{"x":["#, "0]}") };
        assert_eq!(post(&program, "/api/generate", &filled(begin, item, end, 60 * MIB)), 400, "{item}");
    }
    let refused = server.peak_memory() - before;
    assert!(refused < 200 * MIB, "{} MiB", refused / MIB);
    // As many as are read; the model is not there.
    for (item, most) in [("0,", 1_390_000), ("[],", 460_000), (r#"{"":0},"#, 275_000), (r#""a","#, 1_390_000)]
    {
        let body = filled(r#"{"x":["#, item, "0]}", item.len() * most);
        assert_eq!(post(&program, "/api/generate", &body), 404, "{item}");
    }
    let read = server.peak_memory() - before;
    assert!(read < 350 * MIB, "{} MiB", read / MIB);
    println!("refused {} MiB, read {} MiB", refused / MIB, read / MIB);
    assert_eq!(server.terminate().0, Some(0));
}

#[test]
fn long_prompts_take_what_their_window_takes() {
    let mut program = Program::new();
    program.create("tiny");
    let server = program.serve();
    let model = r#"{"model":"tiny","stream":false,"options":{"num_predict":1},"#;
    let ask = |path: &str, input: &str, item: &str, end: &str, bytes: usize| {
        let body = filled(&[model, input].concat(), item, end, bytes);
        assert_eq!(post(&program, path, &body), 200, "{input}");
    };
    ask("/api/generate", r#""prompt":""#, "word ", r#""}"#, 1000);
    let before = server.peak_memory();
    ask("/api/generate", r#""raw":true,"prompt":""#, "word ", r#""}"#, 70 * MIB);
    ask("/api/generate", r#""prompt":""#, " ", r#""}"#, 70 * MIB);
    ask("/api/chat", r#""messages":[{"role":"user","content":""#, "a\\n", r#""}]}"#, 70 * MIB);
    let message = [r#"{"role":"user","content":""#, &"word ".repeat(100_000), r#""},"#].concat();
    ask("/api/chat", r#""messages":["#, &message, r#"{"role":"user","content":"x"}]}"#, 70 * MIB);
    let took = server.peak_memory() - before;
    println!("{} MiB", took / MIB);
    // The body, its texts as they came and as they are, and little more.
    assert!(took < 300 * MIB, "{} MiB", took / MIB);
    assert_eq!(server.terminate().0, Some(0));
}

#[test]
fn what_a_template_makes_takes_what_the_window_takes() {
    let mut program = Program::new();
    program.create("tiny");
    let create = |name: &str, template: &str| {
        let file = program.path("Modelfile");
        std::fs::write(&file, format!("FROM tiny\nTEMPLATE \"\"\"{template}\"\"\"\n")).unwrap();
        program.run(&["create", name, "-f", file.to_str().unwrap()]).success();
    };
    create(
        "caller",
        "{% for tool in tools or [] %}{{ tool.function.description }}{% endfor %}\
        {% for m in messages %}<{{ m.role }}> {{ m.content }}\
        {% for call in m.tool_calls or [] %}<tool_call>{{ call.function.arguments.x }}{% endfor %}{% endfor %}",
    );
    create("filler", &["{{ .Prompt }}".repeat(4000), "{{ .Suffix }}".to_owned()].concat());
    let server = program.serve();
    let generate = |model: &str, fields: &str| {
        let end = r#","stream":false,"options":{"num_predict":1}}"#;
        let body = [r#"{"model":""#, model, "\",", fields, end].concat();
        assert_eq!(post(&program, "/api/generate", body.as_bytes()), 200, "{model}");
    };
    let chat = |begin: &str, item: &str, end: &str| {
        let model = r#"{"model":"caller","stream":false,"options":{"num_predict":1},"#;
        let body = filled(&[model, begin].concat(), item, end, 15 * MIB);
        assert_eq!(post(&program, "/api/chat", &body), 200, "{end}");
    };
    generate("tiny", r#""prompt":"b""#);
    let before = server.peak_memory();
    // Each of two messages for each of two messages, and so on: some 60 MB out of two letters.
    let loops = 16;
    let text = "a word ".repeat(130);
    let nested = ["{{ range $.Messages }}".repeat(loops), text, "{{ end }}".repeat(loops)].concat();
    let nested = format!(r#""system":"a","prompt":"b","template":"{nested}""#);
    generate("tiny", &nested);
    generate("tiny", &format!(r#"{nested},"context":[1,2]"#));
    generate("filler", &format!(r#""prompt":"{}","suffix":"b""#, "a word ".repeat(600)));
    let described = |text: &str| {
        format!(
            r#"{{"type":"function","function":{{"name":"f","parameters":{{}},"description":"{text}"}}}},"#
        )
    };
    let long = described(&"a word ".repeat(75_000));
    let end = format!(
        r#"{}],"messages":[{{"role":"user","content":"hi"}}]}}"#,
        described("").trim_end_matches(',')
    );
    chat(r#""tools":["#, &long, &end);
    let begin = r#""messages":[{"role":"user","content":"hi"},{"role":"assistant","tool_calls":[{"function":
        {"name":"f","arguments":{"x":""#;
    chat(begin, "a word ", r#""}}}]}]}"#);
    let took = server.peak_memory() - before;
    println!("{} MiB", took / MIB);
    assert!(took < 300 * MIB, "{} MiB", took / MIB);
    assert_eq!(server.terminate().0, Some(0));
}
