// The two servers: ours at 0, express-pouchdb at 1.
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);
let addresses;
let token;
let name;
/** Calls that the other server left without an answer: it fails at some trees with more than one leaf, out of any request. Such a call tells nothing. */
export let unanswered = 0;

export async function start(address, accessToken, seed) {
  const PouchDB = require("pouchdb-core").plugin(require("pouchdb-adapter-memory")).plugin(require("pouchdb-replication")).plugin(require("pouchdb-mapreduce")).plugin(require("pouchdb-find"))
    .defaults({ adapter: "memory", prefix: `differential-${process.pid}-` });
  const app = require("express")();
  app.use("/sync", require("express-pouchdb")(PouchDB, { mode: "minimumForPouchDB", overrideMode: { include: ["routes/find"] }, inMemoryConfig: true, logPath: "/dev/null" }));
  const other = await new Promise((resolve) => { const server = app.listen(0, "127.0.0.1", () => resolve(server)); });
  process.on("uncaughtException", (error) => { if (!/pouchdb-/.test(error.stack)) { console.error(error); process.exit(1); } });
  addresses = [address.replace(/\/$/, ""), `http://127.0.0.1:${other.address().port}`];
  token = accessToken;
  name = `differential-${seed}`;
}

/**
 * @param request [method, path behind the database, body, headers]; a body that is no text and no bytes is sent as JSON
 * @returns {status, headers, bytes, json}; the status 0 for no answer, and json is the text of what is none
 */
export async function ask(server, [method, path, body, headers = {}], database = name) {
  const isRaw = body === undefined || typeof body === "string" || Buffer.isBuffer(body);
  const response = await fetch(`${addresses[server]}/sync/${database}${path}`, {
    method,
    headers: {
      Accept: "application/json", "Accept-Encoding": "identity",
      ...(server === 0 && { Authorization: `Bearer ${token}` }), ...(body !== undefined && { "Content-Type": "application/json" }), ...headers,
    },
    body: isRaw ? body : JSON.stringify(body),
    // What it has not written after that is not known.
    signal: AbortSignal.timeout(server === 0 || method !== "GET" ? 60_000 : 5000),
  }).catch((error) => { if (server === 0) { throw error; } });
  if (!response) {
    unanswered++;
    return { status: 0 };
  }
  const bytes = Buffer.from(await response.arrayBuffer());
  let json = bytes.toString();
  try {
    json = JSON.parse(json);
  } catch {
    // Attachments are no JSON.
  }
  if (server === 1 && /^Cannot (read|convert) .*(undefined|null)/.test(json?.reason)) {
    // A fault of its own, not of the request's.
    unanswered++;
    return { status: 0 };
  }
  return { status: response.status, headers: response.headers, bytes, json };
}
