// Replicates with RxDB's CouchDB replication, unmodified, on its memory storage. Usage: node rxdb.mjs <address of the gateway> <access token>; prints a line
// of JSON, fails with a message otherwise.
import assert from "node:assert/strict";
import { createRxDatabase } from "rxdb/plugins/core";
import { getRxStorageMemory } from "rxdb/plugins/storage-memory";
import { replicateCouchDB } from "rxdb/plugins/replication-couchdb";

const [address, token] = process.argv.slice(2);
const url = `${address.replace(/\/$/, "")}/sync/rx-notes/`;
const withToken = (input, options = {}) => fetch(input, { ...options, headers: { ...options.headers, Authorization: `Bearer ${token}` } });
assert.ok([201, 412].includes((await withToken(url, { method: "PUT" })).status));

const schema = { version: 0, primaryKey: "id", type: "object", properties: { id: { type: "string", maxLength: 100 }, text: { type: "string" } } };
const open = async (name) => {
  const database = await createRxDatabase({ name, storage: getRxStorageMemory(), multiInstance: false });
  const { notes } = await database.addCollections({ notes: { schema } });
  const replication = replicateCouchDB({
    replicationIdentifier: `${name}-rx`, collection: notes, url, fetch: withToken, live: true, pull: { batchSize: 60, heartbeat: 5000 }, push: { batchSize: 60 },
  });
  replication.error$.subscribe((error) => console.error(JSON.stringify(error.parameters ?? String(error)).slice(0, 2000)));
  await replication.awaitInitialReplication();
  return { notes, replication };
};
const until = async (condition, what) => {
  for (const end = Date.now() + 60_000; !(await condition());) {
    assert.ok(Date.now() < end, `It did not become true: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
};
const one = await open("one");
await one.notes.bulkInsert(Array.from({ length: 100 }, (_, n) => ({ id: `n${n}`, text: `text ${n}` })));
const two = await open("two");
await until(async () => (await two.notes.find().exec()).length === 100, "two has what one wrote");
await (await two.notes.findOne("n1").exec()).patch({ text: "changed by two" });
await until(async () => (await one.notes.findOne("n1").exec()).text === "changed by two", "one has what two changed");
await (await one.notes.findOne("n2").exec()).remove();
await until(async () => (await two.notes.findOne("n2").exec()) === null, "two knows what one removed");

// Whoever writes to the server is seen by both.
const put = await withToken(`${url}n3`, { method: "PUT", body: JSON.stringify({ ...(await (await withToken(`${url}n3`)).json()), text: "from outside" }), headers: { "Content-Type": "application/json" } });
assert.equal(put.status, 201);
await until(async () => (await one.notes.findOne("n3").exec()).text === "from outside" && (await two.notes.findOne("n3").exec()).text === "from outside", "both see the outside");
console.log(JSON.stringify({ ok: true }));
process.exit(0);
