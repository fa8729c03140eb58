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
