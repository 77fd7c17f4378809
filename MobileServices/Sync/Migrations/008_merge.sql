-- Since when a body is not the winner's: in databases that merge conflicts those of ancestors stay for a while.
alter table sync.body add column stored_at timestamptz not null default now();
