// An app with RxDB and one with PouchDB, both unmodified, edit the same documents: their own come over, and what both changed at once is the same on both in the end.
// Usage: node rxdb-pouchdb.mjs <address of the gateway> <access token>; prints a line of JSON, fails with a message otherwise.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { createRxDatabase } from "rxdb/plugins/core";
import { getRxStorageMemory } from "rxdb/plugins/storage-memory";
import { replicateCouchDB } from "rxdb/plugins/replication-couchdb";

const require = createRequire(import.meta.url);
const PouchDB = require("pouchdb-core").plugin(require("pouchdb-adapter-memory")).plugin(require("pouchdb-adapter-http")).plugin(require("pouchdb-replication"));
const [address, token] = process.argv.slice(2);
const url = `${address.replace(/\/$/, "")}/sync/both/`;
const withToken = (input, options = {}) => fetch(input, { ...options, headers: { ...options.headers, Authorization: `Bearer ${token}` } });
assert.equal((await withToken(url, { method: "PUT" })).status, 201);
const until = async (condition, what) => {
  for (const end = Date.now() + 60_000; !(await condition());) {
    assert.ok(Date.now() < end, `It did not become true: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
};

const schema = { version: 0, primaryKey: "id", type: "object", properties: { id: { type: "string", maxLength: 100 }, text: { type: "string" } } };
const database = await createRxDatabase({ name: "rx", storage: getRxStorageMemory(), multiInstance: false });
const { notes } = await database.addCollections({ notes: { schema } });
const replication = replicateCouchDB({ replicationIdentifier: "both", collection: notes, url, fetch: withToken, live: true, pull: { batchSize: 20, heartbeat: 5000 }, push: { batchSize: 20 } });
replication.error$.subscribe((error) => console.error(JSON.stringify(error.parameters ?? String(error)).slice(0, 2000)));
await replication.awaitInitialReplication();

const pouch = new PouchDB("pouch", { adapter: "memory" });
const server = new PouchDB(url.slice(0, -1), { adapter: "http", fetch: (to, options) => { options.headers.set("Authorization", `Bearer ${token}`); return PouchDB.fetch(to, options); } });
pouch.sync(server, { live: true, retry: true });
const textIn = { rx: async (id) => (await notes.findOne(id).exec())?.text, pouch: (id) => pouch.get(id).then(({ text }) => text, () => undefined), server: (id) => server.get(id).then(({ text }) => text, () => undefined) };

await notes.bulkInsert(Array.from({ length: 50 }, (_, n) => ({ id: `rx-${n}`, text: `from RxDB ${n}` })));
await pouch.bulkDocs(Array.from({ length: 50 }, (_, n) => ({ _id: `pouch-${n}`, text: `from PouchDB ${n}` })));
await until(async () => (await notes.find().exec()).length === 100 && (await pouch.info()).doc_count === 100, "both have all");
await pouch.put({ ...(await pouch.get("rx-1")), text: "changed by PouchDB" });
await (await notes.findOne("pouch-1").exec()).patch({ text: "changed by RxDB" });
await pouch.remove(await pouch.get("rx-2"));
await (await notes.findOne("pouch-2").exec()).remove();
await until(async () => (await textIn.rx("rx-1")) === "changed by PouchDB" && (await textIn.pouch("pouch-1")) === "changed by RxDB", "changes are on the other");
await until(async () => (await textIn.rx("rx-2")) === undefined && (await textIn.pouch("pouch-2")) === undefined, "deletions are on the other");

// The same documents at once, again and again.
for (let round = 0; round < 10; round++) {
  await Promise.all(Array.from({ length: 5 }, async (_, n) => {
    const id = `rx-${10 + n}`;
    await Promise.all([
      notes.findOne(id).exec().then((doc) => doc.incrementalPatch({ text: `RxDB ${round}` })),
      pouch.get(id).then((doc) => pouch.put({ ...doc, text: `PouchDB ${round}` })).catch((error) => assert.equal(error.status, 409)),
    ]);
  }));
}
const ids = [...Array.from({ length: 50 }, (_, n) => `rx-${n}`), ...Array.from({ length: 50 }, (_, n) => `pouch-${n}`)];
await until(async () => {
  for (const id of ids) {
    const [rx, one, two] = [await textIn.rx(id), await textIn.pouch(id), await textIn.server(id)];
    if (rx !== one || one !== two) {
      return false;
    }
  }
  return true;
}, "all have the same texts");
console.log(JSON.stringify({ documents: (await pouch.info()).doc_count }));
process.exit(0);
