//! The gates that a request goes through: decisions.md section 7.

pub mod router;
