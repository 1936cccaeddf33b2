//! A keystore on a server that is reached by TLS: who is trusted, and that nothing is said in clear to anybody else.

use crate::desk::Desk;
use crate::support::{assert_code, assert_refused};
use keyward_testkit::postgres::Server;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::process::Output;
use std::sync::OnceLock;
use std::thread;

fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// A server that is called `localhost`, and its port.
fn server() -> &'static (u16, Server) {
    static SERVER: OnceLock<(u16, Server)> = OnceLock::new();
    SERVER.get_or_init(|| {
        let port = free_port();
        (port, Server::start_with_tls(port, "localhost"))
    })
}

/// `keyward init` with a keystore on `localhost`, where `trusted` are the system's root certificates.
fn init(port: u16, more: &str, trusted: &str) -> Output {
    let desk = Desk::at(Some(format!("postgres://keyward@localhost:{port}/postgres{more}")));
    desk.write("roots.pem", trusted);
    let mut command = desk.command(["init", ".", "--profile", "billoget"]);
    command.env("SSL_CERT_FILE", desk.path("roots.pem")).env_remove("SSL_CERT_DIR");
    command.output().unwrap()
}

#[test]
fn a_server_whose_certificate_is_trusted_and_has_its_name() {
    let (port, server) = server();
    let elsewhere = free_port();
    let other = Server::start_with_tls(elsewhere, "elsewhere.example");
    let tables = |server: &Server| {
        let output = server.psql("postgres", "SELECT count(*) FROM pg_tables WHERE schemaname = 'keyward'");
        String::from_utf8(output.stdout).unwrap().trim().parse::<u32>().unwrap()
    };

    // Signed by somebody else; signed by somebody trusted, for another name; in clear, which it does not take.
    let certificate = server.certificate();
    assert_refused(&init(*port, "?sslmode=require", &other.certificate()), 3, "UnknownIssuer");
    assert_refused(&init(elsewhere, "?sslmode=require", &other.certificate()), 3, "not valid for name");
    assert_refused(&init(*port, "", &certificate), 3, "no encryption");
    assert_refused(&init(*port, "?sslmode=disable", &certificate), 3, "no encryption");
    assert_eq!((tables(server), tables(&other)), (0, 0));

    assert_code(&init(*port, "?sslmode=require", &certificate), 0);
    assert!(tables(server) > 0);
}

#[test]
fn no_certificates_at_all() {
    assert_refused(&init(free_port(), "?sslmode=require", ""), 3, "no root certificates");
}

/// What somebody on the way says who wants to read along.
#[test]
fn a_server_that_has_no_tls_is_told_nothing() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let told = thread::spawn(move || {
        let (mut connection, _) = listener.accept().unwrap();
        let mut asked = [0; 8];
        connection.read_exact(&mut asked).unwrap();
        connection.write_all(b"N").unwrap();
        let mut more = Vec::new();
        connection.read_to_end(&mut more).unwrap();
        (asked, more)
    });
    assert_refused(&init(port, "?sslmode=require", &server().1.certificate()), 3, "does not support TLS");
    // SSLRequest, in the words of PostgreSQL's protocol: its length, and 1234, 5679.
    assert_eq!(told.join().unwrap(), ([0, 0, 0, 8, 4, 210, 22, 47], Vec::new()));
}
