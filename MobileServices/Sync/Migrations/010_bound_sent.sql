-- When integration took it: how often it is looked at goes by that.
alter table sync.bound_change add column sent_at timestamptz;
