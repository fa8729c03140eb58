//! The command line in a run script of the vendor's packages, read and never run.
//!
//! Only what such scripts contain is understood: commands over several lines, quotes, comments, variables set to plain
//! text before. A word that needs a shell (`$(...)`, an unknown variable) is kept with the reason why its value is not
//! known; that is an error only if the value is needed.

use std::collections::BTreeMap;

/// Longest script that is read, in bytes.
pub const MAX_SCRIPT_BYTES: u64 = 256 << 10;
/// Longest word after variables are filled in; a few lines can otherwise double themselves into gigabytes.
const MAX_WORD_CHARACTERS: usize = 16 << 10;
/// What is kept of a word that is too long.
const KEPT_CHARACTERS: usize = 256;
/// The flag that every script which starts a model has.
const LAYERS_FLAG: &str = "template_filename_axmodel";

/// The command that starts the model.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Script {
    /// The program, as written.
    pub program: String,
    /// Flags without their dashes; a flag without a value has an empty one.
    pub flags: BTreeMap<String, Word>,
}

/// A word of a command.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Word {
    /// Its text.
    pub text: String,
    /// What in it only a shell could know, e.g. `$PORT`.
    pub unknown: Option<String>,
}

/// The command of `text` that starts a model, if there is one.
pub fn parse(text: &str) -> Option<Script> {
    let mut variables = BTreeMap::new();
    Reader { rest: text.chars().collect(), at: 0 }
        .commands(&mut variables)
        .into_iter()
        .find_map(|words| command(&words))
}

fn command(words: &[Word]) -> Option<Script> {
    let mut script = Script { program: words.first()?.text.clone(), ..Script::default() };
    let mut words = words.iter().skip(1).peekable();
    while let Some(word) = words.next() {
        let Some(flag) = word.text.strip_prefix("--").or_else(|| word.text.strip_prefix('-')) else {
            continue;
        };
        if flag.is_empty() {
            continue;
        }
        if let Some((name, value)) = flag.split_once('=') {
            let value = Word { text: value.to_owned(), unknown: word.unknown.clone() };
            script.flags.insert(name.to_owned(), value);
            continue;
        }
        let value = words.next_if(|next| !next.text.starts_with("--")).cloned().unwrap_or_default();
        script.flags.insert(flag.to_owned(), value);
    }
    script.flags.contains_key(LAYERS_FLAG).then_some(script)
}

struct Reader {
    rest: Vec<char>,
    at: usize,
}

impl Reader {
    fn peek(&self) -> Option<char> {
        self.rest.get(self.at).copied()
    }

    fn take(&mut self) -> Option<char> {
        let found = self.peek();
        self.at += usize::from(found.is_some());
        found
    }

    /// All commands; assignments go into `variables` on the way.
    fn commands(&mut self, variables: &mut BTreeMap<String, Word>) -> Vec<Vec<Word>> {
        let mut commands = Vec::new();
        let mut words: Vec<Word> = Vec::new();
        while let Some(character) = self.peek() {
            match character {
                '\n' | ';' | '&' | '|' => {
                    self.at += 1;
                    end(&mut words, &mut commands, variables);
                }
                '#' => {
                    while self.peek().is_some_and(|character| character != '\n') {
                        self.at += 1;
                    }
                }
                '\\' if self.line_continues() => {}
                character if character.is_whitespace() => self.at += 1,
                _ => words.push(self.word(variables)),
            }
        }
        end(&mut words, &mut commands, variables);
        commands
    }

    /// Steps over a backslash at the end of a line, blanks behind it included: a frequent slip.
    fn line_continues(&mut self) -> bool {
        let mut at = self.at + 1;
        while self.rest.get(at).is_some_and(|character| matches!(character, ' ' | '\t' | '\r')) {
            at += 1;
        }
        match self.rest.get(at) {
            Some('\n') => self.at = at + 1,
            None => self.at = at,
            Some(_) => return false,
        }
        true
    }

    fn word(&mut self, variables: &BTreeMap<String, Word>) -> Word {
        let mut word = Word::default();
        let mut quote = None;
        while let Some(character) = self.peek() {
            match (quote, character) {
                (None, ';' | '&' | '|') => break,
                (None, character) if character.is_whitespace() => break,
                (None, '\\') if self.line_continues() => break,
                (None, '\'' | '"') => {
                    quote = Some(character);
                    self.at += 1;
                }
                (Some(open), character) if character == open => {
                    quote = None;
                    self.at += 1;
                }
                (None | Some('"'), '\\') => {
                    self.at += 1;
                    // Within quotes the backslash stays before what it does not protect.
                    let next = self.take();
                    if quote.is_some() && !matches!(next, Some('"' | '\\' | '$' | '`' | '\n')) {
                        word.text.push('\\');
                    }
                    word.text.extend(next.filter(|next| *next != '\n'));
                }
                (None | Some('"'), '$' | '`') => self.variable(variables, &mut word),
                (_, other) => {
                    word.text.push(other);
                    self.at += 1;
                }
            }
            if word.text.len() > MAX_WORD_CHARACTERS {
                word.unknown.get_or_insert_with(|| "a value that is too long".to_owned());
                // The name of a variable that is being set stays.
                word.text = word.text.chars().take(KEPT_CHARACTERS).collect();
            }
        }
        word
    }

    /// What a dollar sign or a backtick begins.
    fn variable(&mut self, variables: &BTreeMap<String, Word>, word: &mut Word) {
        let start = self.at;
        if self.take() == Some('`') {
            word.unknown.get_or_insert_with(|| "`...`".to_owned());
            return;
        }
        let braces = self.peek() == Some('{');
        self.at += usize::from(braces);
        let mut name = String::new();
        while let Some(character) = self.peek().filter(|c| c.is_ascii_alphanumeric() || *c == '_') {
            name.push(character);
            self.at += 1;
        }
        let closed = !braces || self.take() == Some('}');
        if let Some(value) = variables.get(&name).filter(|_| closed && !name.is_empty()) {
            word.text.push_str(&value.text);
            word.unknown = word.unknown.take().or_else(|| value.unknown.clone());
        } else {
            let shown: String = self.rest[start..self.at].iter().take(40).collect();
            word.unknown.get_or_insert(shown);
        }
    }
}

/// Ends a command. One that consists of assignments sets variables.
fn end(words: &mut Vec<Word>, commands: &mut Vec<Vec<Word>>, variables: &mut BTreeMap<String, Word>) {
    let mut words = std::mem::take(words);
    if words.first().is_some_and(|word| matches!(word.text.as_str(), "export" | "nohup" | "exec" | "sudo")) {
        words.remove(0);
    }
    while let Some((name, value)) = words.first().and_then(assignment) {
        variables.insert(name, value);
        words.remove(0);
    }
    if !words.is_empty() {
        commands.push(words);
    }
}

fn assignment(word: &Word) -> Option<(String, Word)> {
    let (name, value) = word.text.split_once('=')?;
    let is_name = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    is_name.then(|| (name.to_owned(), Word { text: value.to_owned(), unknown: word.unknown.clone() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flag(text: &str, name: &str) -> String {
        parse(text).unwrap().flags[name].text.clone()
    }

    #[test]
    fn reads_what_the_packages_ship() {
        let text = r#"#!/bin/sh
# start with "care" $(not a command)
AXMODEL_DIR=./weights/
export PORT=12345
./main_axcl_aarch64 \
--system_prompt "You are \"Qwen\", created by Alibaba. It's you." \
--template_filename_axmodel "${AXMODEL_DIR}qwen3_p128_l%d_together.axmodel" \
--axmodel_num 36 \ 
--url_tokenizer_model "http://127.0.0.1:$PORT" \
--filename_post_axmodel $AXMODEL_DIR'qwen3_post.axmodel' \
--bos=0 -p --live_print 1 --prompt "$1"

# --system_prompt "other"
kill $!
"#;
        let script = parse(text).unwrap();
        assert_eq!(script.program, "./main_axcl_aarch64");
        assert_eq!(flag(text, "system_prompt"), "You are \"Qwen\", created by Alibaba. It's you.");
        assert_eq!(flag(text, "template_filename_axmodel"), "./weights/qwen3_p128_l%d_together.axmodel");
        assert_eq!(flag(text, "axmodel_num"), "36");
        assert_eq!(flag(text, "url_tokenizer_model"), "http://127.0.0.1:12345");
        assert_eq!(flag(text, "filename_post_axmodel"), "./weights/qwen3_post.axmodel");
        assert_eq!(
            (flag(text, "bos"), flag(text, "p"), flag(text, "live_print")),
            ("0".into(), String::new(), "1".into())
        );
        assert_eq!(script.flags["prompt"].unknown.as_deref(), Some("$1"));
        assert_eq!(script.flags["system_prompt"].unknown, None);
    }

    #[test]
    fn finds_the_command_among_others() {
        let text = "cd x && python t.py --port 1 &\nsleep 8; ./main --template_filename_axmodel a%d 2>&1 | tee log\n";
        assert_eq!(flag(text, LAYERS_FLAG), "a%d");
        assert_eq!(parse("echo --template\nls\n"), None);
        assert_eq!(parse(""), None);
    }

    #[test]
    fn what_only_a_shell_knows_is_marked() {
        let unknown = |text: &str| parse(text).unwrap().flags[LAYERS_FLAG].unknown.clone();
        assert_eq!(unknown("./main --template_filename_axmodel $DIR/l%d").as_deref(), Some("$DIR"));
        assert_eq!(unknown("./main --template_filename_axmodel ${DIR:-x}/l%d").as_deref(), Some("${DIR:"));
        assert_eq!(unknown("./main --template_filename_axmodel `pwd`/l%d").as_deref(), Some("`...`"));
        assert_eq!(unknown("D=$(pwd)\n./main --template_filename_axmodel $D/l%d").as_deref(), Some("$"));
        assert_eq!(unknown("./main --template_filename_axmodel '$D/l%d'"), None);
    }

    #[test]
    fn values_cannot_double_without_end() {
        let mut text = "A=aaaaaaaaaaaaaaaa\n".to_owned();
        for _ in 0..60 {
            text.push_str("A=$A$A\n");
        }
        text.push_str("./main --template_filename_axmodel $A\n");
        let word = &parse(&text).unwrap().flags[LAYERS_FLAG];
        assert!(word.unknown.is_some() && word.text.len() <= 2 * MAX_WORD_CHARACTERS);
    }
}
