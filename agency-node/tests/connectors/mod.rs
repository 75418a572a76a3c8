//! Connectors as an operator meets them: what is listed, tried and run, by the program itself, and killed in its middle.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use super::{
    Served,
    support::{Folder, agency_node, json, stderr, stdout},
};

const MAPPING: &str = "[person]\nid = \"REF\"\ngiven = \"FORENAME\"\nfamily = \"SURNAME\"\nborn = { field = \"DOB\", date = \"%d.%m.%Y\" }\n\
    sex = { field = \"GENDER\", map = { \"1\" = \"male\", \"2\" = \"female\" }, otherwise = \"\" }\nhouse = \"HOUSE\"\npostcode = \"PC\"\n\
    [[entry]]\nid = \"REF\"\nwhen = [{ field = \"NOISE\", is = \"Y\" }]\nentry = { text = \"noise-{REF}\" }\n\
    category = { value = \"C44\" }\ntext = { text = \"Noise reported at {HOUSE}.\" }\n";
const HEADER: &str = "REF,FORENAME,SURNAME,DOB,GENDER,HOUSE,PC,NOISE\n";

/// A node with one connector, whose folder this is.
fn with_connector(folder: &Folder) -> PathBuf {
    let watched = folder.path().join("housing");
    fs::create_dir(&watched).unwrap();
    fs::write(folder.path().join("node/housing.toml"), MAPPING).unwrap();
    let config = fs::read_to_string(folder.config()).unwrap();
    let connector = format!(
        "\n[[connector]]\nname = \"housing\"\nevery = \"250ms\"\nmapping = \"housing.toml\"\n[connector.folder]\npath = \"{}\"\nsettled = \"1ms\"\n",
        watched.display()
    );
    fs::write(folder.config(), config + &connector).unwrap();
    watched
}

/// Puts a file in as an export should: under another name, then renamed.
fn put(watched: &Path, name: &str, text: &str) {
    let part = watched.join(format!("{name}.part"));
    fs::write(&part, text).unwrap();
    fs::rename(part, watched.join(name)).unwrap();
}

fn until(what: &str, mut is: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !is() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_connector_that_can_not_work_is_found_by_check_config_and_a_name_that_is_none_fails() {
    let folder = Folder::new();
    with_connector(&folder);
    let listed = json(&folder.run(&["connector", "list", "--json"]));
    assert_eq!(
        (&listed["connectors"][0]["name"], &listed["connectors"][0]["kind"]),
        (&"housing".into(), &"folder".into())
    );
    assert_eq!(folder.run(&["connector", "test", "other"]).status.code(), Some(1));
    fs::write(folder.path().join("node/housing.toml"), "[person]\nid = \"REF\"\ngivven = \"X\"\n")
        .unwrap();
    let checked = folder.run(&["check-config"]);
    let said = stdout(&checked);
    assert_eq!(checked.status.code(), Some(1));
    assert!(
        said.contains("`housing`") && said.contains("housing.toml:3:") && said.contains("givven"),
        "{said}"
    );
}

#[test]
fn a_try_shows_codes_and_shapes_and_nothing_of_anybody_and_stores_nothing() {
    let folder = Folder::new();
    let watched = with_connector(&folder);
    let rows =
        "T1,Nadia,O'Brookes,04.03.1992,2,3 Mill Lane,ZZ1 2AB,Y\nT2,Featherstone,Li,x,1,,,N\n";
    put(&watched, "tenants.csv", &format!("{HEADER}{rows}"));
    let tried = folder.run(&["connector", "test", "housing", "--json"]);
    assert_eq!(tried.status.code(), Some(1), "{}", stderr(&tried));
    let text = stdout(&tried);
    for personal in ["Nadia", "Brook", "O'", "1992", "Mill", "ZZ1", "T1", "Feather", "Li\""] {
        assert!(!text.contains(personal), "{personal}: {text}");
    }
    let shown = json(&tried);
    assert_eq!((&shown["good"], &shown["rejected"]), (&2.into(), &1.into()), "{shown:#}");
    assert_eq!(
        (&shown["rows"][0]["sex"], &shown["rows"][0]["born"]),
        (&"female".into(), &"9999-99-99".into())
    );
    assert_eq!(shown["rows"][1]["category"], "C44");
    assert_eq!(
        (&shown["rejects"][0]["line"], &shown["rejects"][0]["field"]),
        (&3.into(), &"born".into())
    );
    assert!(watched.join("tenants.csv").exists() && !watched.join("done").exists());
    let plain = stdout(&folder.run(&["connector", "test", "housing"]));
    assert!(
        plain.contains("2 records would be taken, 1 rejected") && !plain.contains("Nadia"),
        "{plain}"
    );
}

#[test]
fn a_run_that_is_killed_loses_nothing_and_the_next_one_completes() {
    const TENANTS: usize = 20_000;
    let folder = Folder::new();
    let watched = with_connector(&folder);
    let mut file = HEADER.to_owned();
    for n in 0..TENANTS {
        // Every thousandth has no day of birth that could be read.
        let born = if n % 1000 == 999 { "never" } else { "04.03.1992" };
        writeln!(file, "T{n},Nadia{n},Brookes,{born},2,{n} Mill Lane,ZZ1 2AB,N").unwrap();
    }
    put(&watched, "tenants.csv", &file);
    let mut child = Command::new(env!("CARGO_BIN_EXE_agency-node"))
        .args(["connector", "run", "housing", "--config", folder.config().to_str().unwrap()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // The first rejects are written once their batch is stored.
    let report = watched.join("done/.tenants.csv.rejects.tmp");
    until("the run is in its middle", || report.exists());
    assert!(child.try_wait().unwrap().is_none(), "it was to be killed before its end");
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(watched.join("tenants.csv").exists());

    let done = folder.run(&["connector", "run", "housing", "--json"]);
    assert_eq!(done.status.code(), Some(1), "{}", stderr(&done));
    let rows = &json(&done)["rows"];
    let n = |name: &str| rows[name].as_u64().unwrap();
    assert_eq!((n("read"), n("rejected"), n("changed")), (20_000, 20, 0), "{rows}");
    assert!(n("unchanged") >= 200, "what was acknowledged is not stored again: {rows}");
    assert_eq!(n("new") + n("unchanged"), 19_980);
    let list = fs::read_to_string(watched.join("done/tenants.csv.rejects.csv")).unwrap();
    assert_eq!(list.lines().count(), 1 + 20);
    assert!(!list.contains("Nadia") && !list.contains("never"));
    assert!(!report.exists() && watched.join("done/tenants.csv").exists());
    // The log is told of everything, though one run ended without a word.
    let log = folder.path().join("node/data/log/1");
    let shown = ["log", "show", log.to_str().unwrap(), "--action", "records_imported", "--json"];
    let shown = json(&agency_node(&shown));
    let told: u64 = shown["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["count"].as_u64().unwrap())
        .sum();
    assert!((19_980..=20_180).contains(&told), "{told}");
    let again = json(&folder.run(&["connector", "run", "housing", "--json"]));
    assert_eq!(again["rows"]["read"], 0);
}

#[test]
fn a_served_node_takes_what_is_put_into_the_folder_and_refuses_to_be_run_beside() {
    let folder = Folder::new();
    let watched = with_connector(&folder);
    let served = Served::start(&folder);
    put(
        &watched,
        "tenants.csv",
        &format!("{HEADER}T1,Nadia,Brookes,04.03.1992,2,3 Mill Lane,ZZ1 2AB,Y\n"),
    );
    until("the file is taken", || watched.join("done/tenants.csv").exists());
    let beside = folder.run(&["connector", "run", "housing"]);
    assert_eq!(beside.status.code(), Some(1));
    assert!(stderr(&beside).contains("stop the node first"), "{}", stderr(&beside));
    drop(served);
    let again = put_again(&folder, &watched);
    assert_eq!(
        (&again["rows"]["unchanged"], &again["rows"]["new"]),
        (&2.into(), &0.into()),
        "{again:#}"
    );
}

/// The same file once more, after the node was killed.
fn put_again(folder: &Folder, watched: &Path) -> serde_json::Value {
    put(
        watched,
        "again.csv",
        &format!("{HEADER}T1,Nadia,Brookes,04.03.1992,2,3 Mill Lane,ZZ1 2AB,Y\n"),
    );
    json(&folder.run(&["connector", "run", "housing", "--json"]))
}
