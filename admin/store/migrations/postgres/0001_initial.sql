-- Names sort by their bytes, whatever the locale of the database, so that pages are the same on both databases.
-- Documents by kind, scope and id, each with the version that optimistic concurrency compares.
CREATE TABLE object (
    kind       TEXT COLLATE "C" NOT NULL,
    scope      TEXT COLLATE "C" NOT NULL,
    id         TEXT COLLATE "C" NOT NULL,
    version    BIGINT NOT NULL,
    lookup     TEXT COLLATE "C",
    body       TEXT   NOT NULL,
    created_ms BIGINT NOT NULL,
    updated_ms BIGINT NOT NULL,
    PRIMARY KEY (kind, scope, id)
);
CREATE UNIQUE INDEX object_lookup ON object (kind, lookup);

-- What was deployed, by digest. Rows never change.
CREATE TABLE deployment (
    digest     TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    api        TEXT COLLATE "C" NOT NULL,
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
    name       TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    value      BIGINT NOT NULL
);

-- What nodes measured on stages with a canary.
CREATE TABLE measurement (
    node       TEXT COLLATE "C" NOT NULL,
    api        TEXT COLLATE "C" NOT NULL,
    stage      TEXT COLLATE "C" NOT NULL,
    deployment TEXT COLLATE "C" NOT NULL,
    arm        TEXT COLLATE "C" NOT NULL,
    counts     TEXT   NOT NULL,
    updated_ms BIGINT NOT NULL,
    PRIMARY KEY (api, stage, deployment, arm, node)
);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% rows never change', TG_TABLE_NAME;
END;
$$;

CREATE TRIGGER deployment_no_change BEFORE UPDATE OR DELETE ON deployment
    FOR EACH ROW EXECUTE FUNCTION refuse_change();

CREATE TRIGGER revision_no_change BEFORE UPDATE OR DELETE ON revision
    FOR EACH ROW EXECUTE FUNCTION refuse_change();

CREATE TRIGGER audit_no_change BEFORE UPDATE OR DELETE ON audit
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
