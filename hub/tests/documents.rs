//! What is written for people agrees with what the programs do.
#![expect(clippy::unwrap_used, reason = "helpers of tests: a fault here is the test's")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use brag_common::reason::Reason;
use brag_hub::Config;

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

fn read(path: &str) -> String {
    fs::read_to_string(repository(path)).unwrap()
}

/// Every public field of every configuration struct in a source file.
fn fields_of(source: &str) -> BTreeSet<String> {
    let field = |line: &str| {
        let (name, _) = line.trim().strip_prefix("pub ")?.split_once(": ")?;
        (!name.contains(' ')).then(|| name.to_owned())
    };
    source.lines().filter_map(field).collect()
}

#[test]
fn both_configurations_are_read() {
    for name in ["basic", "advanced"] {
        let path = repository(&format!("deploy/config/hub/{name}.toml"));
        Config::load(&path).unwrap();
    }
}

#[test]
fn the_advanced_configuration_explains_every_option() {
    let written = read("deploy/config/hub/advanced.toml");
    let mut fields = fields_of(&read("hub/src/config.rs"));
    assert!(fields.contains("ask_again_after") && fields.contains("listen"));
    let [tls, log] = ["certificate private_key roots crls", "level format"];
    fields.extend(tls.split(' ').chain(log.split(' ')).map(str::to_owned));
    let of = |path: &str, name: &str| {
        let source = read(path);
        let config = source.split(&format!("pub struct {name} {{")).nth(1).unwrap();
        fields_of(config.split("\n}").next().unwrap())
    };
    fields.extend(of("common/src/forward.rs", "ForwardConfig"));
    fields.extend(of("common/src/telemetry/traces.rs", "TracesConfig"));
    let lines: Vec<&str> = written.lines().collect();
    for field in fields {
        let place = lines.iter().position(|line| {
            let key = line.split('=').next().unwrap_or_default().trim();
            // A table stands under its own name, or behind that of the table which it is in.
            let table = key.trim_matches(['[', ']']).rsplit('.').next().unwrap_or_default();
            key == field || (key.starts_with('[') && table == field)
        });
        let place = place.unwrap_or_else(|| unexplained(&field));
        let before = lines.get(place.wrapping_sub(1)).copied().unwrap_or_default();
        assert!(before.starts_with('#'), "{field} has no comment above it");
    }
}

fn unexplained(field: &str) -> usize {
    assert!(field.is_empty(), "advanced.toml does not have `{field}`");
    0
}

#[test]
fn the_co_ordinators_page_has_every_reason_code_in_its_own_words() {
    let page = read("docs/co-ordinator.md");
    for reason in Reason::ALL {
        let row = format!("| `{}` | {} |", reason.code(), reason.text());
        assert!(page.contains(&row), "{row}");
    }
    for word in brag_common::agreement::ART6.iter().chain(&brag_common::agreement::GATEWAYS) {
        assert!(page.contains(&format!("`{word}`")), "{word}");
    }
}

#[test]
fn the_page_on_the_log_has_every_field_of_an_entry() {
    let source = read("common/src/audit/entry.rs");
    let entry = source.split("pub struct Entry {").nth(1).unwrap();
    let entry = entry.split("\n}").next().unwrap();
    let page = read("docs/information-governance.md");
    for field in fields_of(entry) {
        assert!(page.contains(&format!("`{field}`")), "{field}");
    }
}

#[test]
fn the_page_on_matching_has_every_kind_of_key_and_what_was_measured_of_it() {
    let page = read("docs/matching.md");
    for kind in brag_common::matching::keys::KeyKind::ALL {
        let name = kind.label().split('v').next().unwrap();
        let row = page.lines().find(|line| line.starts_with(&format!("| `{name}` |")));
        let row = row.unwrap_or_else(|| missing_row(name));
        let measured = kind.measured();
        let figures =
            format!("| {:.3} | {:.4} |", measured.recall_febrl4, measured.false_candidates);
        assert!(row.ends_with(&figures), "{row}\nshould end with {figures}");
    }
}

fn missing_row(name: &str) -> &'static str {
    assert!(name.is_empty(), "docs/matching.md has no row for {name}");
    ""
}

#[test]
fn links_between_pages_lead_somewhere() {
    for page in ["co-ordinator", "information-governance", "matching"] {
        let text = read(&format!("docs/{page}.md"));
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            assert!(repository("docs").join(file).exists(), "{page}: {link}");
            // A picture has no headings.
            if heading.is_empty() {
                continue;
            }
            let target = if file.is_empty() { text.clone() } else { read(&format!("docs/{file}")) };
            let has_heading = target
                .lines()
                .filter(|line| line.starts_with('#'))
                .map(|line| line.trim_matches(['#', ' ']).to_lowercase().replace(' ', "-"))
                .any(|anchor| anchor == heading);
            assert!(has_heading, "{page}: {link}");
        }
    }
}

/// The first argument of each call that is a subject of a finding: a word with dots and underscores.
fn subjects_of(source: &str) -> BTreeSet<String> {
    let first = |after: &str| {
        let (word, _) = after.trim_start().strip_prefix('"')?.split_once('"')?;
        let is_word = |c: char| c.is_ascii_lowercase() || matches!(c, '_' | '.');
        (!word.is_empty() && word.chars().all(is_word)).then(|| word.to_owned())
    };
    let named = |call: &str| {
        let calls = ["problem", "note", "add", "check_bind", "check_key_folder", "check_data"];
        calls.iter().any(|name| call.ends_with(name)) || call.trim_end().ends_with(['[', ','])
    };
    let mut subjects = BTreeSet::new();
    let parts: Vec<&str> = source.split('(').collect();
    for pair in parts.windows(2) {
        if let [before, after] = pair
            && named(before)
        {
            subjects.extend(first(after));
        }
    }
    subjects
}

#[test]
fn the_doctors_page_explains_every_subject_of_both_programs() {
    let page = read("docs/doctor.md");
    let row = |word: &str| {
        let quoted = format!("`{word}`");
        page.lines().any(|line| {
            line.starts_with("| ")
                && line.split('|').nth(1).is_some_and(|cell| cell.contains(&quoted))
        })
    };
    for subject in brag_common::doctor::Subject::ALL {
        assert!(row(subject.word()), "{}", subject.word());
    }
    for source in ["hub/src/check_command.rs", "agency-node/src/check_command.rs"] {
        let subjects = subjects_of(&read(source));
        for known in ["keys.statements", "agreement", "tls.certificate", "staff", "admin_listen"] {
            assert!(subjects.contains(known), "{source}: {subjects:?}");
        }
        for subject in subjects {
            assert!(row(&subject), "{source}: {subject}");
        }
    }
}

#[test]
fn the_page_on_certificates_has_every_code_of_a_refusal() {
    let page = read("docs/certificates.md");
    for source in [
        "common/src/certificate/judge.rs",
        "common/src/certificate/install.rs",
        "common/src/peer.rs",
    ] {
        for code in read(source).split('"').filter(|text| text.starts_with("certificate_")) {
            // What is no refusal of the certificate: the authorities or lists themselves can not be used.
            assert!(
                code == "certificate_trust_unusable" || page.contains(&format!("`{code}`")),
                "{code}"
            );
        }
    }
}

#[test]
fn every_unit_starts_with_its_configuration_alone_as_a_user_without_privileges() {
    // Node and hub take orders for a backup at a socket of their own.
    let with_backups = "AF_INET AF_INET6 AF_UNIX";
    for (unit, program, families) in [
        ("brag-agency-node", "/usr/bin/agency-node serve", with_backups),
        ("brag-hub", "/usr/bin/hub serve", with_backups),
        ("brag-witness", "/usr/bin/hub witness serve", "AF_INET AF_INET6"),
    ] {
        let text = read(&format!("deploy/systemd/{unit}.service"));
        let setting = |name: &str| {
            let mut values = text.lines().filter_map(|line| line.strip_prefix(&format!("{name}=")));
            values.next().unwrap_or_else(|| panic_of(unit, name)).to_owned()
        };
        let config = setting("ConditionPathExists");
        assert_eq!(setting("ExecStart"), format!("{program} --config {config}"));
        for (name, value) in [
            ("User", "brag"),
            ("NoNewPrivileges", "yes"),
            ("ProtectSystem", "strict"),
            ("PrivateUsers", "yes"),
            ("MemoryDenyWriteExecute", "yes"),
            ("CapabilityBoundingSet", ""),
            ("RestrictAddressFamilies", families),
            ("StateDirectory", "brag"),
            ("LimitCORE", "0"),
        ] {
            assert_eq!(setting(name), value, "{unit}: {name}");
        }
    }
}

fn panic_of(unit: &str, name: &str) -> &'static str {
    assert!(unit.is_empty(), "{unit} does not have `{name}`");
    ""
}
