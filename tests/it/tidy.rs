//! Facts about the source text: what is named where, and what a machine can tell of the wire format's manners.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use brag_common::wire::FILE_DESCRIPTOR_SET;
use prost::Message as _;
use prost_types::{DescriptorProto, EnumDescriptorProto, FileDescriptorProto, FileDescriptorSet};

/// The crates of the workspace.
const CRATES: [&str; 6] = ["proto", "common", "agency-node", "hub", "tests", "tests/fuzz"];

#[test]
fn the_embedded_store_is_named_in_one_module_only() {
    for (path, text) in sources() {
        let is_the_store =
            path == "common/src/durable.rs" || path.starts_with("common/src/durable/");
        if !is_the_store {
            for (n, line) in code_lines(&text) {
                assert!(!line.contains(concat!("sle", "d::")), "{path}:{n} names the store");
            }
        }
    }
}

#[test]
fn the_machines_clock_is_read_in_one_place_only() {
    for (path, text) in sources().into_iter().filter(|(path, _)| path != "common/src/time.rs") {
        for (n, line) in code_lines(&text) {
            for clock in [concat!("SystemTime::", "now("), concat!("Timestamp::", "now(")] {
                assert!(!line.contains(clock), "{path}:{n} reads the machine's clock");
            }
        }
    }
}

#[test]
fn wire_messages_are_named_at_the_edge_only() {
    for (path, text) in sources() {
        // Witnessing is what both programs offer and do with every exchange, so its handlers are shared.
        let is_edge = path == "common/src/wire.rs"
            || path.starts_with("common/src/wire/")
            || path == "common/src/witness/grpc.rs"
            || path == "common/src/witness/in_band.rs";
        if path.starts_with("common/src/") && !is_edge && !path.ends_with("/tests.rs") {
            let text = text.split("#[cfg(test)]").next().unwrap();
            for (n, line) in code_lines(text) {
                // Health and reflection have messages of their own.
                let others = line.contains("tonic_health") || line.contains("health_server");
                let named = (line.contains("pb::") && !others) || line.contains("brag_proto");
                assert!(!named, "{path}:{n} names a wire message");
            }
        }
    }
}

#[test]
fn the_decision_knows_no_disk_no_network_no_clock_and_no_chance() {
    let forbidden =
        ["tokio", "tonic", "std::fs", "std::net", "std::env", "random_bytes", "OsRng", "async fn"];
    for (path, text) in sources() {
        let pure = path.starts_with("common/src/agreement") || path == "common/src/evidence.rs";
        if pure && !path.ends_with("/tests.rs") {
            let text = text.split("#[cfg(test)]").next().unwrap();
            for (n, line) in code_lines(text) {
                for word in forbidden {
                    assert!(!line.contains(word), "{path}:{n} names {word}");
                }
            }
        }
    }
}

#[test]
fn every_crate_of_the_product_has_the_workspaces_lints() {
    let workspace = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let workspace: toml::Table = workspace.parse().unwrap();
    let members = workspace["workspace"]["members"].as_array().unwrap();
    let members: Vec<_> = members.iter().map(|member| member.as_str().unwrap()).collect();
    assert_eq!(members, CRATES, "a new crate: add it here");
    for member in members.iter().filter(|member| !["proto", "tests", "tests/fuzz"].contains(member))
    {
        let manifest = fs::read_to_string(root().join(member).join("Cargo.toml")).unwrap();
        let manifest: toml::Table = manifest.parse().unwrap();
        let lints = manifest.get("lints").and_then(|lints| lints.get("workspace"));
        assert_eq!(lints, Some(&toml::Value::Boolean(true)), "{member}");
    }
}

#[test]
fn every_invariant_of_the_design_has_a_test_that_is_named_for_it() {
    let sources = sources();
    for invariant in 1..=10 {
        let name = format!("fn invariant_{invariant}_");
        let tests = sources.iter().filter(|(_, text)| text.contains(&name)).count();
        assert!(tests > 0, "no test is named {name}…");
    }
}

#[test]
fn no_file_names_a_path_of_somebodys_machine() {
    for folder in ["."] {
        for path in files_below(&root().join(folder)) {
            let Ok(text) = fs::read_to_string(&path) else { continue };
            for machine in [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/Use", "rs/")] {
                for (n, line) in text.lines().enumerate() {
                    let at = format!("{}:{}", path.display(), n + 1);
                    assert!(!line.contains(machine), "{at} names a path of a machine");
                }
            }
        }
    }
}

#[test]
fn wire_files_lie_in_the_folder_of_their_package() {
    for file in wire_files() {
        assert_eq!(file.package(), "brag.v1", "{}", file.name());
        assert!(file.name().starts_with("brag/v1/"), "{}", file.name());
        assert_eq!(file.syntax(), "proto3", "{}", file.name());
    }
}

#[test]
fn wire_names_follow_the_custom_of_their_kind() {
    for file in wire_files() {
        for message in &file.message_type {
            check_message(message);
        }
        for kind in &file.enum_type {
            check_enum(kind);
        }
        for service in &file.service {
            assert!(service.name().ends_with("Service"), "{}", service.name());
            for method in &service.method {
                let (name, at) = (method.name(), format!("{}/{}", service.name(), method.name()));
                assert_eq!(method.input_type(), format!(".brag.v1.{name}Request"), "{at}");
                assert_eq!(method.output_type(), format!(".brag.v1.{name}Response"), "{at}");
            }
        }
    }
}

#[test]
fn wire_messages_of_two_calls_are_never_shared() {
    let mut used = BTreeMap::new();
    for file in wire_files() {
        for method in file.service.iter().flat_map(|service| &service.method) {
            for message in [method.input_type(), method.output_type()] {
                let call = method.name().to_owned();
                assert_eq!(used.insert(message.to_owned(), call), None, "{message} is shared");
            }
        }
    }
}

#[test]
fn everything_on_the_wire_has_a_comment() {
    for file in wire_files() {
        let info = file.source_code_info.as_ref().expect("the set has its comments");
        let commented: Vec<&[i32]> = info
            .location
            .iter()
            .filter(|place| !place.leading_comments().trim().is_empty())
            .map(|place| place.path.as_slice())
            .collect();
        for (path, what) in places(&file) {
            assert!(commented.contains(&path.as_slice()), "{}: {what} has no comment", file.name());
        }
    }
}

/// Everything that has to have a comment, by its path in the descriptor (see `SourceCodeInfo.Location.path`).
fn places(file: &FileDescriptorProto) -> Vec<(Vec<i32>, String)> {
    let mut places = vec![(vec![2], "the package".to_owned())];
    let n = |n: usize| i32::try_from(n).unwrap();
    for (m, message) in file.message_type.iter().enumerate() {
        places.push((vec![4, n(m)], message.name().to_owned()));
        for (f, field) in message.field.iter().enumerate() {
            places.push((vec![4, n(m), 2, n(f)], format!("{}.{}", message.name(), field.name())));
        }
        for (o, oneof) in message.oneof_decl.iter().enumerate() {
            places.push((vec![4, n(m), 8, n(o)], format!("{}.{}", message.name(), oneof.name())));
        }
        assert!(message.nested_type.is_empty(), "{}: nested messages", message.name());
    }
    for (e, kind) in file.enum_type.iter().enumerate() {
        places.push((vec![5, n(e)], kind.name().to_owned()));
        for (v, value) in kind.value.iter().enumerate() {
            places.push((vec![5, n(e), 2, n(v)], value.name().to_owned()));
        }
    }
    for (s, service) in file.service.iter().enumerate() {
        places.push((vec![6, n(s)], service.name().to_owned()));
        for (m, method) in service.method.iter().enumerate() {
            let what = format!("{}/{}", service.name(), method.name());
            places.push((vec![6, n(s), 2, n(m)], what));
        }
    }
    places
}

fn check_message(message: &DescriptorProto) {
    assert!(is_camel(message.name()), "{}", message.name());
    for field in &message.field {
        let at = format!("{}.{}", message.name(), field.name());
        assert!(is_snake(field.name()), "{at}");
        // A time says its unit: all of them are milliseconds.
        let is_time = field.name().ends_with("_at") || field.name().ends_with("_until");
        assert!(!is_time, "{at}: a time without its unit");
    }
    for kind in &message.enum_type {
        check_enum(kind);
    }
}

fn check_enum(kind: &EnumDescriptorProto) {
    assert!(is_camel(kind.name()), "{}", kind.name());
    let prefix = format!("{}_", upper_snake(kind.name()));
    for value in &kind.value {
        let name = value.name();
        assert!(name.starts_with(&prefix), "{name} does not start with {prefix}");
        let is_upper = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
        assert!(name.chars().all(is_upper), "{name}");
    }
    let zero = kind.value.iter().find(|value| value.number() == 0).unwrap();
    assert_eq!(zero.name(), format!("{prefix}UNSPECIFIED"));
}

fn is_camel(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_uppercase())
        && name.chars().all(|c| c.is_ascii_alphanumeric())
}

fn is_snake(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        && !name.contains("__")
        && !name.ends_with('_')
}

fn upper_snake(camel: &str) -> String {
    let mut upper = String::new();
    for (n, c) in camel.chars().enumerate() {
        if c.is_ascii_uppercase() && n > 0 {
            upper.push('_');
        }
        upper.push(c.to_ascii_uppercase());
    }
    upper
}

fn wire_files() -> Vec<FileDescriptorProto> {
    let set = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap();
    let own: Vec<_> =
        set.file.into_iter().filter(|file| !file.package().starts_with("google.")).collect();
    assert!(own.len() >= 4);
    own
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Every Rust file of the workspace, by its path from the root.
fn sources() -> Vec<(String, String)> {
    let root = root();
    // One of the crates lies in another's folder.
    let apart = CRATES.iter().filter(|member| **member != "tests/fuzz");
    let all = apart.flat_map(|member| files_below(&root.join(member)));
    let rust = all.filter(|path| path.extension().is_some_and(|extension| extension == "rs"));
    let sources: Vec<_> = rust
        .map(|path| {
            let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
            (name, fs::read_to_string(path).unwrap())
        })
        .collect();
    assert!(sources.len() > 50, "the sources are found");
    sources
}

/// Every file below a folder, but what is built and what the version control keeps.
pub(crate) fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for item in fs::read_dir(folder).unwrap() {
            let path = item.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap_or_default();
            if path.is_dir() {
                if name != "target" && name != ".git" && !path.is_symlink() {
                    folders.push(path);
                }
            } else if name != ".git" {
                files.push(path);
            }
        }
    }
    files
}

/// The lines of a source that are no comment, with their numbers.
fn code_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = (1..).zip(text.lines());
    lines.filter(|(_, line)| !line.trim_start().starts_with("//"))
}
