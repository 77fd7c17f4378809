-- A body for conditions on its members; null when jsonb refuses it (U+0000, half of a surrogate pair, a number beyond its range), without ending the statement.
create function sync.jsonb_or_null(body text) returns jsonb language plpgsql immutable strict as $$
begin
    return body::jsonb;
exception when others then
    return null;
end
$$;
