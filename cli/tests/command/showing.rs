//! The demo, vector files, and help that teaches.

use crate::support::{Shop, assert_code, assert_refused, stderr, stdout};

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
    let commands: [&[&str]; 9] = [
        &[],
        &["keyring", "new"],
        &["build"],
        &["inspect"],
        &["verify"],
        &["explain"],
        &["token", "issue"],
        &["conformance"],
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

#[test]
fn vector_files_pass_or_say_what_differs() {
    let shop = Shop::new();
    let vectors = concat!(env!("CARGO_MANIFEST_DIR"), "/../testdata/vectors");
    let passed = shop.run(["conformance", vectors]);
    assert_code(&passed, 0);
    let text = stdout(&passed);
    let (count, rest) = text.lines().last().unwrap().split_once(' ').unwrap();
    assert!(count.parse::<u32>().unwrap() > 100 && rest == "passed, 0 failed", "{text}");

    let wrong = r#"{"config":"[realm.a]\ndefault_require = []\nunmatched = \"authenticated\"","keyring":"",
        "cases":[{"name":"open","request":{"realm":"a"},"expect":{"status":401}},
                 {"name":"shut","request":{"realm":"b"},"expect":{"status":503}}]}"#;
    shop.write("wrong.json", wrong);
    let failed = shop.run(["conformance", "wrong.json"]);
    assert_code(&failed, 1);
    let text = stdout(&failed);
    assert!(text.contains("FAILED wrong.json: open\n  status: expected 401, actual 200\n"), "{text}");
    assert!(text.ends_with("1 passed, 1 failed\n"), "{text}");
    let objects = stdout(&shop.run(["conformance", "wrong.json", "--json"]));
    assert_eq!(objects.lines().count(), 2);

    shop.write("not.json", "[]");
    assert_refused(&shop.run(["conformance", "not.json"]), 3, "not.json: it is not a vector file");
    assert_refused(&shop.run(["conformance", "nothing.json"]), 3, "nothing.json: ");
    assert_refused(&shop.run(["conformance"]), 2, "<FILE|DIR>");

    std::fs::create_dir(shop.path("empty")).unwrap();
    assert_refused(&shop.run(["conformance", "empty"]), 1, "there is no vector file");
    shop.write("empty/hollow.json", r#"{"config":"[realm.a]\ndefault_require = []","keyring":""}"#);
    for arguments in [&["conformance", "empty"][..], &["conformance", "empty", "--json"]] {
        assert_refused(&shop.run(arguments), 1, "there is no case");
    }
}
