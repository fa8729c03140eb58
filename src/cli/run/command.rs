//! The slash commands of a conversation.

/// A line of the user, understood.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Command<'a> {
    /// Leave.
    Bye,
    /// Forget the conversation.
    Clear,
    /// Show a part of the model's description.
    Show(Section),
    /// Change a setting.
    Set(Setting<'a>),
    /// Print help.
    Help(Topic),
    /// Starts with a slash but is no command; the text says what is wrong.
    Unknown(String),
}

/// What `/show` can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Section {
    Info,
    License,
    Modelfile,
    Parameters,
    System,
    Template,
}

/// What `/set` can change.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Setting<'a> {
    Parameter(Vec<&'a str>),
    System(&'a str),
    History(bool),
    Verbose(bool),
    Think(bool),
}

/// What `/help` can explain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Topic {
    Commands,
    Set,
    Show,
    Shortcuts,
}

/// Reads a line; `None` when it is meant for the model.
pub(super) fn parse(line: &str) -> Option<Command<'_>> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let (first, rest) = words.split_first()?;
    Some(match (*first, rest) {
        ("/bye" | "/exit", _) => Command::Bye,
        ("/clear", _) => Command::Clear,
        ("/show", rest) => show(rest),
        ("/set", rest) => set(line, rest),
        ("/?" | "/help", ["/set" | "set", ..]) => Command::Help(Topic::Set),
        ("/?" | "/help", ["/show" | "show", ..]) => Command::Help(Topic::Show),
        ("/?" | "/help", ["shortcuts", ..]) => Command::Help(Topic::Shortcuts),
        ("/?" | "/help", _) => Command::Help(Topic::Commands),
        // A path such as /etc/hosts is a question, a lone word after a slash is a mistyped command.
        (word, []) if word.starts_with('/') && !word[1..].contains('/') => {
            Command::Unknown(format!("there is no command '{word}'; /? lists them"))
        }
        _ => return None,
    })
}

fn show<'a>(rest: &[&str]) -> Command<'a> {
    match rest {
        [] | ["info"] => Command::Show(Section::Info),
        ["license"] => Command::Show(Section::License),
        ["modelfile"] => Command::Show(Section::Modelfile),
        ["parameters"] => Command::Show(Section::Parameters),
        ["system"] => Command::Show(Section::System),
        ["template"] => Command::Show(Section::Template),
        [other, ..] => Command::Unknown(format!("there is no '/show {other}'; /? show lists what there is")),
    }
}

fn set<'a>(line: &'a str, rest: &[&'a str]) -> Command<'a> {
    Command::Set(match rest {
        ["parameter", values @ ..] => Setting::Parameter(values.to_vec()),
        ["system", ..] => Setting::System(after(line, "system")),
        ["history"] => Setting::History(true),
        ["nohistory"] => Setting::History(false),
        ["verbose"] => Setting::Verbose(true),
        ["quiet"] => Setting::Verbose(false),
        ["think"] => Setting::Think(true),
        ["nothink"] => Setting::Think(false),
        [] => return Command::Help(Topic::Set),
        [other, ..] => {
            return Command::Unknown(format!("there is no '/set {other}'; /? set lists what there is"));
        }
    })
}

/// The text after a word, as typed.
fn after<'a>(line: &'a str, word: &str) -> &'a str {
    line.split_once(word).map_or("", |(_, text)| text.trim())
}

impl Topic {
    /// Help text.
    pub(super) fn text(self) -> String {
        match self {
            Self::Commands => "Commands:\n  \
                /set            change parameters and settings\n  \
                /show           show the model's description\n  \
                /clear          forget the conversation\n  \
                /bye            leave\n  \
                /?, /help       this text; also /? set, /? show, /? shortcuts\n\n\
                Begin a message of several lines with \"\"\" and end it with \"\"\"."
                .to_owned(),
            Self::Set => format!(
                "Settings:\n  \
                /set parameter NAME VALUE   sampling parameters, see below\n  \
                /set system TEXT            system message (empty: the model's own)\n  \
                /set history | nohistory    remember typed lines across sessions\n  \
                /set verbose | quiet        durations and rates after each answer\n  \
                /set think | nothink        let a thinking model think\n\n{}",
                super::parameter::help()
            ),
            Self::Show => "Descriptions:\n  \
                /show info         family, size, context length\n  \
                /show license      licence text\n  \
                /show modelfile    as a Modelfile\n  \
                /show parameters   parameters of the model and of this session\n  \
                /show system       system message\n  \
                /show template     chat template"
                .to_owned(),
            Self::Shortcuts => "Keys:\n  \
                Ctrl-C   stop the answer; on an empty line: remind how to leave\n  \
                Ctrl-D   leave\n  \
                Ctrl-A, Ctrl-E   beginning and end of the line\n  \
                Ctrl-W, Ctrl-K, Ctrl-U   delete a word, to the end, to the beginning\n  \
                Ctrl-R   search the history; Up and Down walk through it\n  \
                Ctrl-L   clear the screen"
                .to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_for_the_model_are_left_alone() {
        for line in ["hello", "what is /etc/hosts for", "/etc/hosts has what in it?", "/usr/bin", "1/2", ""] {
            assert_eq!(parse(line), None, "{line:?}");
        }
    }

    #[test]
    fn commands_are_understood() {
        assert_eq!(parse("/bye"), Some(Command::Bye));
        assert_eq!(parse("  /show license "), Some(Command::Show(Section::License)));
        assert_eq!(
            parse("/set system  Answer in   rhyme. "),
            Some(Command::Set(Setting::System("Answer in   rhyme.")))
        );
        assert_eq!(
            parse("/set parameter stop a b"),
            Some(Command::Set(Setting::Parameter(vec!["stop", "a", "b"])))
        );
        assert_eq!(parse("/? set"), Some(Command::Help(Topic::Set)));
        assert!(matches!(parse("/quit"), Some(Command::Unknown(_))));
        assert!(matches!(parse("/set colour red"), Some(Command::Unknown(_))));
    }
}
