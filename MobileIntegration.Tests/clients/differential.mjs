// Sends the same random calls to the sync service and to express-pouchdb, another server of the protocol, and compares status and content of the answers.
// Usage: node differential.mjs <address of the gateway> <access token> <seed> <calls>; prints a line of JSON, fails with a message otherwise.
import assert from "node:assert/strict";
import { alone } from "./differential/alone.mjs";
import { attachments } from "./differential/attachments.mjs";
import { differs } from "./differential/compare.mjs";
import { documents } from "./differential/documents.mjs";
import { lists } from "./differential/lists.mjs";
import { ask, start, unanswered } from "./differential/servers.mjs";
import { begin, edited, pick } from "./differential/world.mjs";
import { allRefused, refused } from "./differential/wrong.mjs";

const [address, token, seed, calls] = process.argv.slice(2);
await start(address, token, seed);
begin(seed);
const kinds = { ...documents, ...attachments, ...lists, ...refused };
const used = new Set();
const found = [];

/** Both servers' answers to a call. */
async function both(call) {
  const send = call.prepare ?? (async (_, server) => call.both(server));
  const request = await send(ask, 0);
  const answers = [
    call.whole ? await call.whole(ask, 0) : await ask(0, request),
    call.whole ? await call.whole(ask, 1) : call.theirs ? await call.theirs((asked) => ask(1, asked)) : await ask(1, await send(ask, 1)),
  ];
  const plain = answers.map((answer, server) => {
    const reads = call.read && answer.headers && (answer.status < 300 || call.always);
    const json = reads ? call.read(answer, server) : undefined;
    return json === undefined ? answer : { ...answer, json };
  });
  return { request, answers: plain };
}

async function setUp() {
  const design = {
    _id: "_design/app", filters: { above: "function (doc, req) { return doc.n > Number(req.query.n); }" },
    views: { n: { map: "function (doc) { if (typeof doc.n === 'number') { emit(doc.n, doc._id); } }", reduce: "_count" } },
  };
  const revs = [[], []];
  for (const server of [0, 1]) {
    assert.equal((await ask(server, ["PUT", ""])).status, 201);
    revs[0].push((await ask(server, ["PUT", "/_design/app", design])).json.rev);
    assert.equal((await ask(server, kinds.index().both())).json.result, "created");
    revs[1].push((await ask(server, ["GET", "/_design/fields"])).json._rev);
  }
  edited(-2, "_design/app", revs[0], {});
  edited(-1, "_design/fields", revs[1], {});
}

async function run(kind, call, count) {
  for (let time = 0; time < (call.times ?? 1); time++) {
    const { request, answers } = await both(call);
    const rows = answers.map(({ json }) => (Array.isArray(json) ? json : [json]));
    call.writes?.forEach((write, n) => {
      const revs = rows.map((list) => (list[n]?.ok ? list[n].rev : undefined));
      if (revs.every(Boolean)) {
        edited(count, write.id, revs, write);
      }
    });
    if (answers.every(({ status }) => status === 201)) {
      call.done?.(count);
    }
    const rev = call.writes && answers[0].json?.rev;
    if (rev && answers[0].headers.get("etag") !== `"${rev}"`) {
      found.push(`${count} ${kind}: ${JSON.stringify(request)} the ETag is no quoted ${rev}`);
    }
    const difference = differs(kind, call, request, ...answers, used);
    if (difference) {
      const show = ({ status, json }) => `${status} ${JSON.stringify(json)}`;
      const [method, path, body, headers] = request;
      found.push(`${count} ${kind}: ${method} ${path} ${JSON.stringify(body)} ${JSON.stringify(headers)}\nours ${show(answers[0])}\ntheirs ${show(answers[1])}\n${difference}`);
    }
  }
}

await setUp();
let count = 0;
for (; count < Number(calls) && found.length < 15; count++) {
  const drawn = pick(Object.keys(kinds));
  const call = kinds[drawn]();
  await run(call.kind ?? drawn, call, count);
}
for (const call of allRefused()) {
  await run("wrong", call, count);
}
await run("changes", kinds.whole(), count);
found.push(...await alone(ask, `differential-${seed}-alone`));
assert.equal(found.length, 0, found.join("\n\n").slice(0, 12_000));
assert.ok(unanswered * 10 < count, `The other server left ${unanswered} calls without an answer.`);
console.log(JSON.stringify({ calls: count, unanswered, differences: used.size }));
process.exit(0);
