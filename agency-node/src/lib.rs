//! The node of one agency: its records stay here, and leave only as the agreement allows.

pub mod import;
