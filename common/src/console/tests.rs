//! The door of the console, over real TLS, under a clock that the tests set.

mod attacks;

use std::{sync::Arc, time::Duration};

use http::{Request, header};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::ServerName;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::{
    SignInAct,
    testing::{Browser, Got, ORIGIN, PASSWORD, Stage, between, code_of},
};
use crate::time::{SignedDuration, Timestamp};

const STAFF: [&str; 2] = ["j.okafor", "s.patel"];

fn start_of_day() -> Timestamp {
    "2026-11-30T09:00:00Z".parse().unwrap()
}

async fn stage() -> (Stage, Browser) {
    let mut stage = Stage::new(start_of_day(), &STAFF, "");
    let browser = stage.start().await;
    (stage, browser)
}

/// With somebody who has an account and is signed in; the key of their app.
async fn with_account() -> (Stage, Browser, String) {
    let (stage, mut browser) = stage().await;
    let key = stage.set_up(&mut browser, "j.okafor").await;
    let _ = stage.recorded();
    (stage, browser, key)
}

fn url(path: &str) -> String {
    format!("{ORIGIN}{path}")
}

async fn is_in(browser: &mut Browser) -> bool {
    browser.get(&url("/thing")).await.status == 200
}

async fn sign_in(browser: &mut Browser, name: &str, password: &str, code: &str) -> Got {
    let fields = [("name", name), ("password", password), ("code", code), ("next", "/thing")];
    browser.post(&url("/sign-in"), &fields).await
}

async fn csrf(browser: &mut Browser) -> String {
    let page = browser.get(&url("/thing")).await.body;
    page.split_once(" with ").unwrap().1.to_owned()
}

#[tokio::test]
async fn every_answer_forbids_the_browser_what_it_does_not_need() {
    let (mut stage, mut browser, _) = with_account().await;
    let signed_in = ["/", "/thing", "/none", "/refused", "/not-allowed", "/unavailable", "/failed"];
    let before = ["/sign-in", "/sign-in/set-up", "/sign-in/service", "/assets/x/none.css"];
    for path in signed_in.into_iter().chain(before) {
        let got = browser.get(&url(path)).await;
        let policy = got.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'"), "{path}: {policy}");
        assert!(policy.contains("frame-ancestors 'none'"), "{path}: {policy}");
        assert!(policy.contains("form-action 'self'"), "{path}: {policy}");
        assert!(!policy.contains("unsafe") && !policy.contains('*'), "{path}: {policy}");
        assert_eq!(got.header("strict-transport-security"), "max-age=63072000", "{path}");
        assert_eq!(got.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(got.header("x-frame-options"), "DENY", "{path}");
        assert_eq!(got.header("referrer-policy"), "no-referrer", "{path}");
        assert_eq!(got.header("cross-origin-opener-policy"), "same-origin", "{path}");
        assert_eq!(got.header("cross-origin-resource-policy"), "same-origin", "{path}");
        assert_eq!(got.header("cache-control"), "no-store", "{path}");
        // The policy would keep it from working, so it must not be there.
        for inline in ["<script>", "<style", " style=", " onclick=", "javascript:"] {
            assert!(!got.body.contains(inline), "{path}: {inline}");
        }
    }
    stage.stop().await;
}

#[tokio::test]
async fn the_sessions_cookie_is_for_this_host_over_tls_alone_and_out_of_reach_of_scripts() {
    let (mut stage, mut browser, key) = with_account().await;
    browser.jar(ORIGIN).clear();
    stage.advance(SignedDuration::from_secs(60));
    let got = sign_in(&mut browser, "j.okafor", PASSWORD, &code_of(&key, stage.now())).await;
    assert_eq!((got.status, got.location()), (303, "/thing"), "{}", got.body);
    let [cookie] = got.cookies()[..] else { panic!("one cookie") };
    let (pair, flags) = cookie.split_once("; ").unwrap();
    assert!(pair.starts_with("__Host-session=") && pair.len() > 50, "{pair}");
    assert_eq!(flags, "Path=/; Secure; HttpOnly; SameSite=Strict");
    assert_eq!(stage.recorded(), [(SignInAct::SignedIn, "j.okafor".to_owned())]);
    stage.stop().await;
}

#[tokio::test]
async fn without_a_session_there_is_no_page() {
    let (mut stage, mut browser) = stage().await;
    for (path, location) in
        [("/", "/sign-in"), ("/thing", "/sign-in?next=/thing"), ("/none", "/sign-in?next=/none")]
    {
        let got = browser.get(&url(path)).await;
        assert_eq!((got.status, got.location()), (303, location), "{path}");
    }
    assert_eq!(browser.post(&url("/thing"), &[]).await.status, 401);
    for made_up in ["x", "", &"A".repeat(43), &"A".repeat(5000)] {
        browser.jar(ORIGIN).insert("__Host-session".to_owned(), (made_up.to_owned(), false));
        assert_eq!(browser.get(&url("/thing")).await.status, 303);
    }
    stage.stop().await;
}

#[tokio::test]
async fn a_request_that_another_site_could_have_made_changes_nothing() {
    let (mut stage, mut browser, _) = with_account().await;
    let csrf = csrf(&mut browser).await;
    let form = format!("csrf={csrf}&a=1");
    let request = |headers: &[(&str, &str)], form: &str| {
        let mut request = Request::post(url("/thing"))
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(form.to_owned()).unwrap()
    };
    let forged: [(&[(&str, &str)], &str); 9] = [
        (&[], &form),
        (&[("sec-fetch-site", "cross-site")], &form),
        (&[("sec-fetch-site", "same-site")], &form),
        (&[("sec-fetch-site", "none")], &form),
        (&[("origin", "https://evil.example")], &form),
        (&[("origin", "http://console.example")], &form),
        (&[("origin", "null")], &form),
        (&[("sec-fetch-site", "same-origin")], "a=1"),
        (&[("sec-fetch-site", "same-origin")], "csrf=AAAA&a=1"),
    ];
    for (headers, form) in forged {
        let got = browser.send(request(headers, form), false).await;
        assert_eq!(got.status, 403, "{headers:?} {form}");
        assert!(got.body.contains("This form is out of date"), "{headers:?} {form}");
    }
    for method in ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"] {
        let request = Request::builder()
            .method(method)
            .uri(url("/thing"))
            .header("sec-fetch-site", "same-origin")
            .body(form.clone());
        assert_eq!(browser.send(request.unwrap(), false).await.status, 403, "{method}");
    }
    // Not even with the secret is a session's cookie sent from another site.
    let got = browser.send(request(&[("sec-fetch-site", "same-origin")], &form), true).await;
    assert_eq!(got.status, 401);
    let good: [&[(&str, &str)]; 2] =
        [&[("sec-fetch-site", "same-origin")], &[("origin", "https://console.example")]];
    for headers in good {
        let got = browser.send(request(headers, &form), false).await;
        assert_eq!((got.status, got.location()), (303, "/thing"), "{headers:?}");
    }
    stage.stop().await;
}

#[tokio::test]
async fn a_session_ends_when_nobody_uses_it_and_at_the_end_of_the_day() {
    let (mut stage, mut browser, key) = with_account().await;
    for _ in 0..3 {
        stage.advance(SignedDuration::from_mins(14));
        assert!(is_in(&mut browser).await);
    }
    stage.advance(SignedDuration::from_mins(15));
    assert!(!is_in(&mut browser).await);

    let got = sign_in(&mut browser, "j.okafor", PASSWORD, &code_of(&key, stage.now())).await;
    assert_eq!(got.status, 303);
    for _ in 0..(9 * 6 - 1) {
        stage.advance(SignedDuration::from_mins(10));
        assert!(is_in(&mut browser).await);
    }
    stage.advance(SignedDuration::from_mins(10));
    assert!(!is_in(&mut browser).await);
    stage.stop().await;
}

#[tokio::test]
async fn whoever_signs_out_is_out_and_a_copy_of_the_cookie_with_them() {
    let (mut stage, mut browser, _) = with_account().await;
    let mut copy = browser.clone();
    let csrf = csrf(&mut browser).await;
    let got = browser.post(&url("/sign-out"), &[("csrf", &csrf)]).await;
    assert_eq!((got.status, got.location()), (303, "/sign-in"));
    assert!(got.cookies().concat().contains("__Host-session=; Path=/; Secure; HttpOnly"));
    assert!(!is_in(&mut browser).await && !is_in(&mut copy).await);
    assert_eq!(stage.recorded(), [(SignInAct::SignedOut, "j.okafor".to_owned())]);
    stage.stop().await;
}

#[tokio::test]
async fn what_an_operator_does_to_an_account_or_its_roles_ends_its_sessions() {
    for end in ["lock", "remove", "invite", "dismiss"] {
        let (mut stage, mut browser, key) = with_account().await;
        let mut other = browser.clone();
        other.jar(ORIGIN).clear();
        stage.set_up(&mut other, "s.patel").await;
        assert!(is_in(&mut browser).await && is_in(&mut other).await, "{end}");
        match end {
            "lock" => stage.lock("j.okafor"),
            "remove" => stage.remove("j.okafor"),
            "invite" => stage.invite("j.okafor"),
            _ => stage.dismiss("j.okafor"),
        }
        assert!(!is_in(&mut browser).await && is_in(&mut other).await, "{end}");
        stage.advance(SignedDuration::from_secs(60));
        let code = code_of(&key, stage.now());
        let got = sign_in(&mut browser, "j.okafor", PASSWORD, &code).await;
        assert_eq!(got.status, 422, "{end}");
        stage.stop().await;
    }
}

#[tokio::test]
async fn a_code_signs_in_once() {
    let (mut stage, mut browser, key) = with_account().await;
    browser.jar(ORIGIN).clear();
    // Setting up used one.
    let used = code_of(&key, stage.now());
    let got = sign_in(&mut browser, "j.okafor", PASSWORD, &used).await;
    assert_eq!(got.status, 422);
    assert!(got.body.contains("used already") && !got.body.contains(PASSWORD), "{}", got.body);
    stage.advance(SignedDuration::from_secs(30));
    let next = code_of(&key, stage.now());
    assert_eq!(sign_in(&mut browser, "j.okafor", PASSWORD, &next).await.status, 303);
    browser.jar(ORIGIN).clear();
    assert_eq!(sign_in(&mut browser, "j.okafor", PASSWORD, &next).await.status, 422);
    // Not even after the program has started again.
    stage.stop().await;
    let mut browser = stage.start().await;
    assert_eq!(sign_in(&mut browser, "j.okafor", PASSWORD, &next).await.status, 422);
    stage.stop().await;
}

#[tokio::test]
async fn who_is_refused_is_not_told_why_and_only_staff_are_recorded() {
    let (mut stage, mut browser, key) = with_account().await;
    browser.jar(ORIGIN).clear();
    stage.advance(SignedDuration::from_secs(60));
    let code = code_of(&key, stage.now());
    let refusal = "The name, the password or the code is wrong.";
    let mut bodies = Vec::new();
    for (name, password, code) in [
        ("j.okafor", "wrong horse battery", code.as_str()),
        ("j.okafor", PASSWORD, "000000"),
        ("s.patel", PASSWORD, &code),
        ("nobody", PASSWORD, &code),
        (PASSWORD, "j.okafor", &code),
    ] {
        let got = sign_in(&mut browser, name, password, code).await;
        assert_eq!(got.status, 422, "{name}");
        assert!(got.body.contains(refusal) && got.body.contains("<title>Error: Sign in"), "{name}");
        bodies.push(got.body.replace(&format!("value=\"{name}\""), ""));
    }
    assert!(bodies.iter().all(|body| *body == bodies[0]));
    let recorded = stage.recorded();
    assert!(recorded.iter().all(|(act, _)| *act == SignInAct::Refused));
    let names: Vec<_> = recorded.iter().map(|(_, name)| name.as_str()).collect();
    assert_eq!(names, ["j.okafor", "j.okafor", "s.patel"]);
    stage.stop().await;
}

#[tokio::test]
async fn after_five_failures_not_even_the_right_password_is_tried() {
    let (mut stage, mut browser, key) = with_account().await;
    browser.jar(ORIGIN).clear();
    for name in ["j.okafor", "nobody"] {
        for _ in 0..5 {
            let got = sign_in(&mut browser, name, "wrong", "000000").await;
            assert!(got.body.contains("is wrong"), "{}", got.body);
        }
        let code = code_of(&key, stage.now());
        let got = sign_in(&mut browser, name, PASSWORD, &code).await;
        assert!(got.body.contains("too many tries"), "{name}: {}", got.body);
    }
    assert_eq!(stage.recorded().last(), Some(&(SignInAct::LockedOut, "j.okafor".to_owned())));
    stage.advance(SignedDuration::from_mins(15));
    let code = code_of(&key, stage.now());
    assert_eq!(sign_in(&mut browser, "j.okafor", PASSWORD, &code).await.status, 303);
    stage.stop().await;
}

#[tokio::test]
async fn nobody_is_let_in_or_told_anything_before_it_is_in_the_log() {
    let (mut stage, mut browser, key) = with_account().await;
    browser.jar(ORIGIN).clear();
    stage.advance(SignedDuration::from_secs(60));
    stage.fail_log();
    for password in [PASSWORD, "wrong"] {
        let code = code_of(&key, stage.now());
        let got = sign_in(&mut browser, "j.okafor", password, &code).await;
        assert_eq!((got.status, got.cookies().len()), (503, 0), "{}", got.body);
    }
    stage.stop().await;
}

#[tokio::test]
async fn an_invitation_of_another_and_a_weak_password_set_nothing_up() {
    let (mut stage, mut browser) = stage().await;
    let set_up = url("/sign-in/set-up");
    stage.invite("j.okafor");
    for (name, code) in [("j.okafor", "AAAA"), ("nobody", "AAAA"), ("s.patel", "")] {
        let got = browser.post(&set_up, &[("name", name), ("invitation", code)]).await;
        assert_eq!(got.status, 422, "{name}");
        assert!(got.body.contains("The name or the invitation is wrong"), "{name}");
    }
    let staff = "s.patel".parse().unwrap();
    let (code, _) = super::accounts::invite(stage.folder(), &staff, stage.now()).unwrap();
    let first = browser.post(&set_up, &[("name", "s.patel"), ("invitation", &code)]).await;
    let key = between(&first.body, "<strong>Key:</strong> <code>", "</code>");
    let secret = between(&first.body, "name=\"secret\" value=\"", "\"");
    let right = code_of(&key, stage.now());
    for (password, again, digits) in [
        ("short", "short", right.as_str()),
        (PASSWORD, "correct horse batterz", &right),
        (PASSWORD, PASSWORD, "000000"),
    ] {
        let fields = [
            ("name", "s.patel"),
            ("invitation", &code),
            ("secret", &secret),
            ("password", password),
            ("again", again),
            ("code", digits),
        ];
        let got = browser.post(&set_up, &fields).await;
        assert_eq!((got.status, got.cookies().len()), (422, 0), "{password} {again} {digits}");
    }
    assert_eq!(stage.recorded(), []);
    stage.stop().await;
}

#[tokio::test]
async fn nobody_is_sent_on_to_another_site() {
    let (mut stage, mut browser, key) = with_account().await;
    for next in
        ["//evil.example", "https://evil.example", "/\\evil.example", "evil", "/a\r\nb: c", "/?x=1"]
    {
        browser.jar(ORIGIN).clear();
        stage.advance(SignedDuration::from_secs(60));
        let code = code_of(&key, stage.now());
        let fields =
            [("name", "j.okafor"), ("password", PASSWORD), ("code", &code), ("next", next)];
        let got = browser.post(&url("/sign-in"), &fields).await;
        assert_eq!((got.status, got.location()), (303, "/"), "{next}");
    }
    stage.stop().await;
}

#[tokio::test]
async fn a_form_that_is_too_long_is_refused_before_it_is_read() {
    let (mut stage, mut browser, _) = with_account().await;
    let csrf = csrf(&mut browser).await;
    let long = "a".repeat(super::guard::MAX_BODY_BYTES);
    let got = browser.post(&url("/thing"), &[("csrf", &csrf), ("text", &long)]).await;
    assert_eq!(got.status, 413);
    assert!(got.body.contains("This is too long"), "{}", got.body);
    browser.jar(ORIGIN).clear();
    let got = browser.post(&url("/sign-in"), &[("name", "a"), ("password", &long)]).await;
    assert_eq!(got.status, 413);
    stage.stop().await;
}

#[tokio::test]
async fn problems_are_pages_that_say_what_to_do() {
    let (mut stage, mut browser, _) = with_account().await;
    for (path, status, text) in [
        ("/none", 404, "There is nothing at this address"),
        ("/not-allowed", 403, "Not yours."),
        ("/refused", 422, "Why &#60;b&#62;"),
        ("/unavailable", 503, "The log is away."),
        ("/failed", 500, "Something went wrong"),
        // No number, and no reference as its service reads them.
        ("/things/seven", 404, "There is nothing at this address"),
        ("/misnamed", 404, "There is nothing at this address"),
    ] {
        let got = browser.get(&url(path)).await;
        assert_eq!(got.status, status, "{path}");
        assert!(got.header("content-type").starts_with("text/html"), "{path}");
        assert!(got.body.contains(text), "{path}: {}", got.body);
        assert!(got.body.contains("Signed in as <strong>j.okafor"), "{path}");
        assert_eq!(got.body.matches("<h1").count(), 1, "{path}");
    }
    assert!(browser.get(&url("/refused")).await.body.contains("<code>SOME_CODE</code>"));
    stage.stop().await;
}

#[tokio::test]
async fn a_form_that_can_not_be_read_is_refused_with_a_page() {
    let (mut stage, mut browser) = stage().await;
    let got = browser.post(&url("/sign-in"), &[("name", "a")]).await;
    assert_eq!(got.status, 422);
    assert!(got.body.contains("<h1"), "{}", got.body);
    stage.stop().await;
}

#[tokio::test]
async fn a_session_outlives_the_program_and_is_not_in_a_copy_of_its_store() {
    let (mut stage, mut browser, _) = with_account().await;
    let token = browser.jar(ORIGIN)["__Host-session"].0.clone();
    stage.stop().await;
    let mut folders = vec![stage.folder().join("store")];
    let mut looked_at = 0;
    while let Some(folder) = folders.pop() {
        for item in std::fs::read_dir(folder).unwrap() {
            let path = item.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let bytes = std::fs::read(&path).unwrap();
            looked_at += bytes.len();
            assert!(!bytes.windows(token.len()).any(|window| window == token.as_bytes()));
        }
    }
    assert!(looked_at > 0);
    let mut again = stage.start().await;
    assert!(!is_in(&mut again).await);
    *again.jar(ORIGIN) = browser.jar(ORIGIN).clone();
    assert!(is_in(&mut again).await);
    stage.stop().await;
}

#[tokio::test]
async fn an_older_tls_is_refused_and_so_is_plain_text() {
    use rustls_pki_types::pem::PemObject as _;
    let (mut stage, browser) = stage().await;
    // A ClientHello that offers TLS 1.2 and nothing newer: this build of rustls can not make one.
    let hello: &[u8] = &[
        0x16, 3, 1, 0, 47, 1, 0, 0, 43, 3, 3, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
        7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 0, 0, 4, 0xc0, 0x2f, 0xc0, 0x2b, 1, 0,
    ];
    for (sent, kind) in [(hello, 0x15), (b"GET / HTTP/1.1\r\nHost: console.example\r\n\r\n", 0x15)]
    {
        let mut tcp = TcpStream::connect(stage.address()).await.unwrap();
        tcp.write_all(sent).await.unwrap();
        let mut answer = Vec::new();
        let _ = tcp.read_to_end(&mut answer).await;
        // Nothing but a TLS alert.
        assert!(
            answer.len() <= 7 && answer.first().is_none_or(|first| *first == kind),
            "{answer:?}"
        );
    }
    // And the certificate is the configured one: another authority's is not accepted by browsers.
    let mut roots = RootCertStore::empty();
    let other = crate::testing::TestCa::new("other.example".parse().unwrap());
    let root = rustls_pki_types::CertificateDer::from_pem_slice(other.root_pem().as_bytes());
    roots.add(root.unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let tcp = TcpStream::connect(stage.address()).await.unwrap();
    let name = ServerName::try_from("console.example").unwrap();
    let connected = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, tcp).await;
    assert!(connected.is_err());
    drop(browser);
    stage.stop().await;
}

#[tokio::test]
async fn whoever_sends_the_head_of_a_request_too_slowly_is_cut_off() {
    let (mut stage, browser) = stage().await;
    let uri = url("/sign-in").parse().unwrap();
    let mut stream = browser.connect(&uri).await;
    stream.write_all(b"GET /sign-in HTTP/1.1\r\nHost: console").await.unwrap();
    stream.flush().await.unwrap();
    let mut answer = Vec::new();
    // The server's own deadline is 10 s.
    let read = tokio::time::timeout(Duration::from_secs(40), stream.read_to_end(&mut answer)).await;
    assert!(read.is_ok(), "the connection is still open");
    assert!(!answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    stage.stop().await;
}

#[tokio::test]
async fn a_head_that_is_too_long_is_refused() {
    let (mut stage, browser) = stage().await;
    let uri = url("/sign-in").parse().unwrap();
    let mut stream = browser.connect(&uri).await;
    let long = format!(
        "GET /sign-in HTTP/1.1\r\nHost: console.example\r\nX: {}\r\n\r\n",
        "a".repeat(64 * 1024)
    );
    let _ = stream.write_all(long.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    stage.stop().await;
}
