//! Who is meant: identities, and how two agencies find out that they know the same person without
//! telling each other whom they do not share.
//!
//! The path of a person through these modules, in reading order:
//!
//! 1. [`identity`]: what an agency or an enquiry says about who somebody is, and the commitment to it;
//! 2. [`normalise`]: the forms in which two spellings of the same fact are equal;
//! 3. [`keys`]: the tight combinations that are worth comparing;
//! 4. [`token`]: the same keys under an oblivious pseudorandom function;
//! 5. [`index`] and [`screen`]: a node's tokens on disk, and its constant-size answer about them;
//! 6. [`weigh`]: what the hub makes of that answer;
//! 7. [`compare`]: what the node makes of the identity once it has been told;
//! 8. [`weights`]: the numbers that both weigh with, and how they are learned from records.
//!
//! Nothing here measures risk. It weighs evidence about *who*, never about *how worrying*.

pub mod compare;
pub mod identity;
pub mod index;
pub mod keys;
pub mod normalise;
pub mod screen;
pub mod token;
pub mod weigh;
pub mod weights;
