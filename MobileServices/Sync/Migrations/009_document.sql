-- A document is written under the lock of its database's row, which so is there, and goes with it in its transaction: to look the row up again for each one was a
-- good part of what a document cost.
alter table sync.document drop constraint document_db_id_fkey;
