//! The text side of one model: its tokenizer, its template and the tokens that end its answers.

use std::{
    collections::BTreeSet,
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use serde_json::Value;
use tokenizers::Tokenizer;

use super::{
    BYTES_PER_TOKEN, ChatTemplate, Detokenizer, FillInMiddle, Fitted, Grammar, GrammarError, GrammarSpec,
    Message, RenderOptions, SpelledTokens, TextError, ThinkingTags, Thoughts, TokenId, ToolFormat,
    bounded::encode_within, end_of_generation::is_end_text, fit, grammar::Vocabulary,
    token_table::TokenTable,
};

/// Why a template of a request is refused.
pub const JINJA_OF_A_STRANGER: &str = "a request may bring a template in the language of Go, or the model's own; \
    one in Jinja can be given to a model with `ax650 create -f`";

/// Tokenizer, chat template and end-of-generation tokens of a model. Shared between threads.
#[derive(Debug, Clone)]
pub struct TextModel {
    tokenizer: Arc<Tokenizer>,
    table: Arc<TokenTable>,
    template: Option<Arc<ChatTemplate>>,
    bos_text: Option<String>,
    eos_text: Option<String>,
    end_ids: Arc<[TokenId]>,
    /// Special tokens that are marks of calls or tags of thoughts, in whichever format.
    marks: SpelledTokens,
    /// Made when the first grammar is asked for: most models never need it.
    vocabulary: Arc<OnceLock<Result<Vocabulary, GrammarError>>>,
}

impl TextModel {
    /// Opens the text files of a model directory.
    ///
    /// - `tokenizer.json`: required, in Hugging Face's format.
    /// - `tokenizer_config.json`: optional; `bos_token`, `eos_token`, and `chat_template` if there is no file for it.
    /// - `generation_config.json`: optional; `eos_token_id`, a number or a list.
    /// - `chat_template.jinja`: optional.
    ///
    /// # Errors
    ///
    /// [`TextError::Io`] and [`TextError::File`] name the file; [`TextError::Template`] if the template does not
    /// compile.
    pub fn open(dir: &Path) -> Result<Self, TextError> {
        let path = dir.join("tokenizer.json");
        let bytes = fs::read(&path).map_err(|source| TextError::Io { path: path.clone(), source })?;
        let tokenizer = Tokenizer::from_bytes(&bytes)
            .map_err(|error| TextError::File { path: path.clone(), reason: error.to_string() })?;
        let tokenizer_config = read_json(dir.join("tokenizer_config.json"))?;
        let generation_config = read_json(dir.join("generation_config.json"))?;
        let template = template_in(dir, &tokenizer_config)?;
        Self::from_parts(tokenizer, &tokenizer_config, &generation_config, template)
    }

    /// Opens only the chat template of a model directory, the one that [`TextModel::open`] would use. Takes a
    /// millisecond where opening the tokenizer takes a hundred.
    ///
    /// # Errors
    ///
    /// As [`TextModel::open`].
    pub fn open_template(dir: &Path) -> Result<Option<ChatTemplate>, TextError> {
        template_in(dir, &read_json(dir.join("tokenizer_config.json"))?)
    }

    /// Returns the model made of a tokenizer and the contents of the configuration files (`Null` if there is none).
    pub(crate) fn from_parts(
        mut tokenizer: Tokenizer,
        tokenizer_config: &Value,
        generation_config: &Value,
        template: Option<ChatTemplate>,
    ) -> Result<Self, TextError> {
        // A tokenizer.json may carry the truncation and padding of its training.
        tokenizer.with_padding(None);
        tokenizer.with_truncation(None).map_err(|error| TextError::Encode(error.to_string()))?;
        let table = Arc::new(TokenTable::new(&tokenizer)?);
        let bos_text = token_text(&tokenizer_config["bos_token"]);
        let eos_text = token_text(&tokenizer_config["eos_token"]);
        let end_ids = end_ids(&tokenizer, eos_text.as_deref(), &generation_config["eos_token_id"]);
        let marks = marks(&tokenizer, &table);
        Ok(Self {
            tokenizer: Arc::new(tokenizer),
            table,
            template: template.map(Arc::new),
            bos_text,
            eos_text,
            end_ids: end_ids.into(),
            marks,
            vocabulary: Arc::default(),
        })
    }

    /// Returns the same model with a template that a client or a Modelfile gave in place of its own; see
    /// [`ChatTemplate::given`]. The tokenizer is shared.
    ///
    /// # Errors
    ///
    /// [`TextError::Template`] with the line if its syntax is not understood.
    pub fn with_template(&self, source: &str) -> Result<Self, TextError> {
        let template = ChatTemplate::given(source.to_owned(), self.bos_text.clone(), self.eos_text.clone())?;
        Ok(Self { template: Some(Arc::new(template)), ..self.clone() })
    }

    /// As [`TextModel::with_template`], for a template that came in a request: one in the language of Go, or the
    /// model's own, as clients send back what they were shown. Other Jinja is for owners of models: no client of Ollama
    /// sends it.
    ///
    /// # Errors
    ///
    /// [`TextError::Template`] if it is neither.
    pub fn with_template_of_request(&self, source: &str) -> Result<Self, TextError> {
        if self.template_source().is_some_and(|own| own.trim() == source.trim()) {
            return Ok(self.clone());
        }
        let given = self.with_template(source)?;
        if given.template.as_ref().is_some_and(|template| template.is_jinja()) {
            return Err(TextError::Template(JINJA_OF_A_STRANGER.into()));
        }
        Ok(given)
    }

    /// Returns the tokens of a text. Special tokens written in the text are recognised.
    ///
    /// `add_special` puts the beginning-of-sequence token before it, if this model wants one.
    pub fn encode(&self, text: &str, add_special: bool) -> Result<Vec<TokenId>, TextError> {
        let encoding = self
            .tokenizer
            .encode_fast(text, add_special)
            .map_err(|error| TextError::Encode(error.to_string()))?;
        Ok(encoding.get_ids().to_vec())
    }

    /// Returns the tokens of a prompt that a template made: as [`TextModel::encode`] with `add_special`, but a prompt
    /// that already begins with the beginning-of-sequence token does not get a second one.
    pub fn encode_prompt(&self, prompt: &str) -> Result<Vec<TokenId>, TextError> {
        let has_bos = self.bos_text.as_deref().is_some_and(|bos| !bos.is_empty() && prompt.starts_with(bos));
        self.encode(prompt, !has_bos)
    }

    /// Returns the tokens of a text with the marks that this model puts around it, at most `limit`: the end of the text
    /// is cut, the marks stay.
    ///
    /// # Errors
    ///
    /// [`TextError::PromptTooLong`] if the marks alone leave no room for a token of the text.
    pub fn encode_within(&self, text: &str, limit: usize) -> Result<Fitted, TextError> {
        encode_within(&self.tokenizer, text, limit)
    }

    /// Returns the text of tokens. Special tokens are left out; bytes that are no text become U+FFFD.
    pub fn decode(&self, ids: &[TokenId]) -> Result<String, TextError> {
        let mut detokenizer = self.detokenizer();
        let mut text: String = ids.iter().filter_map(|&id| detokenizer.push(id)).collect();
        text.extend(detokenizer.flush());
        Ok(text)
    }

    /// Returns the text of tokens with special tokens written out, as a prompt was before it was tokenised.
    pub fn spell_out(&self, ids: &[TokenId]) -> Result<String, TextError> {
        self.tokenizer.decode(ids, false).map_err(|error| TextError::Decode(error.to_string()))
    }

    /// Returns the bytes that a token adds to an answer: none for special tokens, possibly part of a character.
    pub fn token_bytes(&self, id: TokenId) -> &[u8] {
        self.table.bytes(id)
    }

    /// Returns the name of a token in the vocabulary, as files of models have it.
    pub fn token_name(&self, id: TokenId) -> Option<String> {
        self.tokenizer.id_to_token(id)
    }

    /// Returns one more than the highest token number.
    pub fn vocab_len(&self) -> usize {
        self.table.len()
    }

    /// Returns whether a token ends an answer.
    pub fn is_end(&self, id: TokenId) -> bool {
        self.end_ids.binary_search(&id).is_ok()
    }

    /// Returns the tokens that end an answer, in ascending order.
    pub fn end_ids(&self) -> &[TokenId] {
        &self.end_ids
    }

    /// Returns the prompt for a conversation.
    ///
    /// Without a template the contents are joined by blank lines and nothing else is added: that is what a base model
    /// continues best.
    pub fn render(&self, messages: &[Message], options: &RenderOptions) -> Result<String, TextError> {
        if messages.is_empty() {
            return Err(TextError::NoMessages);
        }
        match &self.template {
            Some(template) => template.render(messages, options),
            None => {
                Ok(messages.iter().map(|message| message.content.as_str()).collect::<Vec<_>>().join("\n\n"))
            }
        }
    }

    /// Returns the prompt for text that is to stand between `prompt` and `suffix`: by the template if it has a place
    /// for a suffix, else by the marks of the vocabulary. `None` if there are none either.
    pub fn render_insert(
        &self,
        prompt: &str,
        suffix: &str,
        options: &RenderOptions,
    ) -> Result<Option<String>, TextError> {
        if let Some(template) = &self.template
            && let Some(rendered) = template.render_insert(prompt, suffix, options)?
        {
            return Ok(Some(rendered));
        }
        let marks = FillInMiddle::of_vocabulary(|mark| self.tokenizer.token_to_id(mark).is_some());
        Ok(marks.map(|marks| marks.render(prompt, suffix)))
    }

    /// Returns the chat template as the model came with it.
    pub fn template_source(&self) -> Option<&str> {
        self.template().map(ChatTemplate::source)
    }

    /// Returns the compiled chat template.
    pub fn template(&self) -> Option<&ChatTemplate> {
        self.template.as_deref()
    }

    /// Returns the tokens of a conversation, at most `limit`.
    ///
    /// If it is longer and `truncate` is set, the oldest messages are left out, one after the other, until the rest
    /// fits. System messages stay, at the front, and so does the last message. A prompt that cannot fit by its bytes
    /// alone (64 for each token) counts as too long and is not tokenised.
    ///
    /// # Errors
    ///
    /// [`TextError::PromptTooLong`] if it does not fit, even so.
    pub fn fit_chat(
        &self,
        messages: &[Message],
        options: &RenderOptions,
        limit: usize,
        truncate: bool,
    ) -> Result<Vec<TokenId>, TextError> {
        fit::fit_chat(messages, limit, truncate, |messages| {
            let prompt = self.render(messages, options)?;
            if prompt.len() > limit.saturating_mul(BYTES_PER_TOKEN) {
                return Err(TextError::PromptTooLong { limit });
            }
            self.encode_prompt(&prompt)
        })
    }

    /// Compiles a form of answers for this vocabulary; `thoughts` if the model may think before it answers.
    ///
    /// Takes milliseconds, and some tenths of a second the first time: not for an async thread.
    ///
    /// # Errors
    ///
    /// [`TextError::Grammar`] names what of a schema is wrong or cannot be enforced.
    pub fn grammar(&self, spec: &GrammarSpec, thoughts: Option<Thoughts<'_>>) -> Result<Grammar, TextError> {
        // A mark that is a special token can be forced and found like any text.
        let mark = |id| self.marks.text(id).unwrap_or_default().as_bytes();
        // An end token ends the answer wherever it comes, so it is no text, also where it has some.
        let bytes = |id| match self.table.bytes(id) {
            _ if self.is_end(id) => &[],
            [] => mark(id),
            bytes => bytes,
        };
        let tokens = (0..).take(self.table.len()).map(bytes);
        let vocabulary = self.vocabulary.get_or_init(|| Vocabulary::new(tokens, &self.end_ids));
        let vocabulary = vocabulary.as_ref().map_err(Clone::clone)?;
        Ok(Grammar::new(vocabulary, spec, thoughts)?)
    }

    /// Returns how this model writes calls; `None` if its template offers no tools to it.
    pub fn tool_format(&self) -> Option<&'static ToolFormat> {
        let template = self.template().filter(|template| template.uses_tools())?;
        Some(ToolFormat::find(&template.said(), |token| self.tokenizer.token_to_id(token).is_some()))
    }

    /// Returns the tags between which this model thinks; `None` if its template knows nothing of thinking aloud.
    pub fn thinking_tags(&self) -> Option<&'static ThinkingTags> {
        self.template().and_then(ChatTemplate::thinking_tags)
    }

    /// Returns the special tokens that an answer has to spell out: the tags of thoughts, and with `tools` the marks of
    /// calls. An answer that follows a grammar spells out all that the grammar may force.
    pub fn spelled(&self, tools: bool, grammar: bool) -> SpelledTokens {
        if grammar {
            return self.marks.clone();
        }
        let mut texts = Vec::new();
        texts.extend(self.thinking_tags().into_iter().flat_map(|tags| [tags.open, tags.close]));
        if tools {
            texts.extend(self.tool_format().into_iter().flat_map(ToolFormat::marks));
        }
        self.marks.only(&texts)
    }

    /// Returns a fresh detokeniser for one answer.
    pub fn detokenizer(&self) -> Detokenizer {
        self.detokenizer_spelling(SpelledTokens::default())
    }

    /// Returns a fresh detokeniser for one answer that spells out these special tokens.
    pub fn detokenizer_spelling(&self, spelled: SpelledTokens) -> Detokenizer {
        Detokenizer::new(Arc::clone(&self.table), spelled)
    }
}

fn template_in(dir: &Path, tokenizer_config: &Value) -> Result<Option<ChatTemplate>, TextError> {
    let source = read_optional(&dir.join("chat_template.jinja"))?
        .or_else(|| template_of(&tokenizer_config["chat_template"]));
    let token = |key: &str| token_text(&tokenizer_config[key]);
    source
        .filter(|source| !source.trim().is_empty())
        .map(|source| ChatTemplate::new(source, token("bos_token"), token("eos_token")))
        .transpose()
}

fn read_optional(path: &Path) -> Result<Option<String>, TextError> {
    match fs::read(path) {
        Ok(bytes) => String::from_utf8(bytes)
            .map(Some)
            .map_err(|error| TextError::File { path: path.to_owned(), reason: error.to_string() }),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(TextError::Io { path: path.to_owned(), source }),
    }
}

fn read_json(path: PathBuf) -> Result<Value, TextError> {
    let Some(text) = read_optional(&path)? else { return Ok(Value::Null) };
    serde_json::from_str(&text).map_err(|error| TextError::File { path, reason: error.to_string() })
}

/// A template is a string, or a list of named ones of which "default" is the one for chats.
pub(crate) fn template_of(value: &Value) -> Option<String> {
    if let Some(source) = value.as_str() {
        return Some(source.to_owned());
    }
    let named = value.as_array()?;
    let default = named.iter().find(|entry| entry["name"] == "default").or_else(|| named.first())?;
    default["template"].as_str().map(str::to_owned)
}

/// A token is written as its text, or as an object that describes how it is added.
fn token_text(value: &Value) -> Option<String> {
    value.as_str().or_else(|| value["content"].as_str()).map(str::to_owned)
}

fn end_ids(tokenizer: &Tokenizer, eos_text: Option<&str>, configured: &Value) -> Vec<TokenId> {
    let mut ids = BTreeSet::new();
    let number = |value: &Value| value.as_u64().and_then(|id| TokenId::try_from(id).ok());
    match configured {
        Value::Array(list) => ids.extend(list.iter().filter_map(number)),
        single => ids.extend(number(single)),
    }
    ids.extend(eos_text.and_then(|text| tokenizer.token_to_id(text)));
    let added = tokenizer.get_added_tokens_decoder();
    ids.extend(
        added.iter().filter(|(_, token)| token.special && is_end_text(&token.content)).map(|(&id, _)| id),
    );
    ids.into_iter().collect()
}

/// The tokens without bytes of their own whose text is a mark of some format.
fn marks(tokenizer: &Tokenizer, table: &TokenTable) -> SpelledTokens {
    let mut texts: Vec<&'static str> = ToolFormat::all().flat_map(ToolFormat::marks).collect();
    texts.extend(ThinkingTags::all().flat_map(|tags| [tags.open, tags.close]));
    texts.sort_unstable();
    texts.dedup();
    let token = |text| tokenizer.token_to_id(text).map(|id| (id, text));
    texts.into_iter().filter_map(token).filter(|&(id, _)| table.bytes(id).is_empty()).collect()
}

#[cfg(test)]
mod tests;
