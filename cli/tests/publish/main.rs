//! Publishing from a keystore, with the real binary: what goes well, and every fault that it must get over. The same
//! tests run on SQLite and on PostgreSQL.

mod faults;
mod folding;
mod publishing;
mod scanning;
mod status;
mod support;
mod watching;
