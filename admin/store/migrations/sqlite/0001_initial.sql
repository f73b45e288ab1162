-- Documents by kind, scope and id, each with the version that optimistic concurrency compares.
CREATE TABLE object (
    kind       TEXT NOT NULL,
    scope      TEXT NOT NULL,
    id         TEXT NOT NULL,
    version    BIGINT NOT NULL,
    lookup     TEXT,
    body       TEXT   NOT NULL,
    created_ms BIGINT NOT NULL,
    updated_ms BIGINT NOT NULL,
    PRIMARY KEY (kind, scope, id)
);
CREATE UNIQUE INDEX object_lookup ON object (kind, lookup);

-- What was deployed, by digest. Rows never change.
CREATE TABLE deployment (
    digest     TEXT NOT NULL PRIMARY KEY,
    api        TEXT NOT NULL,
    body       TEXT   NOT NULL,
    message    TEXT   NOT NULL,
    author     TEXT   NOT NULL,
    created_ms BIGINT NOT NULL
);
CREATE INDEX deployment_api ON deployment (api, created_ms);

-- What was served, revision by revision. Rows never change.
CREATE TABLE revision (
    number     BIGINT NOT NULL PRIMARY KEY,
    manifest   TEXT   NOT NULL,
    cause      TEXT   NOT NULL,
    author     TEXT   NOT NULL,
    created_ms BIGINT NOT NULL
);
CREATE INDEX revision_time ON revision (created_ms);

-- Who did what. Each row's hash covers the one before.
CREATE TABLE audit (
    sequence   BIGINT NOT NULL PRIMARY KEY,
    entry      TEXT   NOT NULL,
    hash       TEXT   NOT NULL,
    created_ms BIGINT NOT NULL
);

-- Numbers that only grow, such as the version of the credentials.
CREATE TABLE counter (
    name       TEXT NOT NULL PRIMARY KEY,
    value      BIGINT NOT NULL
);

-- What nodes measured on stages with a canary.
CREATE TABLE measurement (
    node       TEXT NOT NULL,
    api        TEXT NOT NULL,
    stage      TEXT NOT NULL,
    deployment TEXT NOT NULL,
    arm        TEXT NOT NULL,
    counts     TEXT   NOT NULL,
    updated_ms BIGINT NOT NULL,
    PRIMARY KEY (api, stage, deployment, arm, node)
);

CREATE TRIGGER deployment_no_update BEFORE UPDATE ON deployment
BEGIN
    SELECT RAISE(ABORT, 'deployment rows never change');
END;

CREATE TRIGGER deployment_no_delete BEFORE DELETE ON deployment
BEGIN
    SELECT RAISE(ABORT, 'deployment rows never change');
END;

CREATE TRIGGER revision_no_update BEFORE UPDATE ON revision
BEGIN
    SELECT RAISE(ABORT, 'revision rows never change');
END;

CREATE TRIGGER revision_no_delete BEFORE DELETE ON revision
BEGIN
    SELECT RAISE(ABORT, 'revision rows never change');
END;

CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit
BEGIN
    SELECT RAISE(ABORT, 'audit rows never change');
END;

CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit
BEGIN
    SELECT RAISE(ABORT, 'audit rows never change');
END;
