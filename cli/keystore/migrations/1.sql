-- The one row that every change locks before it looks at anything, so that changes happen one after the
-- other and their numbers ascend in the order in which they are committed.
CREATE TABLE keystore (
    one {integer} PRIMARY KEY CHECK (one = 1),
    -- Made once: tells this keystore from every other, and from an empty one in its place.
    id {text} NOT NULL,
    -- The number of the newest change of what a snapshot holds; 0: none yet.
    change {integer} NOT NULL,
    -- The number of the newest entry of the audit log.
    audit {integer} NOT NULL
){strict};

-- Which peppers digests were made with, by the check value that snapshots have too (docs/FORMAT.md section 3), so
-- that nobody stores digests of another pepper with the same id.
CREATE TABLE pepper (
    id {integer} PRIMARY KEY,
    proof {bytes} NOT NULL
){strict};

CREATE TABLE tenant (
    realm {text} NOT NULL,
    name {text} NOT NULL,
    title {text},
    -- NULL: not approved.
    approved_at {integer},
    created_at {integer} NOT NULL,
    PRIMARY KEY (realm, name)
){strict};

CREATE TABLE member (
    realm {text} NOT NULL,
    tenant {text} NOT NULL,
    name {text} NOT NULL,
    role {text} NOT NULL CHECK (role IN ('owner', 'developer', 'viewer')),
    created_at {integer} NOT NULL,
    PRIMARY KEY (realm, tenant, name),
    FOREIGN KEY (realm, tenant) REFERENCES tenant (realm, name)
){strict};

CREATE TABLE api_key (
    realm {text} NOT NULL,
    id {text} NOT NULL,
    credential {text} NOT NULL,
    -- The digest of what is presented, as a snapshot has it, and the pepper that it was made with.
    digest {bytes} NOT NULL,
    pepper {integer} NOT NULL REFERENCES pepper (id),
    -- 1 where the digest goes over the SHA-256 of what is presented.
    sha256 {integer} NOT NULL CHECK (sha256 IN (0, 1)),
    -- The id half of a pair, which is no secret.
    login {text},
    tenant {text},
    environment {text},
    status {text} NOT NULL CHECK (status IN ('active', 'suspended', 'revoked', 'pending')),
    -- JSON lists of texts.
    scopes {text} NOT NULL,
    allow_ips {text} NOT NULL,
    rate_limit {text},
    not_before {integer},
    expires_at {integer},
    -- A JSON object; no snapshot has it.
    metadata {text} NOT NULL,
    -- The id of the key whose place it took.
    replaces {text},
    created_at {integer} NOT NULL,
    -- Numbers of changes: the one that added the key, the newest, and the one that revoked it.
    added {integer} NOT NULL,
    changed {integer} NOT NULL,
    revoked {integer},
    PRIMARY KEY (realm, id),
    FOREIGN KEY (realm, tenant) REFERENCES tenant (realm, name)
){strict};

CREATE UNIQUE INDEX api_key_digest ON api_key (realm, credential, digest);
CREATE INDEX api_key_changed ON api_key (changed, realm, id);
CREATE INDEX api_key_tenant ON api_key (realm, tenant);
-- A key has one successor.
CREATE UNIQUE INDEX api_key_replaces ON api_key (realm, replaces);

-- Secrets of credentials with `retrievable = true`, sealed under a key of the keyring. Gone once the key is revoked.
CREATE TABLE sealed_secret (
    realm {text} NOT NULL,
    id {text} NOT NULL,
    sealing_key {integer} NOT NULL,
    sealed {bytes} NOT NULL,
    PRIMARY KEY (realm, id),
    FOREIGN KEY (realm, id) REFERENCES api_key (realm, id)
){strict};

-- What was published, one row for each generation.
CREATE TABLE publication (
    generation {integer} PRIMARY KEY,
    -- The generation that a delta stands on; NULL: a full snapshot.
    base {integer},
    -- The newest change that is in it.
    change {integer} NOT NULL,
    -- The hash of the configuration that it was built with, in hex.
    configuration {text} NOT NULL,
    keys {integer} NOT NULL,
    -- The hash that the file's header has, in hex: it stands for every byte of the file.
    hash {text} NOT NULL,
    published_at {integer} NOT NULL
){strict};

CREATE TABLE audit (
    number {integer} PRIMARY KEY,
    at {integer} NOT NULL,
    -- Who: the user of the system, and the member that the command was given for.
    actor {text} NOT NULL,
    member {text},
    -- From where: a JSON object with host, pid, and what the database knows of the connection.
    origin {text} NOT NULL,
    -- What: such as key.revoke, and a JSON object of what it was and became.
    action {text} NOT NULL,
    realm {text},
    tenant {text},
    key_id {text},
    details {text} NOT NULL,
    -- The change that it was part of, where it changed what a snapshot holds.
    change {integer}
){strict};

CREATE INDEX audit_key ON audit (realm, key_id);
CREATE INDEX audit_change ON audit (change);
