-- Times are milliseconds since 1970-01-01T00:00:00 UTC, money is decimal text in dollars.

CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

-- balance: what is left; held: the price of pages that workers have in hand, part of balance.
CREATE TABLE requesters (
    id      TEXT PRIMARY KEY,
    balance TEXT NOT NULL,
    held    TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE projects (
    id      INTEGER PRIMARY KEY,
    owner   TEXT NOT NULL,
    status  TEXT NOT NULL,
    created INTEGER NOT NULL,
    body    TEXT NOT NULL
);
CREATE INDEX projects_owner ON projects (owner, id);

-- Trainings are pools with training = 1; skill is the training's skill.
CREATE TABLE pools (
    id                INTEGER PRIMARY KEY,
    owner             TEXT NOT NULL,
    project           INTEGER NOT NULL,
    training          INTEGER NOT NULL,
    status            TEXT NOT NULL,
    last_close_reason TEXT,
    created           INTEGER NOT NULL,
    last_started      INTEGER,
    last_stopped      INTEGER,
    priority          INTEGER NOT NULL,
    skill             INTEGER,
    will_expire       INTEGER,
    close_at          INTEGER,
    reopen_at         INTEGER,
    last_added        INTEGER NOT NULL,
    body              TEXT NOT NULL
);
CREATE INDEX pools_owner ON pools (owner, training, id);
CREATE INDEX pools_project ON pools (project);
CREATE INDEX pools_open ON pools (status, will_expire);
CREATE INDEX pools_close ON pools (close_at) WHERE close_at IS NOT NULL;
CREATE INDEX pools_reopen ON pools (reopen_at) WHERE reopen_at IS NOT NULL;

-- kind: 0 real, 1 control (golden), 2 training. overlap: NULL is infinite.
-- issued: answers given out and not given back; done: answers that came in.
-- place: where the task stands among equals when a page is made, fixed when it is created.
-- suite: the task suite that the requester put it in; NULL: pages are made of it by mixing.
-- checkpoint: chosen for a selective majority vote.
-- returned: became available again, or more so, after it was created; see cursors.
CREATE TABLE tasks (
    n           INTEGER PRIMARY KEY,
    id          TEXT NOT NULL UNIQUE,
    pool        INTEGER NOT NULL,
    kind        INTEGER NOT NULL,
    overlap     INTEGER,
    issued      INTEGER NOT NULL DEFAULT 0,
    done        INTEGER NOT NULL DEFAULT 0,
    place       INTEGER NOT NULL,
    reserved    TEXT,
    unavailable TEXT,
    suite       INTEGER,
    checkpoint  INTEGER NOT NULL DEFAULT 0,
    returned    INTEGER NOT NULL DEFAULT 0,
    created     INTEGER NOT NULL,
    body        TEXT NOT NULL
);
CREATE INDEX tasks_pool ON tasks (pool, id);
CREATE INDEX tasks_suite ON tasks (suite) WHERE suite IS NOT NULL;
CREATE INDEX tasks_kind ON tasks (pool, kind, overlap);
-- The next tasks of a page: fewest answers given out first, or oldest first.
CREATE INDEX tasks_next ON tasks (pool, kind, issued, place)
    WHERE suite IS NULL AND (overlap IS NULL OR issued < overlap);
CREATE INDEX tasks_oldest ON tasks (pool, kind, n)
    WHERE suite IS NULL AND (overlap IS NULL OR issued < overlap);
CREATE INDEX tasks_returned ON tasks (pool, kind, n)
    WHERE returned = 1 AND suite IS NULL AND (overlap IS NULL OR issued < overlap);
CREATE TRIGGER task_returned AFTER UPDATE OF issued, overlap, kind ON tasks
    WHEN NEW.returned = 0
        AND (NEW.issued < OLD.issued OR NEW.overlap IS NOT OLD.overlap OR NEW.kind <> OLD.kind)
BEGIN
    UPDATE tasks SET returned = 1 WHERE n = NEW.n;
END;
-- What keeps a pool open.
CREATE INDEX tasks_pending ON tasks (pool, kind) WHERE overlap IS NOT NULL AND done < overlap;

-- Task suites: mixed ones are pages that the platform made for one worker, whose tasks are those of
-- the assignment; the tasks of the others name them. rank: higher ones go first, in 1/100000.
CREATE TABLE suites (
    n           INTEGER PRIMARY KEY,
    id          TEXT NOT NULL UNIQUE,
    pool        INTEGER NOT NULL,
    mixed       INTEGER NOT NULL,
    overlap     INTEGER,
    issued      INTEGER NOT NULL DEFAULT 0,
    rank        INTEGER NOT NULL DEFAULT 0,
    place       INTEGER NOT NULL DEFAULT 0,
    reserved    TEXT,
    unavailable TEXT,
    created     INTEGER NOT NULL,
    body        TEXT NOT NULL
);
CREATE INDEX suites_pool ON suites (pool, id);
CREATE INDEX suites_next ON suites (pool, rank DESC, issued, place)
    WHERE mixed = 0 AND (overlap IS NULL OR issued < overlap);
CREATE INDEX suites_oldest ON suites (pool, rank DESC, n)
    WHERE mixed = 0 AND (overlap IS NULL OR issued < overlap);

-- taken: how many pages the worker took, the worker's own random sequence.
CREATE TABLE workers (
    n        INTEGER PRIMARY KEY,
    id       TEXT NOT NULL UNIQUE,
    login    TEXT NOT NULL UNIQUE,
    salt     TEXT NOT NULL,
    rounds   INTEGER NOT NULL,
    password TEXT NOT NULL,
    profile  TEXT NOT NULL,
    taken    INTEGER NOT NULL DEFAULT 0,
    created  INTEGER NOT NULL
);

-- deadline: when an ACTIVE one expires or a SUBMITTED one is accepted by itself.
-- ended: the never repeating number of the event that ended the work (submit, skip, expiry).
-- reward is what the worker gets, cost what the requester pays (with the fee), both fixed when taken.
-- first: the solutions that were declined first, a JSON array; sent: digest of the accepted submit.
-- size: how many tasks; mixed: whether the platform made the task suite.
CREATE TABLE assignments (
    n         INTEGER PRIMARY KEY,
    id        TEXT NOT NULL UNIQUE,
    suite     TEXT NOT NULL,
    mixed     INTEGER NOT NULL,
    size      INTEGER NOT NULL,
    pool      INTEGER NOT NULL,
    worker    INTEGER NOT NULL,
    status    TEXT NOT NULL,
    reward    TEXT NOT NULL,
    cost      TEXT NOT NULL,
    created   INTEGER NOT NULL,
    submitted INTEGER,
    accepted  INTEGER,
    rejected  INTEGER,
    skipped   INTEGER,
    expired   INTEGER,
    deadline  INTEGER,
    ended     INTEGER,
    comment   TEXT,
    first     TEXT,
    sent      TEXT
);
CREATE INDEX assignments_pool ON assignments (pool, id);
CREATE INDEX assignments_status ON assignments (pool, status);
CREATE INDEX assignments_suite ON assignments (suite);
CREATE INDEX assignments_worker ON assignments (worker, pool, ended);
CREATE INDEX assignments_hand ON assignments (worker, status);
CREATE INDEX assignments_due ON assignments (deadline) WHERE deadline IS NOT NULL;
CREATE INDEX assignments_submitted ON assignments (pool, submitted);

-- The tasks of an assignment in the page's order; answer: output values once submitted.
CREATE TABLE answers (
    assignment INTEGER NOT NULL,
    position   INTEGER NOT NULL,
    task       INTEGER NOT NULL,
    answer     TEXT,
    PRIMARY KEY (assignment, position)
) WITHOUT ROWID;
CREATE INDEX answers_task ON answers (task, assignment);

-- Tasks that a worker has been given: nobody gets a task twice.
CREATE TABLE given (
    worker INTEGER NOT NULL,
    task   INTEGER NOT NULL,
    PRIMARY KEY (worker, task)
) WITHOUT ROWID;

-- Where a worker goes on in a pool that gives out the oldest tasks first: of the tasks up to n, only
-- returned ones can be new to the worker. Without it every page would look through all before it.
CREATE TABLE cursors (
    worker INTEGER NOT NULL,
    pool   INTEGER NOT NULL,
    kind   INTEGER NOT NULL,
    n      INTEGER NOT NULL,
    PRIMARY KEY (worker, pool, kind)
) WITHOUT ROWID;

-- How right an answer was, 0 to 1. source: 'known' for known solutions (kind 1 or 2), else the
-- majority collector that judged it (kind 0).
CREATE TABLE scores (
    worker INTEGER NOT NULL,
    pool   INTEGER NOT NULL,
    source TEXT NOT NULL,
    task   INTEGER NOT NULL,
    kind   INTEGER NOT NULL,
    at     INTEGER NOT NULL,
    score  REAL NOT NULL,
    PRIMARY KEY (worker, pool, source, task)
) WITHOUT ROWID;
CREATE INDEX scores_latest ON scores (worker, pool, source, at);

-- From which event on a source counts for a worker (a ban clears the history).
CREATE TABLE resets (
    worker INTEGER NOT NULL,
    source TEXT NOT NULL,
    at     INTEGER NOT NULL,
    PRIMARY KEY (worker, source)
) WITHOUT ROWID;

-- The collectors of pools, and of projects (pool = 0). Pools with the same one share what it counts.
-- history: whether it looks at the last answers only.
CREATE TABLE collectors (
    uuid    TEXT NOT NULL,
    project INTEGER NOT NULL,
    pool    INTEGER NOT NULL,
    owner   TEXT NOT NULL,
    kind    TEXT NOT NULL,
    history INTEGER NOT NULL,
    PRIMARY KEY (uuid, project, pool)
) WITHOUT ROWID;
CREATE INDEX collectors_place ON collectors (project, pool);
CREATE INDEX collectors_kind ON collectors (owner, kind);

-- Workers who may no longer work where they had.
CREATE TABLE revoked (
    worker INTEGER NOT NULL,
    pool   INTEGER NOT NULL,
    PRIMARY KEY (worker, pool)
) WITHOUT ROWID;

CREATE TABLE skills (
    id       INTEGER PRIMARY KEY,
    owner    TEXT NOT NULL,
    name     TEXT NOT NULL,
    training INTEGER NOT NULL,
    created  INTEGER NOT NULL,
    body     TEXT NOT NULL
);
CREATE INDEX skills_owner ON skills (owner, name);

CREATE TABLE user_skills (
    id       INTEGER PRIMARY KEY,
    skill    INTEGER NOT NULL,
    owner    TEXT NOT NULL,
    user     TEXT NOT NULL,
    value    TEXT NOT NULL,
    created  INTEGER NOT NULL,
    modified INTEGER NOT NULL,
    expires  INTEGER,
    UNIQUE (skill, user)
);
CREATE INDEX user_skills_owner ON user_skills (owner, id);
CREATE INDEX user_skills_due ON user_skills (expires) WHERE expires IS NOT NULL;

-- project and pool are 0 where the scope does not name one.
CREATE TABLE restrictions (
    id          INTEGER PRIMARY KEY,
    owner       TEXT NOT NULL,
    scope       TEXT NOT NULL,
    user        TEXT NOT NULL,
    project     INTEGER NOT NULL,
    pool        INTEGER NOT NULL,
    comment     TEXT,
    will_expire INTEGER,
    created     INTEGER NOT NULL,
    UNIQUE (user, owner, scope, project, pool)
);

-- log: NULL when it is too old to be kept.
CREATE TABLE operations (
    n          INTEGER PRIMARY KEY,
    id         TEXT NOT NULL UNIQUE,
    owner      TEXT NOT NULL,
    type       TEXT NOT NULL,
    status     TEXT NOT NULL,
    submitted  INTEGER NOT NULL,
    finished   INTEGER,
    parameters TEXT NOT NULL,
    details    TEXT,
    log        TEXT
);
CREATE INDEX operations_logs ON operations (finished) WHERE log IS NOT NULL;
CREATE INDEX operations_owner ON operations (owner, id);

-- Answers that the platform aggregated: the results of an operation (its row), by task.
CREATE TABLE solutions (
    operation  INTEGER NOT NULL,
    task       TEXT NOT NULL,
    confidence REAL NOT NULL,
    answer     TEXT NOT NULL,
    PRIMARY KEY (operation, task)
) WITHOUT ROWID;

-- Services beside pools and tasks: bonuses, files, messages.

-- amount, user, assignment and comment are also part of body; here lists and sums find them.
CREATE TABLE bonuses (
    id         INTEGER PRIMARY KEY,
    owner      TEXT NOT NULL,
    user       TEXT NOT NULL,
    assignment TEXT,
    amount     TEXT NOT NULL,
    comment    TEXT,
    created    INTEGER NOT NULL,
    body       TEXT NOT NULL
);
CREATE INDEX bonuses_owner ON bonuses (owner, id);
CREATE INDEX bonuses_user ON bonuses (user);
CREATE INDEX bonuses_assignment ON bonuses (assignment) WHERE assignment IS NOT NULL;

-- Files that workers uploaded for an assignment; their bytes in parts.
CREATE TABLE attachments (
    n          INTEGER PRIMARY KEY,
    id         TEXT NOT NULL UNIQUE,
    assignment INTEGER NOT NULL,
    pool       INTEGER NOT NULL,
    name       TEXT NOT NULL,
    media_type TEXT NOT NULL,
    size       INTEGER NOT NULL,
    created    INTEGER NOT NULL
);
CREATE INDEX attachments_pool ON attachments (pool, id);
CREATE INDEX attachments_assignment ON attachments (assignment);
CREATE TABLE attachment_parts (
    attachment INTEGER NOT NULL,
    position   INTEGER NOT NULL,
    bytes      BLOB NOT NULL,
    PRIMARY KEY (attachment, position)
);

-- Threads of messages between a requester and workers. parent: the message to many workers that
-- one of them answers. folders: a bit for each folder of the requester. compose: to whom the
-- requester sent it; meta: the work that it is about.
CREATE TABLE threads (
    id         INTEGER PRIMARY KEY,
    owner      TEXT NOT NULL,
    parent     INTEGER,
    topic      TEXT NOT NULL,
    answerable INTEGER NOT NULL,
    folders    INTEGER NOT NULL,
    compose    TEXT,
    meta       TEXT,
    created    INTEGER NOT NULL
);
CREATE INDEX threads_owner ON threads (owner, id);
CREATE INDEX threads_parent ON threads (parent) WHERE parent IS NOT NULL;

-- The workers who take part in a thread.
CREATE TABLE thread_workers (
    worker INTEGER NOT NULL,
    thread INTEGER NOT NULL,
    unread INTEGER NOT NULL,
    PRIMARY KEY (worker, thread)
) WITHOUT ROWID;
CREATE INDEX thread_workers_thread ON thread_workers (thread, worker);

-- worker: who wrote it; NULL is the requester, 0 the platform.
CREATE TABLE messages (
    n       INTEGER PRIMARY KEY,
    thread  INTEGER NOT NULL,
    worker  INTEGER,
    text    TEXT NOT NULL,
    created INTEGER NOT NULL
);
CREATE INDEX messages_thread ON messages (thread, n);
CREATE INDEX messages_worker ON messages (worker, created) WHERE worker IS NOT NULL;

-- Sums over the tasks and assignments of a pool, so that its figures cost the same however large
-- it grows. tasks: how many; wanted, done: answers wanted and there, of tasks of finite overlap.
CREATE TABLE task_sums (
    pool   INTEGER NOT NULL,
    kind   INTEGER NOT NULL,
    tasks  INTEGER NOT NULL,
    wanted INTEGER NOT NULL,
    done   INTEGER NOT NULL,
    PRIMARY KEY (pool, kind)
) WITHOUT ROWID;
CREATE TRIGGER task_sums_pool AFTER INSERT ON pools BEGIN
    INSERT INTO task_sums (pool, kind, tasks, wanted, done)
    VALUES (NEW.id, 0, 0, 0, 0), (NEW.id, 1, 0, 0, 0), (NEW.id, 2, 0, 0, 0);
END;
CREATE TRIGGER task_sums_insert AFTER INSERT ON tasks BEGIN
    UPDATE task_sums SET tasks = tasks + 1, wanted = wanted + coalesce(NEW.overlap, 0)
    WHERE pool = NEW.pool AND kind = NEW.kind;
END;
CREATE TRIGGER task_sums_update AFTER UPDATE OF overlap, done ON tasks BEGIN
    UPDATE task_sums SET
        wanted = wanted - coalesce(OLD.overlap, 0) + coalesce(NEW.overlap, 0),
        done = done - coalesce(min(OLD.done, OLD.overlap), 0) + coalesce(min(NEW.done, NEW.overlap), 0)
    WHERE pool = NEW.pool AND kind = NEW.kind;
END;
-- A task whose known solutions change may become one of another kind.
CREATE TRIGGER task_sums_kind AFTER UPDATE OF kind ON tasks WHEN NEW.kind <> OLD.kind BEGIN
    UPDATE task_sums SET
        tasks = tasks - 1,
        wanted = wanted - coalesce(NEW.overlap, 0),
        done = done - coalesce(min(NEW.done, NEW.overlap), 0)
    WHERE pool = OLD.pool AND kind = OLD.kind;
    UPDATE task_sums SET
        tasks = tasks + 1,
        wanted = wanted + coalesce(NEW.overlap, 0),
        done = done + coalesce(min(NEW.done, NEW.overlap), 0)
    WHERE pool = NEW.pool AND kind = NEW.kind;
END;

-- Of those that were submitted, millis: from taking to submitting; answers: their tasks.
CREATE TABLE assignment_sums (
    pool        INTEGER NOT NULL,
    status      TEXT NOT NULL,
    reward      TEXT NOT NULL,
    assignments INTEGER NOT NULL,
    millis      INTEGER NOT NULL,
    answers     INTEGER NOT NULL,
    PRIMARY KEY (pool, status, reward)
) WITHOUT ROWID;
CREATE TRIGGER assignment_sums_insert AFTER INSERT ON assignments BEGIN
    INSERT INTO assignment_sums (pool, status, reward, assignments, millis, answers)
    VALUES (NEW.pool, NEW.status, NEW.reward, 1, coalesce(NEW.submitted - NEW.created, 0),
        iif(NEW.submitted IS NULL, 0, NEW.size))
    ON CONFLICT (pool, status, reward) DO UPDATE SET assignments = assignments + 1,
        millis = millis + excluded.millis, answers = answers + excluded.answers;
END;
CREATE TRIGGER assignment_sums_update AFTER UPDATE OF status ON assignments BEGIN
    UPDATE assignment_sums SET assignments = assignments - 1,
        millis = millis - coalesce(OLD.submitted - OLD.created, 0),
        answers = answers - iif(OLD.submitted IS NULL, 0, OLD.size)
    WHERE pool = OLD.pool AND status = OLD.status AND reward = OLD.reward;
    INSERT INTO assignment_sums (pool, status, reward, assignments, millis, answers)
    VALUES (NEW.pool, NEW.status, NEW.reward, 1, coalesce(NEW.submitted - NEW.created, 0),
        iif(NEW.submitted IS NULL, 0, NEW.size))
    ON CONFLICT (pool, status, reward) DO UPDATE SET assignments = assignments + 1,
        millis = millis + excluded.millis, answers = answers + excluded.answers;
END;

-- When a worker last took or submitted a page.
CREATE TABLE worker_activity (
    worker INTEGER PRIMARY KEY,
    at     INTEGER NOT NULL
);
CREATE INDEX worker_activity_at ON worker_activity (at);
CREATE TRIGGER worker_activity_taken AFTER INSERT ON assignments BEGIN
    INSERT OR REPLACE INTO worker_activity (worker, at) VALUES (NEW.worker, NEW.created);
END;
CREATE TRIGGER worker_activity_submitted AFTER UPDATE OF submitted ON assignments BEGIN
    INSERT OR REPLACE INTO worker_activity (worker, at) VALUES (NEW.worker, NEW.submitted);
END;

-- Webhooks ----------------------------------------------------------------------------------------

-- Who is told of one kind of event in one pool. receiver: scheme, host and port of url.
-- secret: what deliveries are signed with; needed as it is. waiting: rows in webhook_events.
-- failures: attempts that failed one after the other; next_try: not before this time of the machine.
CREATE TABLE webhooks (
    n        INTEGER PRIMARY KEY AUTOINCREMENT,
    id       TEXT NOT NULL UNIQUE,
    owner    TEXT NOT NULL,
    pool     INTEGER NOT NULL,
    event    TEXT NOT NULL,
    url      TEXT NOT NULL,
    receiver TEXT NOT NULL,
    secret   TEXT,
    created  INTEGER NOT NULL,
    waiting  INTEGER NOT NULL DEFAULT 0,
    failures INTEGER NOT NULL DEFAULT 0,
    next_try INTEGER NOT NULL DEFAULT 0,
    UNIQUE (pool, event, url)
);
CREATE INDEX webhooks_owner ON webhooks (owner, created);
CREATE INDEX webhooks_due ON webhooks (next_try) WHERE waiting > 0;

-- Events that no receiver has acknowledged yet, as they are sent.
CREATE TABLE webhook_events (
    n       INTEGER PRIMARY KEY,
    webhook INTEGER NOT NULL,
    body    TEXT NOT NULL
);
CREATE INDEX webhook_events_order ON webhook_events (webhook, n);

-- The last attempts to deliver. sent: time of the machine.
CREATE TABLE webhook_deliveries (
    n       INTEGER PRIMARY KEY,
    webhook INTEGER NOT NULL,
    sent    INTEGER NOT NULL,
    millis  INTEGER NOT NULL,
    events  INTEGER NOT NULL,
    status  INTEGER,
    error   TEXT
);
CREATE INDEX webhook_deliveries_order ON webhook_deliveries (webhook, n);

-- Metrics -----------------------------------------------------------------------------------------

-- How many webhook events were delivered, and how many attempts failed.
CREATE TABLE tallies (
    name  TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO tallies (name, value) VALUES ('delivered', 0), ('failed', 0);
