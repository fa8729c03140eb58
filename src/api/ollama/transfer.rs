//! `POST /api/pull` and `POST /api/push`: names are checked; nothing is transferred by this version, which it says in the
//! form in which these routes tell of their failures.

use axum::extract::{Request, State};
use axum::response::Response;

use super::progress::{self, Record, Reporter};
use crate::api::error::ApiError;
use crate::api::fields::Fields;
use crate::api::{AppState, body};
use crate::models::name::ModelName;

const NO_PULL: &str = "pull model manifest: this version does not download models; get a model's files and make it with \
    `ax650 create NAME --from FILE.gguf` or `--from DIR`";
const NO_PUSH: &str = "push model manifest: this version does not upload models";

/// What both routes are asked.
struct Ask {
    model: String,
    streamed: bool,
}

impl Ask {
    async fn read(state: &AppState, request: Request, owner: &'static str) -> Result<Self, ApiError> {
        let (body, memory) = body::read(&state.intake, request.into_body()).await?;
        let turn = state.intake.turn(memory).await?;
        let mut fields = turn.run(move || Fields::parse(owner, &body)).await?;
        let (model, name) = (fields.string("model")?, fields.string("name")?);
        fields.boolean("insecure")?;
        let streamed = fields.boolean("stream")?.unwrap_or(true);
        Ok(Self { model: if model.is_empty() { name } else { model }, streamed })
    }

    fn check_name(&self) -> Result<(), ApiError> {
        self.model.parse::<ModelName>().map(drop).map_err(|_| ApiError::InvalidModelName)
    }
}

/// Handler of `/api/pull`.
pub(super) async fn pull(State(state): State<AppState>, request: Request) -> Result<Response, ApiError> {
    let ask = Ask::read(&state, request, "PullRequest").await?;
    ask.check_name()?;
    progress::answer(ask.streamed, |reporter| refuse(reporter, "pulling manifest", NO_PULL)).await
}

/// Handler of `/api/push`.
pub(super) async fn push(State(state): State<AppState>, request: Request) -> Result<Response, ApiError> {
    let ask = Ask::read(&state, request, "PushRequest").await?;
    if ask.model.is_empty() {
        return Err(ApiError::ModelRequired);
    }
    ask.check_name()?;
    progress::answer(ask.streamed, |reporter| refuse(reporter, "retrieving manifest", NO_PUSH)).await
}

fn refuse(reporter: &Reporter, status: &str, why: &'static str) -> Result<(), ApiError> {
    reporter.say(Record::new(status));
    Err(ApiError::NotImplemented(why))
}
