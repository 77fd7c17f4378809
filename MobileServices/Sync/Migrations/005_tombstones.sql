-- Up to this sequence some tombstones have left the feed. Who has less, and did not begin after it, starts over.
alter table sync.database add column horizon bigint not null default 0;

-- Those that have left the feed have their sequence with a minus sign, until the whole row goes.
alter table sync.document add column deleted_at timestamptz;

-- Those that are there count from today.
update sync.document set deleted_at = now() where deleted;

create index document_tombstone on sync.document (db_id, deleted_at) where deleted and seq > 0;

create index document_hidden on sync.document (db_id, deleted_at) where deleted and seq < 0;
