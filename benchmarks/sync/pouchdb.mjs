// Replication by pouchdb, the sync service and pouchdb-server in turns: see run.sh. Usage: node pouchdb.mjs <service> <pouchdb-server> <access token> <rounds> <documents>
import { document, local, median, remote, request, seconds } from "./clients.mjs";

const [ours, theirs, token, rounds, documents] = [...process.argv.slice(2, 5), ...process.argv.slice(5).map(Number)];
const servers = { ours: { base: ours, token }, theirs: { base: theirs } };
let made = 0;

async function replicate(server, push) {
  const name = `replicated${made++}`;
  await request(server, "PUT", `/${name}`);
  const [there, here] = [remote(server, name), local(`local-${name}`)];
  const docs = Array.from({ length: documents }, (_, n) => ({ _id: `d${n}`, ...document(n) }));
  for (let n = 0; n < documents; n += 500) {
    await (push ? here : there).bulkDocs(docs.slice(n, n + 500));
  }
  const took = await seconds(() => (push ? here.replicate.to : here.replicate.from)(there, { batch_size: 500 }));
  await here.destroy();
  return documents / took;
}

const shown = (values) => `${median(values).toFixed(0)} (${Math.min(...values).toFixed(0)}-${Math.max(...values).toFixed(0)})`;
for (const push of [true, false]) {
  const rates = { ours: [], theirs: [] };
  for (let round = 0; round < rounds; round++) {
    for (const who of round % 2 ? ["theirs", "ours"] : ["ours", "theirs"]) {
      rates[who].push(await replicate(servers[who], push));
    }
  }
  console.log(`${`documents/s, ${push ? "pushed" : "pulled"} by pouchdb`.padEnd(48)} ours ${shown(rates.ours).padEnd(24)} pouchdb-server ${shown(rates.theirs).padEnd(24)} ratio ${(median(rates.ours) / median(rates.theirs)).toFixed(2)}, at least 1.5`);
}
