//! Generated wire types of the BRAG exchange, and nothing else.
//!
//! Anything that decides works on the types of `brag-common`; these are parsed at the edge, once.

/// Package `brag.v1`.
#[allow(missing_docs, clippy::all, clippy::pedantic, reason = "generated code")]
pub mod v1 {
    tonic::include_proto!("brag.v1");
}

/// Every message and service, as an encoded `FileDescriptorSet`: for reflection and for tests.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
