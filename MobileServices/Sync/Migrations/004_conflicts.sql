-- Documents with more than one leaf that lives: for operators, who look for conflicts.
create index document_conflict on sync.document (db_id, doc_id) where not deleted and others ~ '(^| )[^ !]+( |$)';
