-- What a new device pulls: documents in the order of their changes, however many deletions are among them.
create index document_living on sync.document (db_id, seq) where not deleted;
