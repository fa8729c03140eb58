//! `POST /api/pull` and `POST /api/push`: names are checked; nothing is transferred by this version, which it says in
//! the form in which these routes tell of their failures.

use axum::extract::{Request, State};
use axum::response::Response;

use super::progress::{self, Record, Reporter};
use crate::api::error::ApiError;
use crate::api::fields::Fields;
use crate::api::{AppState, body, lookup};
use crate::models::name::ModelName;

const NO_PULL: &str = "pull model manifest: this version does not download models; get a model's files and make it with \
    `ax650 create NAME --from FILE.gguf` or `--from DIR`";
const NO_PUSH: &str = "push model manifest: this version does not upload models";
/// A registry that is named with this scheme is asked without encryption, which must be wished for.
const PLAIN: &str = "http://";

/// What both routes are asked.
struct Ask {
    model: String,
    insecure: bool,
    streamed: bool,
}

impl Ask {
    async fn read(state: &AppState, request: Request, owner: &'static str) -> Result<Self, ApiError> {
        let (body, memory) = body::read(&state.intake, request.into_body()).await?;
        let turn = state.intake.turn(memory).await?;
        let mut fields = turn.run(move || Fields::parse(owner, &body)).await?;
        let (model, name) = (fields.string("model")?, fields.string("name")?);
        Ok(Self {
            model: if model.is_empty() { name } else { model },
            insecure: fields.boolean("insecure")?.unwrap_or(false),
            streamed: fields.boolean("stream")?.unwrap_or(true),
        })
    }

    /// The names that may be meant, once nothing speaks against asking a registry for them.
    fn names(&self) -> Result<Vec<ModelName>, ApiError> {
        let names = lookup::meant(&self.model)?;
        if self.model.trim_start().starts_with(PLAIN) && !self.insecure {
            return Err(ApiError::Transfer("insecure protocol http".into()));
        }
        Ok(names)
    }
}

/// Handler of `/api/pull`.
pub(super) async fn pull(State(state): State<AppState>, request: Request) -> Result<Response, ApiError> {
    let ask = Ask::read(&state, request, "PullRequest").await?;
    ask.names()?;
    let work = |reporter: &Reporter| {
        reporter.say(Record::new("pulling manifest"));
        Err(ApiError::Transfer(NO_PULL.into()))
    };
    progress::answer(ask.streamed, work).await
}

/// Handler of `/api/push`.
pub(super) async fn push(State(state): State<AppState>, request: Request) -> Result<Response, ApiError> {
    let ask = Ask::read(&state, request, "PushRequest").await?;
    if ask.model.is_empty() {
        return Err(ApiError::ModelRequired);
    }
    let names = ask.names()?;
    let store = state.store.clone();
    let work = move |reporter: &Reporter| {
        reporter.say(Record::new("retrieving manifest"));
        if let Err(error) = lookup::find(&store, &names, &ask.model) {
            reporter.say(Record::new("couldn't retrieve manifest"));
            return Err(ApiError::Transfer(format!("push model manifest: {error}").into()));
        }
        Err(ApiError::Transfer(NO_PUSH.into()))
    };
    progress::answer(ask.streamed, work).await
}
