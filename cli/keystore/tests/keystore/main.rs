//! One set of tests for both databases: a file of SQLite, and a PostgreSQL server that the tests start.

mod changes;
mod house;
mod keys;
mod log;
mod people;
mod places;
mod publications;
