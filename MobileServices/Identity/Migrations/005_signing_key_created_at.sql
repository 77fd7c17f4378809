-- The keys of all slices are written by the same code, which knows of no such column.
alter table identity.signing_key alter column created_at set default now();
