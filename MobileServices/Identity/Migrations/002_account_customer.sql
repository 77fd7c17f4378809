-- The customer whom the account's user is, if any; the access tokens say so to services.
alter table identity.account add column customer_id text;
