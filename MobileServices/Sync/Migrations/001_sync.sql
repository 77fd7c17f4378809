-- A logical database: an app's dataset of one user, or shared (owner ''). The lock of its row puts all its writes one after the other, so that
-- update_seq grows in the order of the commits.
create table sync.database (
    id bigint generated always as identity primary key,
    app text not null,
    owner text not null,
    name text collate "C" not null,
    -- Tells this database from an earlier one of the same name: part of every sequence that clients see.
    epoch text not null,
    update_seq bigint not null default 0,
    purge_seq bigint not null default 0,
    doc_count bigint not null default 0,
    deleted_count bigint not null default 0,
    -- Of all bodies that are kept, and of attachments.
    body_bytes bigint not null default 0,
    attachment_bytes bigint not null default 0,
    revs_limit int not null,
    security text not null default '{}',
    created_at timestamptz not null,
    unique (app, owner, name)
);

-- One row a document: its revision tree, and the body of the winning revision.
create table sync.document (
    db_id bigint not null references sync.database on delete cascade,
    doc_id text collate "C" not null,
    seq bigint not null,
    rev text collate "C" not null,
    deleted boolean not null,
    -- The other leaves in the order of winners, '!' behind those that are deleted; null when there are none.
    others text,
    tree bytea not null,
    -- What the client sent but for the members that begin with an underscore.
    body text not null,
    attachments text,
    primary key (db_id, doc_id)
);

create unique index document_seq on sync.document (db_id, seq);

-- Bodies of the revisions that do not win: of leaves for good, of others until the database is compacted.
create table sync.body (
    db_id bigint not null,
    doc_id text collate "C" not null,
    rev text collate "C" not null,
    deleted boolean not null,
    body text not null,
    attachments text,
    primary key (db_id, doc_id, rev),
    foreign key (db_id) references sync.database on delete cascade
);

create table sync.local_document (
    db_id bigint not null references sync.database on delete cascade,
    doc_id text collate "C" not null,
    rev bigint not null,
    body text not null,
    primary key (db_id, doc_id)
);

-- The content of attachments, once a database.
create table sync.blob (
    id bigint generated always as identity primary key,
    db_id bigint not null references sync.database on delete cascade,
    sha256 bytea,
    digest text not null,
    length bigint not null,
    created_at timestamptz not null
);

-- Null while it is being received.
create unique index blob_content on sync.blob (db_id, sha256);

create table sync.blob_chunk (
    blob_id bigint not null references sync.blob on delete cascade,
    n int not null,
    bytes bytea not null,
    primary key (blob_id, n)
);

alter table sync.blob_chunk alter column bytes set storage external;
