//! Detail.
