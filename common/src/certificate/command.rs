//! `certificate`: the operator's commands for the program's own certificate. They need no running program; one that runs takes up
//! what is installed by itself.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::json;

use super::{
    install::{NotInstalled, install},
    judge::judge,
    read::{Described, describe, read_chain, read_crl_updates},
    request::{Request, next_key, request_path, write},
};
use crate::{
    peer::{PeerName, TrustDomain},
    time::{SharedClock, Timestamp},
    tls::TlsFiles,
};

/// Done.
pub const DONE: u8 = 0;
/// A rule refused it; what is in use stays.
pub const REFUSED: u8 = 3;

/// What to do with the program's certificate.
#[derive(Debug, Subcommand)]
pub enum CertificateCommand {
    /// Make a new key and a request for its certificate, beside the key in use
    ///
    /// Send the request to the partnership's authority; the key never leaves this machine. The key in use stays in use until
    /// `certificate install` has the new one's certificate. Asking again makes another key in place of the one that waited.
    ///
    /// Example: agency-node certificate request --host node.csc.example.org --config /etc/brag/agency-node.toml
    #[command(verbatim_doc_comment)]
    Request(RequestArgs),
    /// Check a certificate and install it with its key; a running program takes both up within seconds
    ///
    /// Refused, with the reason, unless it is for this program and for a key that is here, is valid now, may be used in both
    /// directions, and leads to an authority that is trusted. Exit 3: refused.
    ///
    /// Example: agency-node certificate install from-the-authority.pem --config /etc/brag/agency-node.toml
    #[command(verbatim_doc_comment)]
    Install(InstallArgs),
    /// Show the certificates in use: whose, until when, and whether others accept them
    ///
    /// Example: agency-node certificate show --config /etc/brag/agency-node.toml
    #[command(verbatim_doc_comment)]
    Show(ShowArgs),
}

/// What `certificate request` is told.
#[derive(Debug, Args)]
pub struct RequestArgs {
    /// A DNS name or address under which others reach this program; several times for several. Default: those of the certificate in use
    #[arg(long = "host", value_name = "HOST")]
    pub hosts: Vec<String>,
    /// The partnership, where there is neither agreement nor certificate yet that says it
    #[arg(long, value_name = "DOMAIN")]
    pub trust_domain: Option<TrustDomain>,
    /// The configuration of the program
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// What `certificate install` is told.
#[derive(Debug, Args)]
pub struct InstallArgs {
    /// The certificate in PEM, then those between it and the authority
    pub file: PathBuf,
    /// The partnership, where there is neither agreement nor certificate yet that says it
    #[arg(long, value_name = "DOMAIN")]
    pub trust_domain: Option<TrustDomain>,
    /// The configuration of the program
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// What `certificate show` is told.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// The configuration of the program
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// Whose certificates.
#[derive(Debug)]
pub struct Own {
    /// The files of the configuration.
    pub files: TlsFiles,
    /// The partnership, as an accepted agreement says it.
    pub trust_domain: Option<TrustDomain>,
    /// The console's certificate.
    pub console: Option<PathBuf>,
}

/// A certificate as `certificate show` shows it.
#[derive(Debug, Serialize)]
struct Shown {
    what: &'static str,
    file: PathBuf,
    #[serde(flatten)]
    certificate: Described,
    days_left: i64,
    /// Of the program's own: why others would not accept it.
    #[serde(skip_serializing_if = "Option::is_none")]
    not_accepted: Option<String>,
}

impl CertificateCommand {
    /// The configuration that it is about.
    #[must_use]
    pub fn config(&self) -> &Path {
        match self {
            Self::Request(args) => &args.config,
            Self::Install(args) => &args.config,
            Self::Show(args) => &args.config,
        }
    }

    /// Does it. `name` says who this program is in a partnership. Returns the program's exit code: [`DONE`] or [`REFUSED`].
    ///
    /// # Errors
    /// When the partnership is not known, or a file can not be read or written.
    pub fn run(
        &self,
        own: &Own,
        name: impl Fn(&TrustDomain) -> PeerName,
        clock: &SharedClock,
        out: &mut dyn Write,
    ) -> anyhow::Result<u8> {
        match self {
            Self::Request(args) => {
                let name = name(&domain(own, args.trust_domain.as_ref())?);
                request(args, own, name, out)
            }
            Self::Install(args) => {
                let name = name(&domain(own, args.trust_domain.as_ref())?);
                installed(args, own, &name, clock.now(), out)
            }
            Self::Show(args) => show(args, own, clock.now(), out),
        }
    }
}

/// The partnership: as the operator says, as the agreement says, or as the certificate in use does.
fn domain(own: &Own, told: Option<&TrustDomain>) -> anyhow::Result<TrustDomain> {
    if let Some(domain) = told.or(own.trust_domain.as_ref()) {
        return Ok(domain.clone());
    }
    let in_use = read_chain(&own.files.certificate).ok().and_then(|chain| describe(chain.first()?));
    let names = in_use.into_iter().flat_map(|described| described.names);
    let mut names = names.filter_map(|name| name.parse::<PeerName>().ok());
    let named = names.next().map(|name| name.trust_domain().clone());
    named.ok_or_else(|| {
        anyhow::anyhow!(
            "neither an accepted agreement nor a certificate in use says which partnership this is; give --trust-domain"
        )
    })
}

fn request(
    args: &RequestArgs,
    own: &Own,
    name: PeerName,
    out: &mut dyn Write,
) -> anyhow::Result<u8> {
    let mut hosts = args.hosts.clone();
    if hosts.is_empty() {
        let in_use = read_chain(&own.files.certificate).ok();
        let in_use = in_use.and_then(|chain| describe(chain.first()?));
        hosts = in_use.map(|described| described.hosts).unwrap_or_default();
    }
    let request = Request { name, hosts };
    let path = write(&request, &own.files.private_key)?;
    let key = next_key(&own.files.private_key);
    if args.json {
        let document = json!({
            "request": path, "key": key, "name": request.name.to_string(), "hosts": request.hosts,
        });
        writeln!(out, "{document:#}")?;
        return Ok(DONE);
    }
    writeln!(
        out,
        "Made {} for {}, reached as {}.",
        path.display(),
        request.name,
        request.hosts.join(", ")
    )?;
    writeln!(out, "Its key waits in {} and leaves this machine never.", key.display())?;
    writeln!(
        out,
        "Next: send the request to the partnership's authority, then run certificate install with what comes back."
    )?;
    Ok(DONE)
}

fn installed(
    args: &InstallArgs,
    own: &Own,
    name: &PeerName,
    now: Timestamp,
    out: &mut dyn Write,
) -> anyhow::Result<u8> {
    let installed = match install(&args.file, &own.files, name, now) {
        Ok(installed) => installed,
        Err(error) => {
            let Some(code) = error.refused() else { return Err(error.into()) };
            refused(args, code, error, out)?;
            return Ok(REFUSED);
        }
    };
    if args.json {
        let document = json!({
            "installed": true,
            "certificate": installed.certificate,
            "with_new_key": installed.with_new_key,
            "hosts_lost": installed.hosts_lost,
        });
        writeln!(out, "{document:#}")?;
        return Ok(DONE);
    }
    let key = if installed.with_new_key { "its new key" } else { "the key in use" };
    writeln!(
        out,
        "Installed {} with {key}, good until {}.",
        own.files.certificate.display(),
        installed.certificate.expires
    )?;
    if !installed.hosts_lost.is_empty() {
        writeln!(
            out,
            "Note: the former certificate was also good for {}. Who calls the program under such a name is refused now.",
            installed.hosts_lost.join(", ")
        )?;
    }
    writeln!(out, "A program that runs takes it up within seconds.")?;
    Ok(DONE)
}

fn refused(
    args: &InstallArgs,
    code: &'static str,
    error: NotInstalled,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let text = format!("{:#}", anyhow::Error::new(error));
    if args.json {
        writeln!(out, "{:#}", json!({ "installed": false, "code": code, "text": text }))?;
    } else {
        writeln!(out, "Not installed ({code}): {text}.")?;
        writeln!(out, "What is in use stays.")?;
    }
    Ok(())
}

fn show(args: &ShowArgs, own: &Own, now: Timestamp, out: &mut dyn Write) -> anyhow::Result<u8> {
    let mut shown = Vec::new();
    let mut unreadable = Vec::new();
    let files = [
        ("own", Some(&own.files.certificate)),
        ("authority", Some(&own.files.roots)),
        ("console", own.console.as_ref()),
    ];
    for (what, file) in files {
        let Some(file) = file else { continue };
        let chain = match read_chain(file) {
            Ok(chain) => chain,
            Err(error) => {
                unreadable.push(format!("{:#}", anyhow::Error::new(error)));
                continue;
            }
        };
        let not_accepted = (what == "own").then(|| judge(&chain, &own.files, now).err()).flatten();
        let mut not_accepted = not_accepted.map(|why| why.to_string());
        for certificate in &chain {
            let Some(certificate) = describe(certificate) else { continue };
            let days_left = certificate.expires.duration_since(now).as_hours().div_euclid(24);
            let not_accepted = not_accepted.take();
            shown.push(Shown { what, file: file.clone(), certificate, days_left, not_accepted });
        }
    }
    let lists = own.files.crls.as_ref().map(|path| read_crl_updates(path));
    let lists = match lists {
        Some(Ok(lists)) => lists,
        Some(Err(error)) => {
            unreadable.push(format!("{:#}", anyhow::Error::new(error)));
            Vec::new()
        }
        None => Vec::new(),
    };
    let waits = next_key(&own.files.private_key).exists();
    let request = request_path(&own.files.private_key);
    let request = request.exists().then_some(request);
    if args.json {
        let lists: Vec<_> = lists
            .iter()
            .map(|(issuer, next)| json!({ "issuer": issuer, "next_update": next }))
            .collect();
        let document = json!({
            "certificates": shown,
            "revocation_lists": lists,
            "request": request,
            "new_key_waits": waits,
            "unreadable": unreadable,
        });
        writeln!(out, "{document:#}")?;
        return Ok(DONE);
    }
    for Shown { what, file, certificate, days_left, not_accepted } in &shown {
        writeln!(out, "{what}: {}", file.display())?;
        for name in &certificate.names {
            writeln!(out, "  name         {name}")?;
        }
        if !certificate.hosts.is_empty() {
            writeln!(out, "  hosts        {}", certificate.hosts.join(", "))?;
        }
        writeln!(out, "  signed by    {}", certificate.issuer)?;
        writeln!(out, "  number       {}", certificate.serial)?;
        writeln!(
            out,
            "  good         {} to {} ({days_left} days left)",
            certificate.valid_from, certificate.expires
        )?;
        writeln!(out, "  fingerprint  {}", certificate.fingerprint)?;
        if let Some(why) = not_accepted {
            writeln!(out, "  NOT ACCEPTED {why}")?;
        }
    }
    for (issuer, next) in &lists {
        let next = next.map_or_else(|| "no time given".to_owned(), |next| next.to_string());
        writeln!(out, "revocation list of {issuer}: the next is due {next}")?;
    }
    if let Some(request) = &request {
        let key = if waits { " with a new key that waits" } else { "" };
        writeln!(out, "request: {}{key}", request.display())?;
    }
    for problem in &unreadable {
        writeln!(out, "unreadable: {problem}")?;
    }
    Ok(DONE)
}
