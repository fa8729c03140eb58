//! One method of one path, described.

use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use utoipa::openapi::{RefOr, Schema};

/// Where references of derived schemas lead.
const COMPONENTS: &str = "#/components/schemas/";

pub(crate) const JSON: &str = "application/json";
const FORM: &str = "multipart/form-data";
pub(crate) const NDJSON: &str = "application/x-ndjson";
pub(crate) const EVENTS: &str = "text/event-stream";
pub(crate) const TEXT: &str = "text/plain";

/// A method of a path: what it takes and what it answers.
#[derive(Debug)]
pub(crate) struct Operation {
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    family: &'static str,
    summary: &'static str,
    takes: Option<(&'static str, Described)>,
    answers: Vec<Answer>,
    has_head: bool,
    /// What the variable part of the path looks like.
    pattern: Option<&'static str>,
}

/// What a status means, and the forms of its body.
#[derive(Debug)]
struct Answer {
    status: &'static str,
    meaning: &'static str,
    /// By content type.
    forms: Vec<(&'static str, Described)>,
}

/// A schema with those it refers to.
#[derive(Debug)]
pub(crate) struct Described {
    name: String,
    schema: Value,
    parts: Vec<(String, Value)>,
}

impl Described {
    /// The schema of a type.
    fn of<T: ToSchema>() -> Self {
        let mut parts = Vec::new();
        T::schemas(&mut parts);
        let parts = parts.into_iter().map(|(name, schema)| (name, value(&schema))).collect();
        Self { name: T::name().into_owned(), schema: value(&T::schema()), parts }
    }

    /// Anything: bytes, text.
    fn plain() -> Self {
        Self { name: String::new(), schema: json!({"type": "string"}), parts: Vec::new() }
    }

    /// Puts the schemas among the components and returns a reference to the whole. Structs of different routes have the
    /// same names, so those of a part stand behind that of the whole.
    fn place(self, family: &str, schemas: &mut Map<String, Value>) -> Value {
        if self.name.is_empty() {
            return self.schema;
        }
        let whole = format!("{family}.{}", self.name);
        for (name, schema) in self.parts {
            schemas.insert(format!("{whole}.{name}"), renamed(schema, &whole));
        }
        schemas.insert(whole.clone(), renamed(self.schema, &whole));
        json!({"$ref": format!("{COMPONENTS}{whole}")})
    }
}

fn value(schema: &RefOr<Schema>) -> Value {
    // Schemas are trees of strings and numbers, which always serialise.
    serde_json::to_value(schema).unwrap_or_default()
}

/// The schema with its references to parts of `whole`.
fn renamed(mut schema: Value, whole: &str) -> Value {
    match &mut schema {
        Value::Object(object) => {
            if let Some(Value::String(reference)) = object.get_mut("$ref")
                && let Some(name) = reference.strip_prefix(COMPONENTS)
            {
                *reference = format!("{COMPONENTS}{whole}.{name}");
            }
            object.values_mut().for_each(|value| *value = renamed(value.take(), whole));
        }
        Value::Array(items) => items.iter_mut().for_each(|value| *value = renamed(value.take(), whole)),
        _ => {}
    }
    schema
}

impl Operation {
    pub(crate) fn new(
        family: &'static str,
        method: &'static str,
        path: &'static str,
        summary: &'static str,
    ) -> Self {
        let answers = Vec::new();
        Self { method, path, family, summary, takes: None, answers, has_head: false, pattern: None }
    }

    /// The variable part of the path matches this.
    pub(crate) fn matches(self, pattern: &'static str) -> Self {
        Self { pattern: Some(pattern), ..self }
    }

    /// HEAD is answered as well, with the same headers.
    pub(crate) fn has_head(self) -> Self {
        Self { has_head: true, ..self }
    }

    /// The HEAD of this GET, if it has one.
    pub(crate) fn head(&self) -> Option<Self> {
        let head = Self::new(self.family, "head", self.path, self.summary);
        self.has_head.then(|| head.gives_nothing("200", "The headers of the answer"))
    }

    /// The request is an object of this type.
    pub(crate) fn takes<T: ToSchema>(self) -> Self {
        Self { takes: Some((JSON, Described::of::<T>())), ..self }
    }

    /// The request is a form with these fields.
    pub(crate) fn takes_form<T: ToSchema>(self) -> Self {
        Self { takes: Some((FORM, Described::of::<T>())), ..self }
    }

    /// The request is bytes.
    pub(crate) fn takes_bytes(self) -> Self {
        Self { takes: Some(("application/octet-stream", Described::plain())), ..self }
    }

    /// The answer is an object of this type.
    pub(crate) fn gives<T: ToSchema>(self) -> Self {
        self.answers("200", "The answer", JSON, Described::of::<T>())
    }

    /// The answer may come in pieces of this type: one a line, or one an event.
    pub(crate) fn streams<T: ToSchema>(self, media: &'static str) -> Self {
        self.answers("200", "The answer", media, Described::of::<T>())
    }

    /// The answer is an object that its readers know better.
    pub(crate) fn gives_object(self) -> Self {
        let schema = json!({"type": "object"});
        self.answers("200", "The answer", JSON, Described { schema, ..Described::plain() })
    }

    /// The answer is text of this type.
    pub(crate) fn gives_text(self, media: &'static str) -> Self {
        self.answers("200", "The answer", media, Described::plain())
    }

    /// A status whose answer has no body.
    pub(crate) fn gives_nothing(mut self, status: &'static str, meaning: &'static str) -> Self {
        self.answers.push(Answer { status, meaning, forms: Vec::new() });
        self
    }

    /// Errors are objects of this type.
    pub(crate) fn fails<E: ToSchema>(self) -> Self {
        self.answers("default", "An error", JSON, Described::of::<E>())
    }

    fn answers(
        mut self,
        status: &'static str,
        meaning: &'static str,
        media: &'static str,
        described: Described,
    ) -> Self {
        let form = (media, described);
        match self.answers.iter_mut().find(|answer| answer.status == status) {
            Some(answer) => answer.forms.push(form),
            None => self.answers.push(Answer { status, meaning, forms: vec![form] }),
        }
        self
    }

    /// The object of the description; schemas go among the components.
    pub(crate) fn into_json(self, schemas: &mut Map<String, Value>) -> Value {
        let Self { method, path, family, summary, takes, answers, has_head: _, pattern } = self;
        let id = format!("{method}{}", path.replace(['/', '{', '}', '.', '-'], "_"));
        let mut operation = json!({"tags": [family], "summary": summary, "operationId": id});
        let parameters: Vec<Value> = path
            .split('/')
            .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
            .map(|name| {
                let mut schema = json!({"type": "string"});
                if let Some(pattern) = pattern {
                    schema["pattern"] = pattern.into();
                }
                json!({"name": name, "in": "path", "required": true, "schema": schema})
            })
            .collect();
        if !parameters.is_empty() {
            operation["parameters"] = parameters.into();
        }
        if let Some((media, described)) = takes {
            let schema = described.place(family, schemas);
            operation["requestBody"] = json!({"required": true, "content": {media: {"schema": schema}}});
        }
        let mut responses = Map::new();
        for Answer { status, meaning, forms } in answers {
            let mut response = json!({"description": meaning});
            for (media, described) in forms {
                let schema = described.place(family, schemas);
                // A schema would be one of the whole body, which is text; OpenAPI 3.1 has no word for the data of an
                // event.
                let key = if media == EVENTS { "x-event-data" } else { "schema" };
                response["content"][media] = json!({key: schema});
            }
            responses.insert(status.to_owned(), response);
        }
        operation["responses"] = responses.into();
        operation
    }
}
