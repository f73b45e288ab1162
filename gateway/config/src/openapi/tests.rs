//! Imports of small documents, by subject. Whole documents are in `tests/openapi` beside the crate's sources.

mod document;
mod hostile;
mod integrations;
mod requests;
mod routes;
mod security;
