//! The hub of the BRAG exchange, and the commands of the co-ordinator and information governance.

pub mod agreement_command;
