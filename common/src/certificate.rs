//! The certificates of a program: what is in them, whether others will accept them, and how a new one is asked for and installed.
//!
//! A key never leaves the machine that made it: the program writes a request (PKCS #10, RFC 2986) for a key of its own, the
//! partnership's authority signs, and the certificate is installed only when it fits. docs/certificates.md is the operator's page.

pub mod command;
mod install;
mod judge;
mod read;
mod request;
#[cfg(test)]
mod tests;

pub use self::{
    install::{Installed, NotInstalled, Step, install, install_watched},
    judge::{NotAccepted, judge},
    read::{Described, Unreadable, describe, read_chain, read_crl_updates},
    request::{
        Request, RequestError, next_key, request_path, this_host, write as write_request,
        write_first,
    },
};
