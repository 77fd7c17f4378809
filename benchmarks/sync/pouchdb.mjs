// The sync service beside pouchdb-server on leveldb, in turns: see run.sh. Usage: node bench.mjs <service's dll> <PostgreSQL connection string> <rounds> <documents>
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import http from "node:http";
import { createRequire } from "node:module";
import net from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import * as jose from "jose";

const require = createRequire(import.meta.url);
const here = dirname(fileURLToPath(import.meta.url));
const PouchDB = require("pouchdb-core").plugin(require("pouchdb-adapter-memory")).plugin(require("pouchdb-adapter-http")).plugin(require("pouchdb-replication"));
const [dll, postgres, rounds, documents] = [process.argv[2], process.argv[3], Number(process.argv[4]), Number(process.argv[5])];
const freePort = () => new Promise((resolve) => { const server = net.createServer().listen(0, "127.0.0.1", () => { const { port } = server.address(); server.close(() => resolve(port)); }); });

const { publicKey, privateKey } = await jose.generateKeyPair("ES256");
const key = { ...(await jose.exportJWK(publicKey)), kid: "bench", use: "sig", alg: "ES256" };
const authority = await new Promise((resolve) => {
  const server = http.createServer((request, response) => {
    response.setHeader("Content-Type", "application/json");
    const issuer = `http://127.0.0.1:${server.address().port}`;
    response.end(JSON.stringify(request.url === "/keys" ? { keys: [key] } : { issuer, jwks_uri: `${issuer}/keys` }));
  }).listen(0, "127.0.0.1", () => resolve(server));
});
const issuer = `http://127.0.0.1:${authority.address().port}`;
const token = await new jose.SignJWT({ scope: "sync", client_id: "bench" }).setProtectedHeader({ alg: "ES256", kid: "bench", typ: "at+jwt" })
  .setSubject("bench").setIssuer(issuer).setAudience("mobile-integration").setIssuedAt().setExpirationTime("2h").sign(privateKey);

const folder = mkdtempSync(join(tmpdir(), "sync-bench-"));
const [ourPort, theirPort] = [await freePort(), await freePort()];
const processes = [
  spawn("dotnet", [dll], { stdio: "ignore", env: { ...process.env, Run: "sync", ASPNETCORE_URLS: `http://127.0.0.1:${ourPort}`, Authentication__Authority: issuer, ConnectionStrings__mobiledb: postgres, Sync__MostDatabases: "1000" } }),
  spawn("node", [join(here, "node_modules/pouchdb-server/bin/pouchdb-server"), "--port", `${theirPort}`, "--host", "127.0.0.1", "--dir", folder, "--config", join(folder, "config.json"), "--no-color"], { stdio: "ignore", cwd: folder }),
];
const servers = { ours: { base: `http://127.0.0.1:${ourPort}/sync`, headers: { Authorization: `Bearer ${token}` } }, theirs: { base: `http://127.0.0.1:${theirPort}`, headers: {} } };
const agent = new http.Agent({ keepAlive: true, maxSockets: 64 });

function call(server, method, path, body) {
  return new Promise((resolve, reject) => {
    const text = body === undefined ? undefined : JSON.stringify(body);
    const request = http.request(`${server.base}${path}`, { method, agent, headers: { ...server.headers, Accept: "application/json", ...(text && { "Content-Type": "application/json", "Content-Length": Buffer.byteLength(text) }) } }, (response) => {
      const parts = [];
      response.on("data", (part) => parts.push(part));
      response.on("end", () => (response.statusCode < 300 ? resolve(JSON.parse(Buffer.concat(parts))) : reject(new Error(`${method} ${path}: ${response.statusCode} ${Buffer.concat(parts)}`))));
    });
    request.on("error", reject);
    request.end(text);
  });
}

const document = (n) => ({ title: `Note ${n}`, text: "A note of a usual length, as somebody writes it on the way.", done: n % 3 === 0, tags: ["home", "work"], n, price: n * 1.25 });
const timed = async (count, work) => {
  const began = process.hrtime.bigint();
  await work();
  return count / (Number(process.hrtime.bigint() - began) / 1e9);
};
const parallel = (clients, count, work) => {
  let next = 0;
  return Promise.all(Array.from({ length: clients }, async () => { while (next < count) { await work(next++); } }));
};
let made = 0;
const fresh = async (server) => {
  const name = `bench${made++}`;
  await call(server, "PUT", `/${name}`);
  return name;
};

const measures = {
  "creates/s, 1 client": async (server) => { const db = await fresh(server); return timed(300, () => parallel(1, 300, (n) => call(server, "PUT", `/${db}/d${n}`, document(n)))); },
  "creates/s, 16 clients": async (server) => { const db = await fresh(server); return timed(1500, () => parallel(16, 1500, (n) => call(server, "PUT", `/${db}/d${n}`, document(n)))); },
  "documents/s, _bulk_docs of 100, 4 clients": async (server) => {
    const db = await fresh(server);
    return timed(documents, () => parallel(4, documents / 100, (batch) => call(server, "POST", `/${db}/_bulk_docs`, { docs: Array.from({ length: 100 }, (_, n) => ({ _id: `d${batch * 100 + n}`, ...document(n) })) })));
  },
  "rows/s, _changes pages of 100 with documents, 1 client": async (server) => {
    const db = await fresh(server);
    for (let batch = 0; batch < documents / 500; batch++) {
      await call(server, "POST", `/${db}/_bulk_docs`, { docs: Array.from({ length: 500 }, (_, n) => ({ _id: `d${batch * 500 + n}`, ...document(n) })) });
    }
    return timed(documents, async () => {
      let since = 0;
      for (let rows = 0; rows < documents;) {
        const page = await call(server, "GET", `/${db}/_changes?include_docs=true&limit=100&since=${encodeURIComponent(since)}`);
        rows += page.results.length;
        since = page.last_seq;
      }
    });
  },
  "documents/s, pushed by pouchdb": async (server) => replicate(server, true),
  "documents/s, pulled by pouchdb": async (server) => replicate(server, false),
};

async function replicate(server, push) {
  const name = await fresh(server);
  const remote = new PouchDB(`${server.base}/${name}`, { adapter: "http", skip_setup: true, fetch: (url, options) => { Object.entries(server.headers).forEach(([header, value]) => options.headers.set(header, value)); return PouchDB.fetch(url, options); } });
  const local = new PouchDB(`local-${name}`, { adapter: "memory" });
  const docs = Array.from({ length: documents }, (_, n) => ({ _id: `d${n}`, ...document(n) }));
  for (let n = 0; n < documents; n += 500) {
    await (push ? local : remote).bulkDocs(docs.slice(n, n + 500));
  }
  const rate = await timed(documents, () => (push ? local.replicate.to : local.replicate.from)(remote, { batch_size: 500 }));
  await local.destroy();
  return rate;
}

/** The first pull of a new device among many deletions, as it is and with fresh=true. */
async function start(alive, deleted) {
  const name = await fresh(servers.ours);
  const total = alive + deleted;
  for (let n = 0; n < total; n += 1000) {
    await call(servers.ours, "POST", `/${name}/_bulk_docs`, { docs: Array.from({ length: Math.min(1000, total - n) }, (_, m) => ({ _id: `d${n + m}`, ...((n + m) % (total / alive) < 1 ? document(n + m) : { _deleted: true }) })) });
  }
  const seconds = {};
  for (const isFresh of [true, false]) {
    const remote = new PouchDB(`${servers.ours.base}/${name}`, { adapter: "http", skip_setup: true, fetch: (url, options) => {
      Object.entries(servers.ours.headers).forEach(([header, value]) => options.headers.set(header, value));
      return PouchDB.fetch(isFresh && url.includes("/_changes") ? `${url}&fresh=true` : url, options);
    } });
    const local = new PouchDB(`start-${isFresh}`, { adapter: "memory" });
    const began = process.hrtime.bigint();
    await local.replicate.from(remote, { batch_size: 500 });
    seconds[isFresh] = Number(process.hrtime.bigint() - began) / 1e9;
    await local.destroy();
  }
  console.log(`first pull of ${alive} documents among ${deleted} deleted: fresh ${seconds.true.toFixed(1)} s, as it is ${seconds.false.toFixed(1)} s, ratio ${(seconds.false / seconds.true).toFixed(1)}`);
}

const median = (values) => [...values].sort((one, other) => one - other)[Math.floor(values.length / 2)];
const shown = (values) => `${median(values).toFixed(0)} (${Math.min(...values).toFixed(0)}-${Math.max(...values).toFixed(0)})`;
try {
  for (const server of Object.values(servers)) {
    for (let wait = 0; ; wait++) {
      if (await call(server, "GET", "/").then(() => true, (error) => (wait < 300 ? false : Promise.reject(error)))) {
        break;
      }
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    await measures["creates/s, 16 clients"](server);
  }
  console.log(`${documents} documents, ${rounds} rounds in turns, median (least-most)`);
  for (const [name, measure] of Object.entries(measures)) {
    const rates = { ours: [], theirs: [] };
    for (let round = 0; round < rounds; round++) {
      for (const who of round % 2 ? ["theirs", "ours"] : ["ours", "theirs"]) {
        rates[who].push(await measure(servers[who]));
      }
    }
    console.log(`${name.padEnd(56)} ours ${shown(rates.ours).padEnd(24)} pouchdb-server ${shown(rates.theirs).padEnd(24)} ratio ${(median(rates.ours) / median(rates.theirs)).toFixed(2)}`);
  }
  await start(documents, 10 * documents);
} finally {
  processes.forEach((one) => one.kill("SIGKILL"));
  rmSync(folder, { recursive: true, force: true });
}
process.exit(0);
