//! A search of a FHIR R4 server: each kind of resource in turn, page after page, from the last time on.
//!
//! The mark of a kind is the newest `meta.lastUpdated` that was stored. It is kept page by page as long as resources come in the
//! order that was asked for (`_sort=_lastUpdated`), and at the end when they do not. The next run begins some minutes before it.
//! Pages are followed within the server's own origin alone, each once, and none is larger than 16 MiB.

use std::{collections::BTreeSet, time::Duration};

use brag_common::{
    fetch::{Bounds, Fetch, https, read_secret_file},
    time::{SharedClock, SignedDuration, Timestamp},
};
use http::{HeaderValue, Uri};
use serde::Deserialize;
use serde_json::Value;

use super::{
    Batch, Order, Source, SourceFailure, Waiting,
    config::{FhirConfig, Resource},
    mapping::Mapping,
};
use crate::import::{ImportOptions, Reject};

/// What one page may take.
const BOUNDS: Bounds = Bounds { within: Duration::from_secs(120), answer_bytes: 16 * 1024 * 1024 };
/// Pages of one kind in one run: a million resources a hundred at a time; the next run goes on.
const MAX_PAGES: usize = 10_000;
/// Most resources that a page may be asked to have.
const MAX_PAGE: u16 = 1000;
const ACCEPT: &str = "application/fhir+json";

/// What is wrong with the settings of a server. Asks nobody.
pub(crate) fn check(config: &FhirConfig) -> Result<(), String> {
    let base = https(&config.base).filter(|base| base.query().is_none());
    base.ok_or_else(|| format!("`base`: `{}` is not `https://host[:port]/path`", config.base))?;
    if config.page == 0 || config.page > MAX_PAGE {
        return Err(format!("`page` is from 1 to {MAX_PAGE}"));
    }
    if config.resources.is_empty() {
        return Err("`resources` is empty".to_owned());
    }
    if let Some(path) = &config.token_file {
        read_secret_file(path.as_path()).map_err(|problem| format!("token_file: {problem}"))?;
    }
    if config.roots.as_path().is_file() {
        Ok(())
    } else {
        Err(format!("roots: `{}` is not there", config.roots.as_path().display()))
    }
}

/// A search under way.
pub(crate) struct Search {
    waiting: Waiting,
    fetch: Fetch,
    token: Option<HeaderValue>,
    base: Uri,
    mapping: Mapping,
    options: ImportOptions,
    /// What is still to be searched for, the next one last, and since when.
    left: Vec<(Resource, String)>,
    n_kinds: usize,
    part: Option<Part>,
}

/// The search for one kind.
struct Part {
    resource: Resource,
    next: Option<Uri>,
    seen: BTreeSet<String>,
    line: u64,
    newest: Option<Timestamp>,
    in_order: bool,
}

/// A page of a search (R4, Bundle).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bundle {
    resource_type: String,
    #[serde(default)]
    link: Vec<Link>,
    #[serde(default)]
    entry: Vec<Entry>,
}

#[derive(Deserialize)]
struct Link {
    relation: String,
    url: String,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    resource: Value,
}

impl Search {
    /// Reads what the settings name; asks nobody yet. `mark` gives the mark of a kind.
    pub(crate) fn open(
        config: &FhirConfig,
        mapping: Mapping,
        options: ImportOptions,
        clock: &SharedClock,
        waiting: Waiting,
        mark: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, SourceFailure> {
        check(config).map_err(SourceFailure::Settings)?;
        let base = https(&config.base);
        let base =
            base.ok_or_else(|| SourceFailure::Settings("`base` is no address".to_owned()))?;
        let token = config.token_file.as_ref().map(|path| {
            let secret = read_secret_file(path.as_path())?;
            let value = format!("Bearer {}", *secret);
            HeaderValue::from_str(&value).map_err(|_| "token_file: it is no token".to_owned())
        });
        let overlap = SignedDuration::try_from(config.overlap.get()).unwrap_or_default();
        let since = |resource: Resource| {
            let mark: Option<Timestamp> = mark(resource.word()).and_then(|text| text.parse().ok());
            let from = mark.and_then(|mark| mark.checked_sub(overlap).ok());
            let from = from.map(|from| format!("&_lastUpdated=ge{from}")).unwrap_or_default();
            let page = config.page;
            (resource, format!("{}?_sort=_lastUpdated&_count={page}{from}", resource.word()))
        };
        Ok(Self {
            fetch: Fetch::open(config.roots.as_path(), clock, BOUNDS)
                .map_err(SourceFailure::Settings)?,
            waiting,
            token: token.transpose().map_err(SourceFailure::Settings)?,
            mapping,
            options,
            left: config.resources.iter().rev().copied().map(since).collect(),
            n_kinds: 0,
            part: None,
            base,
        })
    }

    fn begin(&mut self) -> Result<Option<Part>, SourceFailure> {
        let Some((resource, search)) = self.left.pop() else { return Ok(None) };
        self.n_kinds += 1;
        let address = format!("{}/{search}", self.base.to_string().trim_end_matches('/'));
        let next = https(&address);
        let next =
            next.ok_or_else(|| SourceFailure::Settings("`base` is no address".to_owned()))?;
        Ok(Some(Part {
            resource,
            seen: BTreeSet::from([next.to_string()]),
            next: Some(next),
            line: 0,
            newest: None,
            in_order: true,
        }))
    }

    fn page(&self, at: &Uri) -> Result<Bundle, SourceFailure> {
        let asked = self.fetch.get(at, ACCEPT, self.token.clone());
        let answer = self.waiting.wait(BOUNDS.within, asked)?;
        let answer =
            answer.map_err(|why| SourceFailure::Other(format!("the FHIR server: {why}")))?;
        match answer.status {
            200 => {}
            401 | 403 => {
                let status = answer.status;
                return Err(SourceFailure::Other(format!(
                    "the FHIR server refused the token or what it may read (status {status})"
                )));
            }
            status => {
                return Err(SourceFailure::Other(format!(
                    "the FHIR server answered with status {status}"
                )));
            }
        }
        // The parser's own text may repeat what a resource holds.
        let bundle: Result<Bundle, _> = serde_json::from_slice(&answer.body);
        let bundle = bundle.ok().filter(|bundle| bundle.resource_type == "Bundle");
        bundle.ok_or_else(|| {
            SourceFailure::Other(
                "the FHIR server answered with something else than a Bundle".to_owned(),
            )
        })
    }

    fn take(&self, part: &mut Part, bundle: Bundle) -> Result<Batch, SourceFailure> {
        let mut batch = Batch { begins: part.line == 0, file: self.n_kinds, ..Batch::default() };
        for Entry { resource } in bundle.entry {
            part.line += 1;
            // Warnings of the server, and what else it likes to send along.
            if resource.get("resourceType").and_then(Value::as_str) != Some(part.resource.word()) {
                batch.passed_over += 1;
                continue;
            }
            let updated = resource.pointer("/meta/lastUpdated").and_then(Value::as_str);
            match updated.and_then(|text| text.parse::<Timestamp>().ok()) {
                Some(updated) if part.newest.is_none_or(|newest| newest <= updated) => {
                    part.newest = Some(updated);
                }
                Some(_) | None => part.in_order = false,
            }
            let made = self.mapping.rows(part.line, &resource, &self.options);
            batch.passed_over += u64::from(made.is_empty());
            batch.rows.extend(made);
        }
        let next = bundle.link.into_iter().find(|link| link.relation == "next");
        part.next = next.map(|link| self.followed(part, &link.url)).transpose()?;
        if let Some(newest) = part.newest
            && (part.in_order || part.next.is_none())
        {
            batch.mark = Some((part.resource.word().to_owned(), newest.to_string()));
        }
        Ok(batch)
    }

    /// The address of the next page: of the server's own origin, and not seen before.
    fn followed(&self, part: &mut Part, url: &str) -> Result<Uri, SourceFailure> {
        let refused = |why: &str| SourceFailure::Other(format!("the FHIR server's `next` {why}"));
        let origin = |uri: &Uri| {
            let authority = uri.authority()?;
            let host = authority.host().to_ascii_lowercase();
            Some((host, authority.port_u16().unwrap_or(443)))
        };
        let whole = if url.starts_with('/') && !url.starts_with("//") {
            let authority = self.base.authority().map(ToString::to_string).unwrap_or_default();
            format!("https://{authority}{url}")
        } else {
            url.to_owned()
        };
        let next = https(&whole).ok_or_else(|| refused("is not an address of https"))?;
        if origin(&next) != origin(&self.base) {
            return Err(refused(
                "leads to another server than `base`; its own address has to be the one that is configured",
            ));
        }
        if !part.seen.insert(next.to_string()) {
            return Err(refused("leads in a circle"));
        }
        if part.seen.len() > MAX_PAGES {
            return Err(refused("goes on for too many pages; the next run goes on"));
        }
        Ok(next)
    }
}

impl Source for Search {
    fn repeats(&self) -> Order {
        Order::Changes
    }

    fn next(&mut self) -> Result<Option<Batch>, SourceFailure> {
        loop {
            let mut part = match self.part.take() {
                Some(part) => part,
                None => match self.begin()? {
                    Some(part) => part,
                    None => return Ok(None),
                },
            };
            let Some(at) = part.next.take() else { continue };
            let bundle = self.page(&at)?;
            let batch = self.take(&mut part, bundle)?;
            self.part = Some(part);
            return Ok(Some(batch));
        }
    }

    fn stored(&mut self, _rejects: &[Reject]) -> Result<(), SourceFailure> {
        Ok(())
    }
}
