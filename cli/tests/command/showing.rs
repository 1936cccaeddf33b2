//! The demo, and help that teaches.

use crate::support::{Shop, assert_code, stderr, stdout};

#[test]
fn the_demo_answers_as_the_apis_document() {
    let shop = Shop::new();
    let folder = shop.path("tmp");
    std::fs::create_dir(&folder).unwrap();
    let output = shop.command(["demo", "--keys", "3000"]).env("TMPDIR", &folder).output().unwrap();
    assert_code(&output, 0);
    assert_eq!(stderr(&output), "");
    let text = stdout(&output);
    let parts = [
        "3,000 keys of five realms",
        "Try again in 3600 seconds",
        "API key does not have required scope: WRITE_BUDGETS",
        "429  rate_limited",
        "401  tls_required",
        "401  wrong_environment",
        "403  tenant_mismatch",
        "401  token_revoked",
        " 0 answered with another status than documented",
        "First refused ",
        "a good key ",
    ];
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
    assert!(!text.contains('\u{1b}'), "colours belong on a terminal");
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0, "the folder is temporary");
}

#[test]
fn a_kept_folder_works_with_the_other_commands() {
    let shop = Shop::new();
    let folder = shop.path("tmp");
    std::fs::create_dir(&folder).unwrap();
    let output = shop.command(["demo", "--keys", "1000", "--keep"]).env("TMPDIR", &folder).output().unwrap();
    assert_code(&output, 0);
    let text = stdout(&output);
    let inspect = text.lines().find_map(|line| line.trim().strip_prefix("keyward inspect ")).unwrap();
    let inspected = shop.run(["inspect", inspect]);
    assert_code(&inspected, 0);
    assert!(stdout(&inspected).contains("generation     2"), "{}", stdout(&inspected));
}

#[test]
fn help_has_examples_and_exit_codes() {
    let shop = Shop::new();
    let commands: [&[&str]; 8] = [
        &[],
        &["keyring", "new"],
        &["build"],
        &["inspect"],
        &["verify"],
        &["explain"],
        &["token", "issue"],
        &["demo"],
    ];
    for command in commands {
        let help = shop.run(command.iter().copied().chain(["--help"]));
        assert_code(&help, 0);
        let text = stdout(&help);
        assert!(text.contains("keyward ") && text.contains("Usage:"), "{text}");
        assert!(text.contains("Exam") || text.contains("Start with:"), "{command:?}: {text}");
        assert!(text.contains("Exit codes:"), "{command:?}: {text}");
    }
    assert_code(&shop.run(["--version"]), 0);
    assert_code(&shop.run([""; 0]), 2);
}
