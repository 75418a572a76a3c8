//! Signing in to a console with a service that speaks OpenID Connect and that nobody here wrote: `oidc-provider`, as a process of
//! its own, over TLS. Its faults are asked for one by one; see `tests/oidc/server.mjs`.

use std::{path::Path, process::Stdio};

use brag_common::{
    console::{
        ConsoleError, SignInAct,
        testing::{Browser, Got, ORIGIN, PASSWORD, Stage, code_of},
    },
    time::{Clock as _, SignedDuration, SystemClock},
};
use serde::Deserialize;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
};

const SECRET: &str = "a secret: of + the/console%";
const STAFF: [&str; 2] = ["j.okafor", "s.patel"];

/// The sign-in service.
pub(crate) struct Service {
    child: Child,
    port: u16,
}

impl Service {
    async fn start(stage: &Stage) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let modules = root.join("../target/oidc");
        assert!(
            modules.join("node_modules/oidc-provider").is_dir(),
            "the sign-in service is not installed; run tests/oidc/install"
        );
        let mut spec = stage.ca.spec(&stage.ca.trust_domain().hub());
        spec.uris.clear();
        let files = stage.ca.issue(&spec).write(&stage.ca, stage.folder(), "service");
        let mut child = Command::new("node")
            .arg(root.join("../tests/oidc/server.mjs"))
            .env("OIDC_MODULES", &modules)
            .env("OIDC_CERTIFICATE", &files.certificate)
            .env("OIDC_KEY", &files.private_key)
            .env("OIDC_REDIRECT", ORIGIN)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("node runs; tests/oidc/install installs it");
        #[derive(Deserialize)]
        struct Serving {
            port: u16,
        }
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = lines.next_line().await.unwrap().expect("the service serves");
        let Serving { port } = serde_json::from_str(&line).unwrap();
        Self { child, port }
    }

    pub(crate) fn issuer(&self) -> String {
        format!("https://localhost:{}", self.port)
    }

    async fn ask(&self, browser: &mut Browser, path: &str) {
        let got = browser.get(&format!("{}/{path}", self.issuer())).await;
        assert_eq!(got.status, 200, "{path}: {}", got.body);
    }

    pub(crate) async fn stop(mut self) {
        self.child.kill().await.unwrap();
    }
}

/// A console with its sign-in service, and a browser.
struct Scene {
    stage: Stage,
    service: Service,
    browser: Browser,
}

/// The table, for a client of the service; `more` is added to it.
fn table(service: &Service, client: &str, more: &str) -> String {
    format!(
        "[sign_in_service]\nissuer = \"{}\"\nclient_id = \"{client}\"\nredirect = \"{ORIGIN}\"\nroots = \"ca.pem\"\n\
         label = \"Exampleshire\"\n{more}\n",
        service.issuer()
    )
}

/// A console that sends people to its sign-in service, and the service.
pub(crate) async fn served() -> (Stage, Service) {
    let mut stage = Stage::new(SystemClock.now(), &STAFF, "");
    let service = Service::start(&stage).await;
    keep_secret(&stage, SECRET);
    stage.add_config(&format!("\n{}", table(&service, "console", WITH_SECRET)));
    stage.start().await;
    (stage, service)
}

const WITH_SECRET: &str = "client_secret_file = \"client.secret\"";

async fn scene(client: &str, more: &str, before: &str) -> Scene {
    let mut stage = Stage::new(SystemClock.now(), &STAFF, "");
    let service = Service::start(&stage).await;
    keep_secret(&stage, if client == "console" { SECRET } else { "second" });
    stage.add_config(&format!("{before}\n{}", table(&service, client, more)));
    let browser = stage.start().await;
    Scene { stage, service, browser }
}

fn keep_secret(stage: &Stage, secret: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    let path = stage.folder().join("client.secret");
    std::fs::write(&path, format!("{secret}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

impl Scene {
    /// From the button to the service's page for signing in; its address.
    async fn sent_to_service(&mut self, next: &str) -> String {
        // Nobody is signed in at the service from before.
        let issuer = self.service.issuer();
        self.browser.jar(&issuer).clear();
        let begun = self.browser.get(&format!("{ORIGIN}/sign-in/service?next={next}")).await;
        assert_eq!(begun.status, 303, "{}", begun.body);
        let asked = self.browser.get(begun.location()).await;
        assert_eq!(asked.status, 303, "{}", asked.body);
        let location = asked.location();
        if location.starts_with("https://") {
            location.to_owned()
        } else {
            format!("{issuer}{location}")
        }
    }

    /// Signs in at the service; the address at the console that it leads to.
    async fn at_service(&mut self, login: &str, acr: &str, amr: &str) -> String {
        let page = self.sent_to_service("/thing").await;
        self.give(&page, login, acr, amr).await
    }

    async fn give(&mut self, page: &str, login: &str, acr: &str, amr: &str) -> String {
        let fields = [("login", login), ("acr", acr), ("amr", amr)];
        let given = self.browser.post(page, &fields).await;
        let resumed = self.browser.get(given.location()).await;
        let location = resumed.location().to_owned();
        assert!(location.starts_with(&format!("{ORIGIN}/sign-in/service/callback?")), "{location}");
        location
    }

    async fn sign_in(&mut self, login: &str) -> Got {
        let callback = self.at_service(login, "", "").await;
        self.browser.get_from_elsewhere(&callback).await
    }

    async fn is_in(&mut self) -> bool {
        self.browser.get(&format!("{ORIGIN}/thing")).await.status == 200
    }

    async fn end(mut self) {
        self.stage.stop().await;
        self.service.stop().await;
    }
}

/// Not let in: a page that says why, no session, and nobody's name in the log.
async fn is_refused(scene: &mut Scene, got: &Got, why: &str) {
    assert_eq!(got.status, 403, "{why}: {}", got.body);
    assert!(got.body.contains("There is a problem"), "{why}: {}", got.body);
    assert!(!got.cookies().iter().any(|cookie| cookie.starts_with("__Host-session=")), "{why}");
    assert!(!scene.is_in().await, "{why}");
    assert_eq!(scene.stage.recorded(), [], "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_wrong_in_any_way_lets_nobody_in() {
    let mut scene = scene("console", WITH_SECRET, "").await;
    for way in [
        "nonce",
        "no-nonce",
        "issuer",
        "audience",
        "party",
        "expired",
        "future",
        "none",
        "hmac",
        "key",
        "unknown-key",
    ] {
        let spoil = format!("spoil/{way}");
        scene.service.ask(&mut scene.browser, &spoil).await;
        let got = scene.sign_in("j.okafor").await;
        is_refused(&mut scene, &got, way).await;
    }
    // The same way, with nothing wrong: the refusals were not of something else.
    scene.service.ask(&mut scene.browser, "spoil/nothing").await;
    assert_eq!(scene.sign_in("j.okafor").await.status, 200);
    assert!(scene.is_in().await);
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_another_sign_ins_or_nobodys_lets_nobody_in() {
    let mut scene = scene("console", WITH_SECRET, "").await;
    let good = scene.at_service("j.okafor", "", "").await;
    let state = brag_common::console::testing::between(&good, "state=", "&");
    let issuer = brag_common::console::testing::between(&format!("{good}&"), "iss=", "&");

    let another = good.replace(&state, &"A".repeat(state.len()));
    let twice = format!("{good}&state={state}");
    let without = good.replace("state=", "other=");
    let elsewhere = good.replace(&issuer, "https%3A%2F%2Felsewhere.example");
    let unnamed = good.replace("iss=", "other=");
    let no_code = good.replace("code=", "error=access_denied&other=");
    let jar = scene.browser.jar(ORIGIN).clone();
    for (address, why) in [
        (&another, "another state"),
        (&twice, "two states"),
        (&without, "no state"),
        (&elsewhere, "another issuer"),
        (&unnamed, "no issuer, from a service that names itself"),
        (&no_code, "no code"),
    ] {
        *scene.browser.jar(ORIGIN) = jar.clone();
        let got = scene.browser.get_from_elsewhere(address).await;
        is_refused(&mut scene, &got, why).await;
    }
    // A link that somebody else's sign-in ended in signs nobody in as them.
    scene.browser.jar(ORIGIN).clear();
    let got = scene.browser.get_from_elsewhere(&good).await;
    is_refused(&mut scene, &got, "another browser").await;

    *scene.browser.jar(ORIGIN) = jar.clone();
    scene.stage.advance(SignedDuration::from_mins(10));
    let got = scene.browser.get_from_elsewhere(&good).await;
    is_refused(&mut scene, &got, "after ten minutes").await;
    scene.stage.advance(SignedDuration::from_mins(-10));

    *scene.browser.jar(ORIGIN) = jar.clone();
    assert_eq!(scene.browser.get_from_elsewhere(&good).await.status, 200);
    assert!(scene.is_in().await);
    let _ = scene.stage.recorded();
    *scene.browser.jar(ORIGIN) = jar;
    let got = scene.browser.get_from_elsewhere(&good).await;
    is_refused(&mut scene, &got, "a second time").await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_who_is_not_on_the_staff_is_refused_and_not_named_in_the_log() {
    let mut scene = scene("console", WITH_SECRET, "").await;
    for login in ["m.stranger", "../../etc/passwd", "J. Okafor <script>"] {
        let got = scene.sign_in(login).await;
        is_refused(&mut scene, &got, login).await;
        assert!(
            !got.body.contains("stranger") && got.body.contains("not listed here"),
            "{}",
            got.body
        );
    }
    // Somebody who changes their mind at the service.
    let page = scene.sent_to_service("/thing").await;
    let back = scene.give(&page, "", "", "").await;
    let got = scene.browser.get_from_elsewhere(&back).await;
    is_refused(&mut scene, &got, "access denied").await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_the_staff_signs_in_and_goes_where_they_wanted() {
    let mut scene = scene("console", WITH_SECRET, "").await;
    let wanted = scene.browser.get(&format!("{ORIGIN}/thing")).await;
    assert_eq!(wanted.location(), "/sign-in?next=/thing");
    let page = scene.browser.get(&format!("{ORIGIN}/sign-in?next=/thing")).await;
    assert!(page.body.contains("Sign in with Exampleshire"), "{}", page.body);
    assert!(page.body.contains("href=\"/sign-in/service?next=/thing\""), "{}", page.body);

    let callback = scene.at_service("J.Okafor", "", "").await;
    let got = scene.browser.get_from_elsewhere(&callback).await;
    assert_eq!(got.status, 200, "{}", got.body);
    assert!(got.body.contains("<meta http-equiv=\"refresh\" content=\"0; url=/thing\">"));
    let cookies = got.cookies().join("\n");
    assert!(cookies.contains("; Path=/; Secure; HttpOnly; SameSite=Strict"), "{cookies}");
    assert!(cookies.contains("__Host-sign-in=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0"));
    assert_eq!(scene.stage.recorded(), [(SignInAct::SignedIn, "j.okafor".to_owned())]);
    let page = scene.browser.get(&format!("{ORIGIN}/thing")).await;
    assert!(page.body.starts_with("thing of j.okafor"), "{}", page.body);

    // Roles are the console's own matter.
    scene.stage.dismiss("j.okafor");
    assert!(!scene.is_in().await);
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_to_another_site_is_not_followed_after_signing_in() {
    let mut scene = scene("console", WITH_SECRET, "").await;
    for next in ["//evil.example", "https://evil.example", "/%5Cevil.example", "/a%0Ab"] {
        let page = scene.sent_to_service(next).await;
        let back = scene.give(&page, "j.okafor", "", "").await;
        let got = scene.browser.get_from_elsewhere(&back).await;
        assert!(got.body.contains("url=/\">"), "{next}: {}", got.body);
    }
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_without_a_secret_and_other_algorithms_serve_as_well() {
    for (client, more) in [("console-public", ""), ("console-ps256", WITH_SECRET)] {
        let mut scene = scene(client, more, "").await;
        assert_eq!(scene.sign_in("s.patel").await.status, 200, "{client}");
        assert!(scene.is_in().await, "{client}");
        scene.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_factor_is_required_where_the_operator_says_so() {
    for (more, right) in
        [("acr = [\"urn:two\"]", ("urn:two", "")), ("amr = [\"mfa\"]", ("", "mfa"))]
    {
        let mut scene = scene("console", &format!("{WITH_SECRET}\n{more}"), "").await;
        for (acr, amr) in [("", ""), ("urn:one", "pwd")] {
            let back = scene.at_service("j.okafor", acr, amr).await;
            let got = scene.browser.get_from_elsewhere(&back).await;
            assert!(got.body.contains("second factor"), "{more} {acr} {amr}: {}", got.body);
            is_refused(&mut scene, &got, more).await;
        }
        let back = scene.at_service("j.okafor", right.0, right.1).await;
        let got = scene.browser.get_from_elsewhere(&back).await;
        assert_eq!(got.status, 200, "{more}: {}", got.body);
        scene.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_in_a_domain_are_those_of_that_domain_only() {
    let more = format!("{WITH_SECRET}\ndomain = \"exampleshire.gov.uk\"");
    let mut scene = scene("console", &more, "").await;
    for login in ["j.okafor", "j.okafor@elsewhere.example", "j.okafor@exampleshire.gov.uk@x"] {
        let got = scene.sign_in(login).await;
        is_refused(&mut scene, &got, login).await;
    }
    assert_eq!(scene.sign_in("J.Okafor@Exampleshire.gov.uk").await.status, 200);
    assert!(scene.is_in().await);
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_the_service_has_changed_are_taken_up() {
    let mut scene = scene("console", WITH_SECRET, "").await;
    assert_eq!(scene.sign_in("j.okafor").await.status, 200);
    scene.service.ask(&mut scene.browser, "new-keys").await;
    scene.browser.jar(ORIGIN).clear();
    // Not asked again within a minute, so that nobody makes the console ask without end.
    let _ = scene.stage.recorded();
    let got = scene.sign_in("j.okafor").await;
    is_refused(&mut scene, &got, "within a minute").await;
    scene.stage.advance(SignedDuration::from_secs(60));
    assert_eq!(scene.sign_in("j.okafor").await.status, 200);
    assert!(scene.is_in().await);
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_away_is_named_and_local_accounts_still_work() {
    let Scene { mut stage, service, mut browser } = scene("console", WITH_SECRET, "").await;
    let key = stage.set_up(&mut browser, "j.okafor").await;
    let _ = stage.recorded();
    service.stop().await;
    browser.jar(ORIGIN).clear();
    let got = browser.get(&format!("{ORIGIN}/sign-in/service")).await;
    assert_eq!(got.status, 503, "{}", got.body);
    assert!(got.body.contains("The sign-in service does not answer; sign in with a local account"));
    stage.advance(SignedDuration::from_secs(60));
    let code = code_of(&key, stage.now());
    let fields = [("name", "j.okafor"), ("password", PASSWORD), ("code", &code)];
    let got = browser.post(&format!("{ORIGIN}/sign-in"), &fields).await;
    assert_eq!(got.status, 303, "{}", got.body);
    assert_eq!(stage.recorded(), [(SignInAct::SignedIn, "j.okafor".to_owned())]);
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_let_in_whom_the_log_does_not_take() {
    let mut scene = scene("console", WITH_SECRET, "").await;
    let back = scene.at_service("j.okafor", "", "").await;
    scene.stage.fail_log();
    let got = scene.browser.get_from_elsewhere(&back).await;
    assert_eq!(got.status, 503, "{}", got.body);
    assert!(!scene.is_in().await);
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_local_accounts_there_is_the_service_alone() {
    let mut scene = scene("console", WITH_SECRET, "accounts = false").await;
    let page = scene.browser.get(&format!("{ORIGIN}/sign-in")).await;
    assert!(!page.body.contains("password") && page.body.contains("Sign in with Exampleshire"));
    for path in ["/sign-in", "/sign-in/set-up"] {
        let fields = [("name", "j.okafor"), ("password", ""), ("code", ""), ("invitation", "")];
        let got = scene.browser.post(&format!("{ORIGIN}{path}"), &fields).await;
        assert_eq!(got.status, 404, "{path}");
    }
    assert_eq!(scene.sign_in("j.okafor").await.status, 200);
    scene.end().await;
}

#[tokio::test]
async fn a_configuration_that_can_not_work_is_refused_with_the_option_that_is_wrong() {
    let good = "[sign_in_service]\nissuer = \"https://login.example\"\nclient_id = \"console\"\n\
                redirect = \"https://console.example\"\nroots = \"ca.pem\"\nlabel = \"Exampleshire\"\n";
    let with = |from: &str, to: &str| good.replace(from, to);
    for (config, word) in [
        (with("https://login.example", "http://login.example"), "issuer: `http://login.example`"),
        (with("https://login.example", "https://a@login.example"), "issuer: "),
        (with("https://console.example", "https://console.example/x"), "redirect: "),
        (with("https://console.example", "http://console.example"), "redirect: "),
        (with("\"console\"", "\"\""), "client_id: it is empty"),
        (with("\"ca.pem\"", "\"none.pem\""), "roots: `"),
        (with("\"ca.pem\"", "\"console.key\""), "roots: `"),
        (format!("{good}client_secret_file = \"none\""), "client_secret_file: `"),
        (format!("{good}client_secret_file = \"console.pem\""), "chmod 600"),
        ("accounts = false".to_owned(), "nobody could sign in"),
    ] {
        let mut stage = Stage::new(SystemClock.now(), &STAFF, &config);
        let error: ConsoleError = stage.try_start().await.unwrap_err();
        assert!(error.to_string().contains(word), "{word}: {error}");
    }
}
