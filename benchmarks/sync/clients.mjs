import { createRequire } from "node:module";

const require = createRequire(import.meta.url);
const PouchDB = require("pouchdb-core").plugin(require("pouchdb-adapter-memory")).plugin(require("pouchdb-adapter-http")).plugin(require("pouchdb-replication"));
const headers = (server) => (server.token ? { Authorization: `Bearer ${server.token}` } : {});

export const document = (n) => ({ title: `Note ${n}`, text: "A note of a usual length, as somebody writes it on the way.", done: n % 3 === 0, tags: ["home", "work"], n, price: n * 1.25 });
export const local = (name) => new PouchDB(name, { adapter: "memory" });
export const median = (values) => [...values].sort((one, other) => one - other)[Math.floor(values.length / 2)];

/** A database there; what is to be added to its calls of _changes. */
export const remote = (server, name, more = "") => new PouchDB(`${server.base}/${name}`, { adapter: "http", skip_setup: true, fetch: (url, options) => {
  Object.entries(headers(server)).forEach(([header, value]) => options.headers.set(header, value));
  return PouchDB.fetch(url.includes("/_changes") ? `${url}${more}` : url, options);
} });

export async function request(server, method, path, body) {
  const response = await fetch(`${server.base}${path}`, { method, headers: { ...headers(server), "Content-Type": "application/json" }, body: body && JSON.stringify(body) });
  if (!response.ok) {
    throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
  }
  return response.json();
}

export async function seconds(work) {
  const began = process.hrtime.bigint();
  await work();
  return Number(process.hrtime.bigint() - began) / 1e9;
}
