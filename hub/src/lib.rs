//! The hub of the BRAG exchange: it opens enquiries, asks every agency, keeps the matrix, and relays what it can
//! not read.

pub mod agreement_command;
pub mod backlog;
pub mod basis_file;
pub mod check_command;
pub mod cli;
pub mod config;
pub mod deliver;
pub mod earlier;
pub mod enquiry;
pub mod enquiry_command;
pub mod enquiry_file;
pub mod epochs;
pub mod evaluate;
pub mod file_problems;
pub mod find_person;
pub mod guard;
pub mod hub;
pub mod identity_review;
pub mod init_command;
pub mod locks;
pub mod matrix;
pub mod release;
pub mod render;
pub mod round;
pub mod screening;
pub mod serve_command;
pub mod service;
pub mod store;
pub mod take;
pub mod view;
pub mod withdraw;

pub use brag_common::program::Surroundings;
pub use config::Config;
pub use hub::Hub;
