-- Whom a delivery was matched for, where its audience asks for more than devices: what waits for one user of a device is not for the next one.
alter table push.delivery add column user_id text;
