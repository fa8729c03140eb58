//! Answers through the engine: the same tokens whatever else runs and whatever was kept of earlier requests.

use ax650::device::{DriverOptions, Path, Paths, PathsWish};
use ax650::engine::{DoneReason, EngineConfig, EngineError, Event};
use ax650_sim::testing::TinySpec;

use crate::support::{Face, all_architectures, prompt, read, request, run, tiny_model, tokens, with_engine};

fn config() -> EngineConfig {
    Face::Pcie.config()
}

fn one_at_a_time() -> EngineConfig {
    EngineConfig { sequences: 1, ..config() }
}

#[test]
fn cold_warm_and_in_company_the_answer_is_the_same() {
    for spec in all_architectures() {
        let store = tiny_model(&spec, None);
        let model = &store.model;
        // Up to three chunks; some share their beginnings, so that more or less of them is reused.
        let base = prompt(1, 280);
        let mut prompts: Vec<Vec<u32>> =
            [1, 2, 5, 127, 128, 129, 140, 257, 280].map(|n| base[..n].to_vec()).into();
        prompts.push([&base[..200], &prompt(2, 30)].concat());
        prompts.push(prompt(3, 131));

        let mut cold = Vec::new();
        for prompt in &prompts {
            with_engine(&one_at_a_time(), async |engine| {
                let summary = run(&engine, request(model, prompt, 12)).await;
                assert_eq!(summary.reused_tokens, 0);
                cold.push((summary.tokens, summary.reason));
            });
        }
        let different: std::collections::HashSet<_> = cold.iter().map(|(tokens, _)| tokens).collect();
        assert!(different.len() >= 8, "answers that hardly depend on their prompts prove nothing: {cold:?}");
        with_engine(&one_at_a_time(), async |engine| {
            let mut reused = 0;
            for (prompt, expected) in prompts.iter().zip(&cold).chain(prompts.iter().zip(&cold).rev()) {
                let summary = run(&engine, request(model, prompt, 12)).await;
                reused += summary.reused_tokens;
                assert_eq!((summary.tokens, summary.reason), *expected, "prompt of {}", prompt.len());
            }
            assert!(reused > 1000, "only {reused} tokens were reused");
        });
        with_engine(&EngineConfig { sequences: 4, ..config() }, async |engine| {
            let all = prompts.iter().map(|prompt| tokens(&engine, request(model, prompt, 12)));
            let all = futures_util::future::join_all(all).await;
            assert_eq!(all, cold, "{}", spec.architecture);
            assert_eq!(engine.counters().sequences, 4);
        });
    }
}

#[test]
fn answers_do_not_depend_on_the_paths_or_the_interface() {
    let spec = TinySpec { smaller_decode: vec![64, 200], ..TinySpec::default() };
    let store = tiny_model(&spec, None);
    let model = &store.model;
    let prompts = [prompt(15, 3), prompt(16, 130), prompt(17, 258), prompt(15, 300)];
    let wishes = Path::ALL.into_iter().map(Paths::from).chain([Paths::PLAIN, Paths::ALL]);
    let mut expected = None;
    for paths in wishes {
        for face in Face::ALL {
            let plain = face.config();
            let driver = DriverOptions { paths: PathsWish(paths), ..plain.driver };
            with_engine(&EngineConfig { driver, sequences: 4, ..plain }, async |engine| {
                let all = prompts.iter().map(|prompt| tokens(&engine, request(model, prompt, 40)));
                let answers = futures_util::future::join_all(all).await;
                assert_eq!(answers, *expected.get_or_insert(answers.clone()), "{face:?}: {paths}");
            });
        }
    }
}

#[test]
fn a_conversation_goes_on_where_it_ended() {
    let store = tiny_model(&TinySpec::default(), None);
    let model = &store.model;
    let first = prompt(9, 60);
    let more = prompt(10, 20);
    let mut whole = Vec::new();
    let mut warm = Vec::new();
    with_engine(&one_at_a_time(), async |engine| {
        let answer = run(&engine, request(model, &first, 25)).await.tokens;
        whole = [&first[..], &answer, &more].concat();
        let second = run(&engine, request(model, &whole, 30)).await;
        // The last token of the first answer was never written.
        assert_eq!(second.reused_tokens, first.len() + answer.len() - 1);
        warm = second.tokens;
    });
    with_engine(&one_at_a_time(), async |engine| {
        assert_eq!(run(&engine, request(model, &whole, 30)).await.tokens, warm);
    });
}

#[test]
fn the_context_is_used_to_its_last_cell() {
    for kv_len in [128, 130, 300] {
        let store = tiny_model(&TinySpec { kv_len, ..TinySpec::default() }, None);
        let model = &store.model;
        let all = prompt(11, kv_len + 1);
        with_engine(&one_at_a_time(), async |engine| {
            for length in [1, kv_len - 2, kv_len - 1, kv_len] {
                let (tokens, reason) = tokens(&engine, request(model, &all[..length], -1)).await;
                assert_eq!((tokens.len(), reason), (kv_len - length + 1, DoneReason::Length));
            }
            let error = engine.generate(request(model, &all, 1)).await.unwrap_err();
            assert_eq!(error, EngineError::PromptTooLong { tokens: kv_len + 1, context: kv_len });
            assert_eq!(engine.loaded()[0].context_len, kv_len);
        });
    }
}

#[test]
fn end_tokens_and_stop_texts_end_an_answer_without_being_shown() {
    let spec = TinySpec::default();
    let store = tiny_model(&spec, None);
    let prompt = prompt(12, 40);
    let mut free = Vec::new();
    let mut text = String::new();
    with_engine(&config(), async |engine| {
        let (whole, last) = read(engine.generate(request(&store.model, &prompt, 30)).await.unwrap()).await;
        let Event::Done(summary) = last else { panic!("{last:?}") };
        (text, free) = (whole, summary.tokens);
        assert_eq!(store.model.text().unwrap().decode(&free).unwrap(), text);
    });
    // The first token of the answer that did not occur before it.
    let (index, &end) =
        free.iter().enumerate().skip(3).find(|(index, token)| !free[..*index].contains(token)).unwrap();
    let ending = tiny_model(&spec, Some(end));
    with_engine(&config(), async |engine| {
        let summary = run(&engine, request(&ending.model, &prompt, 30)).await;
        assert_eq!(summary.tokens, free[..index]);
        assert_eq!((summary.reason, summary.eval_tokens), (DoneReason::Stop, index + 1));
    });
    with_engine(&config(), async |engine| {
        let characters: Vec<char> = text.chars().collect();
        let stop: String = characters[4..7].iter().collect();
        let before = &text[..text.find(&stop).unwrap()];
        let mut request = request(&store.model, &prompt, 30);
        request.options.stop = vec![stop];
        let (shown, last) = read(engine.generate(request).await.unwrap()).await;
        assert_eq!(shown, before);
        assert!(matches!(last, Event::Done(summary) if summary.reason == DoneReason::Stop));
    });
}

#[test]
fn a_seed_fixes_the_answer() {
    let store = tiny_model(&TinySpec::default(), None);
    let seeded = |seed| {
        let mut request = request(&store.model, &prompt(13, 50), 40);
        request.options.sampling.temperature = 1.0;
        request.options.sampling.seed = seed;
        request
    };
    with_engine(&config(), async |engine| {
        let first = tokens(&engine, seeded(7)).await;
        let others = futures_util::future::join_all((0..4).map(|_| tokens(&engine, seeded(7)))).await;
        assert!(others.iter().all(|other| *other == first));
        assert_ne!(tokens(&engine, seeded(8)).await, first);
    });
}

#[test]
fn log_probabilities_come_with_every_token() {
    let store = tiny_model(&TinySpec::default(), None);
    with_engine(&config(), async |engine| {
        let mut request = request(&store.model, &prompt(14, 10), 8);
        request.options.logprobs = Some(3);
        let mut generation = engine.generate(request).await.unwrap();
        let mut ids = Vec::new();
        let summary = loop {
            match generation.next().await.unwrap() {
                Event::Text { logprobs, .. } => {
                    for element in logprobs {
                        assert!(element.logprob <= 0.0);
                        assert_eq!(element.top[0].id, element.id, "greedy takes the best");
                        assert!(element.top.is_sorted_by(|a, b| a.logprob >= b.logprob));
                        ids.push(element.id);
                    }
                }
                Event::Done(summary) => break summary,
                Event::Error(error) => panic!("{error}"),
            }
        };
        assert_eq!(ids, summary.tokens);
    });
}
