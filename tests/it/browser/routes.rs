//! Every address that the consoles answer, as it stands in their source, and which of them were looked at.

use std::{collections::BTreeMap, fs, path::Path};

use serde_json::Value;

/// A route to which a browser can go: its path, as the router has it, and where it is written.
#[derive(Debug)]
struct Route {
    path: String,
    file: String,
}

impl Route {
    /// Whether an address is one of it; how many of its parts are then anything.
    fn takes(&self, address: &str) -> Option<usize> {
        let (own, given) = (self.path.split('/'), address.split('/'));
        if own.clone().count() != given.clone().count() {
            return None;
        }
        let mut n_any = 0;
        for (own, given) in own.zip(given) {
            match own.starts_with('{') {
                true => n_any += 1,
                false if own == given => {}
                false => return None,
            }
        }
        Some(n_any)
    }
}

/// What was seen of one program's console, by address: how each page was looked at; nothing for what is no page.
pub(super) type Seen = BTreeMap<String, Vec<String>>;

/// What the driver tells of a program, added to what is known.
pub(super) fn add(seen: &mut Seen, told: &Value) {
    for path in told["answered"].as_array().unwrap() {
        seen.entry(path.as_str().unwrap().to_owned()).or_default();
    }
    for (path, ways) in told["pages"].as_object().unwrap() {
        let ways = ways.as_array().unwrap().iter().map(|way| way.as_str().unwrap().to_owned());
        seen.entry(path.clone()).or_default().extend(ways);
    }
}

/// The routes that are asked for with GET in these places of the source, files or folders.
fn routes(places: &[&str]) -> Vec<Route> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut found = Vec::new();
    for place in places {
        let place = root.join(place);
        let files = if place.is_dir() { crate::tidy::files_below(&place) } else { vec![place] };
        for file in files.iter().filter(|file| file.extension().is_some_and(|end| end == "rs")) {
            let name = file.display().to_string();
            if name.contains("/testing") || name.ends_with("/tests.rs") {
                continue;
            }
            found.extend(routes_of(&name, &fs::read_to_string(file).unwrap()));
        }
    }
    found
}

/// The routes of one file. Each has to be written as it is, so that it can be found here.
fn routes_of(file: &str, text: &str) -> Vec<Route> {
    // Tests that stand in the file itself come last in it.
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let mut found = Vec::new();
    for part in text.split(".route(").skip(1) {
        let (path, rest) = part
            .trim_start()
            .strip_prefix('"')
            .and_then(|part| part.split_once('"'))
            .unwrap_or_else(|| panic!("{file}: a route is not written as it is: {part:.60}"));
        // Up to whatever else is done with the router.
        let ends = [".merge(", ".with_state(", ".fallback(", ".layer(", "\n}"];
        let end = ends.iter().filter_map(|end| rest.find(end)).min().unwrap_or(rest.len());
        let handlers = rest.get(..end).unwrap().trim_start_matches([',', ' ', '\n']);
        if handlers.starts_with("get(") || handlers.contains(".get(") {
            found.push(Route { path: path.to_owned(), file: file.to_owned() });
        } else if !handlers.contains("post(") {
            panic!("{file}: nobody can tell how `{path}` is asked for: {handlers}");
        }
    }
    found
}

/// What is wrong: routes to which nobody went, pages that were not looked at in every one of these ways, and addresses that
/// answered although no route is known for them.
pub(super) fn missing(hub: &Seen, node: &Seen, ways: &[&str]) -> Vec<String> {
    let common = ["common/src/console.rs", "common/src/console"];
    let of_hub = routes(&["hub/src/console.rs", "hub/src/console"]);
    let of_node = routes(&["agency-node/src/console.rs", "agency-node/src/console"]);
    assert!(of_hub.len() > 40 && of_node.len() > 20, "{} {}", of_hub.len(), of_node.len());
    let shared = routes(&common);
    assert!(shared.len() > 4, "{}", shared.len());
    let mut all = hub.clone();
    for (path, ways) in node {
        all.entry(path.clone()).or_default().extend(ways.iter().cloned());
    }
    println!(
        "{} routes of the hub, {} of nodes, {} of both",
        of_hub.len(),
        of_node.len(),
        shared.len()
    );
    let mut faults = faults_of("the hub", &of_hub, &shared, hub, ways);
    faults.extend(faults_of("a node", &of_node, &shared, node, ways));
    faults.extend(not_seen("either", &shared, &shared, &all, ways));
    faults
}

fn faults_of(
    whose: &str,
    own: &[Route],
    shared: &[Route],
    seen: &Seen,
    ways: &[&str],
) -> Vec<String> {
    let everywhere: Vec<&Route> = own.iter().chain(shared).collect();
    let unknown =
        seen.keys().filter(|path| everywhere.iter().all(|route| route.takes(path).is_none()));
    let mut faults: Vec<String> = unknown
        .map(|path| format!("{whose}: {path} answers, and is no route in the source"))
        .collect();
    faults.extend(not_seen(whose, own, own, seen, ways));
    faults
}

fn not_seen(
    whose: &str,
    routes: &[Route],
    among: &[Route],
    seen: &Seen,
    ways: &[&str],
) -> Vec<String> {
    let mut faults = Vec::new();
    for route in routes {
        // An address belongs to the route that has the fewest parts which are anything.
        let is_its = |address: &&String| {
            let Some(n_any) = route.takes(address) else { return false };
            among.iter().filter_map(|other| other.takes(address)).all(|other| n_any <= other)
        };
        let addresses: Vec<&String> = seen.keys().filter(is_its).collect();
        let Route { path, file } = route;
        if addresses.is_empty() {
            faults.push(format!("{whose}: nobody went to {path} ({file})"));
            continue;
        }
        let looked: Vec<&String> = addresses.iter().flat_map(|address| &seen[*address]).collect();
        // What gave no page in any way is a file, a part of a page or a way to another page.
        let not =
            ways.iter().filter(|way| !looked.is_empty() && !looked.iter().any(|had| had == *way));
        for way in not {
            faults.push(format!("{whose}: {path} was not looked at with {way} ({file})"));
        }
    }
    faults
}

#[test]
fn a_route_is_found_in_the_source_with_how_it_is_asked_for() {
    let text = r#"Router::new()
        .route("/a", get(show))
        .route("/a/{b}/c", get(show).post(change))
        .route("/a/{b}", post(change))
        .route(
            "/a/new",
            get(async || Problem::Failed).post(change),
        )
    "#;
    let found = routes_of("x.rs", text);
    let paths: Vec<&str> = found.iter().map(|route| route.path.as_str()).collect();
    assert_eq!(paths, ["/a", "/a/{b}/c", "/a/new"]);
    let other =
        std::panic::catch_unwind(|| routes_of("x.rs", ".route(&format!(\"{a}/b\"), get(x))"));
    assert!(other.is_err(), "a route that can not be read is passed over");
}

#[test]
fn what_nobody_went_to_or_looked_at_in_every_way_is_named() {
    let routes = routes_of(
        "x.rs",
        ".route(\"/a\", get(x))\n.route(\"/a/{b}\", get(x))\n.route(\"/a/new\", get(x))\n",
    );
    let mut seen = Seen::new();
    seen.insert("/a".to_owned(), vec!["pointer".to_owned(), "keyboard".to_owned()]);
    seen.insert("/a/new".to_owned(), vec!["pointer".to_owned()]);
    seen.insert("/b".to_owned(), Vec::new());
    let faults = faults_of("it", &routes, &[], &seen, &["pointer", "keyboard"]);
    assert_eq!(
        faults,
        [
            "it: /b answers, and is no route in the source",
            "it: nobody went to /a/{b} (x.rs)",
            "it: /a/new was not looked at with keyboard (x.rs)",
        ]
    );
}
