//! The requests that the five APIs document: the good ones, and every error.

use super::scene::Scene;
use super::stage::Stage;
use crate::failure::Failure;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use keyward::engine::Engine;
use keyward::time::Timestamp;

/// Longer ago than any token of the demo lives.
const LONG_AGO: u64 = 7 * 86_400;

fn basic(pair: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(pair))
}

/// Exchanges Aver's key and secret for a token, as its authentication endpoint does.
pub(super) fn exchange(engine: &Engine) -> Result<String, Failure> {
    let login = aver(("POST", "/api/auth"), "key:secret", 200).header("Authorization", basic(AVER_PAIR));
    let token = login.decide(engine, |verdict| verdict.issue(None, None, None, Timestamp::coarse_now()));
    token.map_err(Failure::data)
}

const AVER_PAIR: &str = "sample-aver-portal:sample-aver-portal-secret-0001";

fn aver(target: (&'static str, &'static str), what: &'static str, expected: u16) -> Scene {
    Scene::new("aver", target, what, expected)
}

/// Every request of every API; `token` is Aver's.
pub(super) fn all(stage: &Stage, token: &str) -> Result<Vec<Scene>, Failure> {
    let mut scenes = billoget();
    scenes.extend(built());
    scenes.extend(onebalance());
    scenes.extend(aver_scenes(token));
    scenes.extend(interstellas(stage)?);
    Ok(scenes)
}

/// What is refused once [`super::REVOKED`] is.
pub(super) fn after_revocation(token: &str) -> Vec<Scene> {
    vec![
        watched("the revoked token", 401),
        aver(("POST", "/api/auth"), "the revoked key:secret", 401).header("Authorization", basic(AVER_PAIR)),
        aver(("GET", "/api/events"), "its token, an hour good", 401).bearer(token),
    ]
}

/// The request that a revocation is watched with: of an API without a rate limit, since it is sent until it
/// is refused.
pub(super) fn watched(what: &'static str, expected: u16) -> Scene {
    let scene = Scene::new("built", ("GET", "/api/invoices"), what, expected).host("web.builtaccounting.com");
    scene.bearer("sample-built-acme-production-0002")
}

fn billoget_budgets(what: &'static str, expected: u16) -> Scene {
    Scene::new("billoget", ("GET", "/v1/api/public/budgets"), what, expected)
}

fn billoget() -> Vec<Scene> {
    const READER: &str = "bk_live_1234567890abcdef";
    const OFFICE: &str = "bk_live_0ff1ce000000000000000000000000ff";
    let write = |what, expected| Scene::new("billoget", ("POST", "/v1/api/public/budgets"), what, expected);
    vec![
        billoget_budgets("a key with READ_BUDGETS", 200).bearer(READER),
        write("a key with WRITE_BUDGETS", 200).bearer(super::BILLOGET_KEY),
        billoget_budgets("no Authorization header", 401),
        billoget_budgets("a key of another format", 401).bearer("1234567890abcdef"),
        billoget_budgets("a key that does not exist", 401).bearer("bk_live_ffffffffffffffff"),
        billoget_budgets("an expired key", 401).bearer("bk_live_00000000000000000000000000000005"),
        billoget_budgets("a revoked key", 401).bearer("bk_live_00000000000000000000000000000004"),
        billoget_budgets("a test key in production", 401)
            .bearer("bk_test_1234567890abcdef")
            .expecting("live"),
        write("a key without WRITE_BUDGETS", 403).bearer(READER),
        billoget_budgets("a whitelisted address", 200).bearer(OFFICE).from("203.0.113.7"),
        billoget_budgets("another address", 403).bearer(OFFICE).from("198.51.100.7"),
        billoget_budgets("a suspended key", 403).bearer("bk_live_00000000000000000000000000000003"),
        billoget_budgets("one an hour, twice", 429)
            .bearer("bk_live_00000000000000000000000000000006")
            .times(2),
        billoget_budgets("without TLS", 403).bearer(READER).without_tls(),
    ]
}

fn built() -> Vec<Scene> {
    const STAGING: &str = "sample-built-acme-staging-0001";
    const PRODUCTION: &str = "sample-built-acme-production-0001";
    let staging = |what, expected| {
        Scene::new("built", ("GET", "/api/invoices"), what, expected).host("fxweb.builtaccounting.com")
    };
    let production = |what, expected| {
        Scene::new("built", ("GET", "/api/invoices"), what, expected).host("web.builtaccounting.com")
    };
    vec![
        staging("a staging token on fxweb.…", 200).bearer(STAGING),
        production("a production token on web.…", 200).bearer(PRODUCTION),
        production("no Authorization header", 401),
        production("a token that does not exist", 401).bearer("sample-built-nobody"),
        production("a staging token on web.…", 401).bearer(STAGING),
        staging("a production token on fxweb.…", 401).bearer(PRODUCTION),
        production("approval is pending", 403).bearer("sample-built-harbor-in-review-0001"),
        production("without TLS", 403).bearer(PRODUCTION).without_tls(),
    ]
}

fn onebalance() -> Vec<Scene> {
    const PUBLIC: &str = "42bb629272001ee1163ca0dbbbc07bcbb0ef57a57baf16c4b1d4672db4562c11";
    let list = |what, expected| Scene::new("onebalance", ("GET", "/api/assets/list"), what, expected);
    let execute =
        |what, expected| Scene::new("onebalance", ("POST", "/api/quotes/execute-quote"), what, expected);
    vec![
        list("the public testing key", 200).header("x-api-key", PUBLIC),
        list("no x-api-key header", 401),
        list("a key that does not exist", 401).header("x-api-key", PUBLIC.replace("42bb", "0000")),
        list("an expired key", 401).header("x-api-key", "sample-onebalance-project-one-expired-0001"),
        list("without TLS", 401).header("x-api-key", PUBLIC).without_tls(),
        execute("a key with permission", 200).header("x-api-key", "sample-onebalance-project-one-0001"),
        execute("a key without permission", 403)
            .header("x-api-key", "sample-onebalance-project-one-reader-0001"),
        list("60 requests at once", 429).header("x-api-key", PUBLIC).times(60),
    ]
}

fn aver_scenes(token: &str) -> Vec<Scene> {
    let events = |what, expected| aver(("GET", "/api/events"), what, expected);
    // Another first character of the signature.
    let changed = match token.rsplit_once('.') {
        Some((signed, signature)) => {
            let first = if signature.starts_with('A') { 'B' } else { 'A' };
            format!("{signed}.{first}{}", signature.get(1..).unwrap_or_default())
        }
        None => String::new(),
    };
    let start: String = token.chars().take(12).collect();
    vec![
        aver(("POST", "/api/auth"), "key:secret", 200)
            .header("Authorization", basic(AVER_PAIR))
            .outcome(format!("a token of {} bytes, good for an hour: {start}…", token.len())),
        events("the token", 200).bearer(token),
        events("no Authorization header", 401),
        events("key:secret in place of a token", 401).header("Authorization", basic(AVER_PAIR)),
        events("a token that was changed", 401).bearer(&changed),
        aver(("POST", "/api/auth"), "a wrong secret", 401)
            .header("Authorization", basic("sample-aver-portal:wrong")),
        aver(("POST", "/api/auth"), "a suspended key", 403)
            .header("Authorization", basic("sample-aver-held:sample-aver-held-secret-0001")),
    ]
}

fn interstellas(stage: &Stage) -> Result<Vec<Scene>, Failure> {
    const NORTH: &str = "sample-interstellas-north-production-0002";
    const SOUTH: &str = "sample-interstellas-south-production-0001";
    const SANDBOX: &str = "sample-interstellas-north-sandbox-0001";
    let now = Timestamp::coarse_now();
    let north = stage.sign_in("business-north", now)?;
    let south = stage.sign_in("business-south", now)?;
    let old =
        stage.sign_in("business-north", Timestamp::from_seconds(now.seconds().saturating_sub(LONG_AGO)))?;
    let forged = stage.forge("business-north", now)?;
    let wallets = |what, expected| {
        Scene::new("interstellas", ("GET", "/wallets"), what, expected).expecting("production")
    };
    let transfers = |what, expected| {
        Scene::new("interstellas", ("POST", "/transfers"), what, expected).expecting("production")
    };
    let all = |scene: Scene, token: &str, key: &str, business: &str| {
        scene.bearer(token).header("SECRET_KEY", key).header("businessId", business)
    };
    let key_and_business =
        |scene: Scene| scene.header("SECRET_KEY", NORTH).header("businessId", "business-north");
    Ok(vec![
        Scene::new("interstellas", ("POST", "/auth/signin"), "nothing: it is public", 200),
        all(wallets("all three headers", 200), &north, NORTH, "business-north"),
        key_and_business(wallets("no Authorization header", 401)),
        key_and_business(wallets("an expired token", 401).bearer(&old)),
        key_and_business(wallets("a token somebody else signed", 401).bearer(&forged)),
        wallets("no SECRET_KEY", 401).bearer(&north).header("businessId", "business-north"),
        all(
            wallets("a SECRET_KEY that is none", 401),
            &north,
            "sample-interstellas-nobody",
            "business-north",
        ),
        all(wallets("a SECRET_KEY of the sandbox", 401), &north, SANDBOX, "business-north"),
        wallets("no businessId", 401).bearer(&north).header("SECRET_KEY", NORTH),
        all(wallets("another business", 403), &north, NORTH, "business-south"),
        all(transfers("a key with transfers:write", 200), &north, NORTH, "business-north"),
        all(transfers("a key without it", 403), &south, SOUTH, "business-south"),
    ])
}
