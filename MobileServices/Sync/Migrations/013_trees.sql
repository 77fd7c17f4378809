-- The bytes of revision trees count as those of bodies do.
update sync.database d set body_bytes = body_bytes + t.bytes
from (select db_id, sum(octet_length(tree)) as bytes from sync.document group by db_id) t where t.db_id = d.id;
