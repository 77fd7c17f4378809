-- Events leave through the database's one outbox.
select events.publish(type, subject, null, created_at, body, traceparent, tracestate) from commands.outbox order by id;
drop table commands.outbox;
