//! An agency's node: it keeps the agency's records, answers the hub with colours, and releases detail only when the
//! signed agreement allows it, which it decides for itself.

pub mod agreement_command;
pub mod analysis;
pub mod answer_release;
pub mod answer_round;
pub mod answer_screen;
pub mod audit_service;
pub mod budget;
pub mod case;
pub mod challenge;
pub mod check_command;
pub mod cli;
pub mod config;
pub mod conflict;
pub mod consent;
pub mod desk;
pub mod desk_command;
pub mod enrol;
pub mod ground;
pub mod guard;
pub mod hot_index;
pub mod identity;
pub mod import;
pub mod init_command;
pub mod key_command;
pub mod match_command;
pub mod node;
pub mod notices;
pub mod outbox;
pub mod plan;
pub mod receive;
pub mod records;
pub mod records_command;
pub mod renew;
pub mod retract;
pub mod review;
pub mod serve_command;
pub mod service;
pub mod standing;
pub mod store;
pub mod views;
pub mod work;

pub use brag_common::program::Surroundings;
pub use config::Config;
pub use node::Node;
