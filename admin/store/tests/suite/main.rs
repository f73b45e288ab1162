//! One suite for both databases: what the store promises, on SQLite and on PostgreSQL.
//!
//! PostgreSQL is the server of the system's package, started on a folder and a port of the test's own. Where it is not installed the tests
//! on it say so and pass; `tests/run` installs it.

mod behaviour;
mod postgres;
mod rows;
