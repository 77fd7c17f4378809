-- The device that a login is on, as its app said; kept for the logins of a device that is lost.
create table identity.device_login (
    authorization_id uuid primary key references identity."authorization" on delete cascade,
    device_id uuid not null
);

create index device_login_device on identity.device_login (device_id);

-- Logins and access tokens that ended before their time, for as long as an access token may live (61 minutes: AccessTokenMinutes is 60 at most).
-- Whoever reads them goes on from the oldest transaction that was still open, so that none is missed which was committed later than its successor.
create table identity.revocation (
    id uuid not null,
    xid xid8 not null default pg_current_xact_id(),
    until timestamptz not null default now() + interval '61 minutes'
);

create index revocation_xid on identity.revocation (xid);

-- However they end: by this service's own statements or by those of OpenIddict.
create function identity.note_end() returns trigger language plpgsql as $$
begin
    insert into identity.revocation (id) values (new.id);
    perform pg_notify('identity_revocation', new.id::text);
    return null;
end
$$;

create trigger authorization_end after update of status on identity."authorization" for each row
when (new.status = 'revoked' and old.status is distinct from 'revoked')
execute function identity.note_end();

create trigger token_end after update of status on identity.token for each row
when (new.status = 'revoked' and old.status is distinct from 'revoked'
    and new.type = 'urn:ietf:params:oauth:token-type:access_token' and new.expiration_date > now())
execute function identity.note_end();
