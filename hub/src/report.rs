//! Documents for information governance, made from copies of the audit logs and the signed agreement; and one for the person whom it is
//! about, made by the running hub ([`subject_access`]).
//!
//! The others are made by a command that reads files (two of them, where asked to, also the store of a hub that is stopped): the files are copies in the hands of information
//! governance, which may count them on any machine. Making one is therefore no entry in a log; reading enquiries and reports
//! through the running programs is.
//!
//! Reading order: [`count`] is what a figure is, [`measures`] which figures there are; [`exchanges`], [`answers`], [`happened`]
//! and [`waiting`] count the entries of logs; [`withhold`] says which figures others may not see, [`tables`] how they are given; [`document`] is a document as
//! data, made by [`dpia`], [`article_30`], [`policy`], [`nfa_audit`], [`performance`] and [`re_audit`] from [`terms`] of the agreement and shipped
//! [`texts`]; [`text`], [`html`] (with [`chart`]), [`csv`] and [`json`] are its forms; [`command`] puts it together.

pub mod answers;
pub mod article_30;
pub mod chart;
pub mod command;
pub mod count;
pub mod csv;
pub mod document;
pub mod dpia;
pub mod exchanges;
pub mod explain;
pub mod happened;
pub mod html;
pub mod json;
pub mod logs;
pub mod measures;
pub mod nfa_audit;
pub mod performance;
pub mod period;
pub mod policy;
pub mod re_audit;
pub mod signed;
pub mod subject_access;
pub mod tables;
pub mod terms;
#[cfg(test)]
pub(crate) mod testkit;
pub mod text;
pub mod texts;
pub mod waiting;
pub mod withhold;
