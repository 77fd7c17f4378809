// Replicates with RxDB's own protocol for HTTP, its handlers as RxDB's documentation has them: _pull, _push and _stream. Usage: node rxdb-http.mjs <address of the gateway>
// <access token>; prints a line of JSON, fails with a message otherwise.
import assert from "node:assert/strict";
import { createRxDatabase } from "rxdb/plugins/core";
import { replicateRxCollection } from "rxdb/plugins/replication";
import { getRxStorageMemory } from "rxdb/plugins/storage-memory";
import { Subject } from "rxjs";

const [address, token] = process.argv.slice(2);
const url = `${address.replace(/\/$/, "")}/sync/rx-http`;
const call = async (path, options = {}) => {
  const response = await fetch(`${url}${path}`, { ...options, headers: { "Content-Type": "application/json", Authorization: `Bearer ${token}` } });
  assert.ok(response.ok || response.status === 412, `${path}: ${response.status}`);
  return response;
};
await call("", { method: "PUT" });

const listen = async (subject) => {
  const response = await call("/_stream?key=id&since=now");
  // What came between the last pull and now is pulled, as RxDB's documentation has it for a stream that begins.
  subject.next("RESYNC");
  let text = "";
  for await (const part of response.body.pipeThrough(new TextDecoderStream())) {
    text += part;
    const events = text.split("\n\n");
    text = events.pop();
    for (const event of events.filter((one) => one.startsWith("data: "))) {
      const { documents, checkpoint } = JSON.parse(event.slice(6).split("\n")[0]);
      subject.next({ documents, checkpoint: { seq: checkpoint } });
    }
  }
};
const schema = { version: 0, primaryKey: "id", type: "object", properties: { id: { type: "string", maxLength: 100 }, text: { type: "string" } } };
const open = async (name) => {
  const database = await createRxDatabase({ name, storage: getRxStorageMemory(), multiInstance: false });
  const { notes } = await database.addCollections({ notes: { schema } });
  const changes = new Subject();
  const replication = replicateRxCollection({
    collection: notes,
    replicationIdentifier: `${name}-rx-http`,
    live: true,
    pull: {
      batchSize: 30,
      stream$: changes.asObservable(),
      handler: async (since, limit) => {
        const { documents, checkpoint } = await (await call(`/_pull?key=id&since=${encodeURIComponent(since?.seq ?? 0)}&limit=${limit}`)).json();
        return { documents, checkpoint: { seq: checkpoint } };
      },
    },
    push: { batchSize: 30, handler: async (rows) => (await (await call("/_push?key=id", { method: "POST", body: JSON.stringify(rows) })).json()).conflicts },
  });
  replication.error$.subscribe((error) => console.error(JSON.stringify(error.parameters ?? String(error)).slice(0, 2000)));
  listen(changes).catch((error) => console.error(error));
  await replication.awaitInitialReplication();
  return notes;
};
const until = async (condition, what) => {
  for (const end = Date.now() + 60_000; !(await condition());) {
    assert.ok(Date.now() < end, `It did not become true: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
};
const textOf = async (notes, id) => (await notes.findOne(id).exec())?.text;

const one = await open("one");
await one.bulkInsert(Array.from({ length: 100 }, (_, n) => ({ id: `n${n}`, text: `text ${n}` })));
const two = await open("two");
await until(async () => (await two.find().exec()).length === 100, "two has what one wrote");
await (await two.findOne("n1").exec()).patch({ text: "changed by two" });
await until(async () => (await textOf(one, "n1")) === "changed by two", "one has what two changed");
for (let n = 0; n < 5; n++) {
  await (await one.findOne("n1").exec()).patch({ text: `edit ${n}` });
}
await until(async () => (await textOf(two, "n1")) === "edit 4", "two has the last of edits that came one after the other");
await (await one.findOne("n2").exec()).remove();
await until(async () => (await two.findOne("n2").exec()) === null, "two knows what one removed");

// Both change the same one: they end with the same text, whoever was faster.
await Promise.all([one, two].map(async (notes, n) => (await notes.findOne("n4").exec()).patch({ text: `by ${n}` })));
await until(async () => (await textOf(one, "n4")) === (await textOf(two, "n4")) && (await textOf(one, "n4")).startsWith("by "), "both agree");

// Whoever writes by the other protocol is seen by both.
const { _rev } = await (await call("/n3")).json();
await call("/n3", { method: "PUT", body: JSON.stringify({ _rev, text: "from outside" }) });
await until(async () => (await textOf(one, "n3")) === "from outside" && (await textOf(two, "n3")) === "from outside", "both see the outside");
console.log(JSON.stringify({ ok: true }));
process.exit(0);
