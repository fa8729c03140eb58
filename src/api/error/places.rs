//! Where things lie on this machine is for its owner, in the log; clients read names of files in errors. A path is told
//! by its form, so of one with a blank in it the rest stays. `/api/show` says where a model lies, as upstream does.

use std::borrow::Cow;

/// Cuts every absolute path in a text down to its last component. A blank ends a path.
pub(super) fn without_directories(text: &str) -> Cow<'_, str> {
    let mut out = String::new();
    let mut done = 0;
    while let Some(start) = path_start(text, done) {
        let end = text[start..].find(ends_path).map_or(text.len(), |length| start + length);
        let path = text[start..end].trim_end_matches('/');
        let name = path.rsplit('/').next().unwrap_or_default();
        out.push_str(&text[done..start]);
        out.push_str(name);
        done = end;
    }
    if done == 0 {
        return text.into();
    }
    out.push_str(&text[done..]);
    out.into()
}

/// Where the next absolute path begins: at a slash that continues nothing.
fn path_start(text: &str, from: usize) -> Option<usize> {
    let begins = |at: &usize| {
        let before = text[..*at].chars().next_back();
        let after = text[at + 1..].chars().next();
        before.is_none_or(|c| c.is_whitespace() || "([{\"'`=".contains(c))
            && after.is_some_and(|c| c != '/' && !ends_path(c))
    };
    text[from..].match_indices('/').map(|(at, _)| from + at).find(begins)
}

fn ends_path(character: char) -> bool {
    character.is_whitespace() || ":;,()[]{}\"'`".contains(character)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_files_are_left() {
        for (text, shown) in [
            ("cannot read /home/a/models/x.gguf: no such file", "cannot read x.gguf: no such file"),
            ("/a/b/c.axmodel is gone (/d/e links to it)", "c.axmodel is gone (e links to it)"),
            ("model directory /a/latest/ has no x", "model directory latest has no x"),
            ("path=\"/a/b\"", "path=\"b\""),
        ] {
            assert_eq!(without_directories(text), shown);
        }
        for text in ["and/or, 1 / 2, https://a/b, registry.ollama.ai/library/m", "/", "//", ""] {
            assert_eq!(without_directories(text), text);
        }
    }
}
