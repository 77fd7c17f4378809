-- How many documents a database has that are not replicated, and their bytes. A row of its own: its lock is that of those who write such documents, not of all.
create table sync.local_total (
    db_id bigint primary key references sync.database on delete cascade,
    documents bigint not null default 0,
    bytes bigint not null default 0
);

insert into sync.local_total (db_id, documents, bytes)
select db_id, count(*), sum(octet_length(body)) from sync.local_document group by db_id;
