//! Whole-system tests: hub and nodes in this process, on real sockets with real TLS.
//!
//! - [`round`]: an enquiry from tokens to matrix, and what a node that knows nobody learns
//! - [`demo`]: the demo, as the program it is, on real processes
//! - [`release`]: detail from request to the recipient's eyes, with reviews and expiry

mod demo;
mod malicious_hub;
mod malicious_node;
mod release;
mod round;
mod scene;
mod stand_in;
