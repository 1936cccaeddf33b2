//! The databases that a keystore may stand in.

/// Which of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A file of SQLite.
    Sqlite,
    /// A PostgreSQL server.
    Postgres,
}

/// Runs each test, a function of a [`Kind`], on both databases.
#[macro_export]
macro_rules! on_both {
    ($($test:ident),* $(,)?) => {
        mod sqlite {
            $(#[test] fn $test() { super::$test($crate::databases::Kind::Sqlite); })*
        }
        mod postgres {
            $(#[test] fn $test() { super::$test($crate::databases::Kind::Postgres); })*
        }
    };
}
