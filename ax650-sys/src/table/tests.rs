//! Nothing that the headers declare is forgotten in the tables.

use std::collections::BTreeSet;
use std::path::Path;

macro_rules! names {
    ($($(variadic)? fn $name:ident($($parameter:ident: $type:ty),*) -> $result:ty;)*) => {
        [$(stringify!($name)),*].as_slice()
    };
}

/// A `va_list` has another type on every architecture, so these are in no table.
const WITH_VA_LIST: &str = "ax_log.h";

fn without_comments(text: &str) -> String {
    let mut parts = text.split("/*");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |kept, part| kept + part.split_once("*/").expect("a comment with an end").1)
}

/// The functions that a header declares: a word before a parenthesis, at the end of a line's first statement.
fn declared(header: &Path) -> BTreeSet<String> {
    let text = without_comments(&std::fs::read_to_string(header).expect("a header"));
    let code: String = text.lines().filter(|line| !line.starts_with('#')).flat_map(|l| [l, " "]).collect();
    let names = code.split(';').filter(|statement| !statement.trim_start().starts_with("typedef"));
    names
        .filter_map(|statement| statement.split_once('(').map(|(head, _)| head))
        .filter_map(|head| head.rsplit(|c: char| !c.is_alphanumeric() && c != '_').next())
        .filter(|name| name.starts_with("ax") || name.starts_with("AX"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_function_of_the_headers_is_in_a_table() {
    let include = Path::new(env!("CARGO_MANIFEST_DIR")).join("../vendor/include");
    let mut in_headers = BTreeSet::new();
    for entry in std::fs::read_dir(include).expect("the headers") {
        let path = entry.expect("an entry").path();
        if !path.ends_with(WITH_VA_LIST) {
            in_headers.extend(declared(&path));
        }
    }
    let tables =
        [crate::pcie_functions!(names), crate::board_functions!(names), crate::native_functions!(names)];
    let in_tables: BTreeSet<String> = tables.concat().into_iter().map(str::to_owned).collect();
    assert_eq!(in_tables.len(), tables.iter().map(|table| table.len()).sum::<usize>(), "no name twice");
    assert!(in_headers.len() > 250, "{}", in_headers.len());
    let missing: Vec<_> = in_headers.symmetric_difference(&in_tables).collect();
    assert!(missing.is_empty(), "in one of headers and tables only: {missing:?}");
}
