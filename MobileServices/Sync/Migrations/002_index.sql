-- An index of a database: of a selector's fields or of a view. Its signature is made from what defines it, so a definition that changes is another index.
create table sync.index (
    id bigint generated always as identity primary key,
    db_id bigint not null references sync.database on delete cascade,
    signature text not null,
    -- Changes up to here, and purges up to there, are in its entries.
    seq bigint not null default 0,
    purge_seq bigint not null default 0,
    entries bigint not null default 0,
    bytes bigint not null default 0,
    -- Some key is longer than its head.
    long_keys boolean not null default false,
    unique (db_id, signature)
);

-- The code of a key sorts as the key does. A row of a btree is short, so the code stands in two parts, the rest being empty but for long keys.
create table sync.index_entry (
    index_id bigint not null references sync.index on delete cascade,
    head bytea not null,
    rest bytea not null,
    doc_id text collate "C" not null,
    -- The how manieth of its document.
    n int not null,
    key text,
    value text,
    -- The document that a value names instead of its own.
    link text collate "C",
    primary key (index_id, head, doc_id, n)
);

create index index_entry_document on sync.index_entry (index_id, doc_id);
