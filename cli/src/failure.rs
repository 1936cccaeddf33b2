//! stub
use std::path::Path;
pub struct Failure(pub String, pub u8);
impl Failure {
    pub fn io(path: &Path, e: &std::io::Error) -> Self {
        Self(format!("{}: {e}", path.display()), 3)
    }
    pub fn data(m: String) -> Self {
        Self(m, 3)
    }
    pub fn output(e: std::io::Error) -> Self {
        Self(e.to_string(), 3)
    }
}
