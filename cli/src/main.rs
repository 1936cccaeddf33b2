//! stub
mod conformance;
mod failure;
mod verdict;
fn main() -> std::process::ExitCode {
    let a: Vec<_> = std::env::args().skip(2).map(Into::into).collect();
    match conformance::run(&a, false, &mut std::io::stdout()) {
        Ok(true) => 0.into(),
        Ok(false) => 1.into(),
        Err(f) => {
            eprintln!("{}", f.0);
            f.1.into()
        }
    }
}
