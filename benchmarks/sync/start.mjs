// The first pull of a new device among many deletions, as it is and with fresh=true. Usage: node start.mjs <service> <access token> <documents>
import { document, local, remote, request, seconds } from "./clients.mjs";

const [server, alive] = [{ base: process.argv[2], token: process.argv[3] }, Number(process.argv[4])];
const [name, total] = ["started", 11 * alive];
await request(server, "PUT", `/${name}`);
for (let n = 0; n < total; n += 1000) {
  await request(server, "POST", `/${name}/_bulk_docs`, { docs: Array.from({ length: Math.min(1000, total - n) }, (_, m) => ({ _id: `d${n + m}`, ...((n + m) % 11 ? { _deleted: true } : document(n + m)) })) });
}
const took = {};
for (const isFresh of [true, false]) {
  const here = local(`start-${isFresh}`);
  took[isFresh] = await seconds(() => here.replicate.from(remote(server, name, isFresh ? "&fresh=true" : ""), { batch_size: 500 }));
  await here.destroy();
}
console.log(`first pull of ${alive} documents among ${total - alive} deleted: fresh ${took.true.toFixed(1)} s, as it is ${took.false.toFixed(1)} s, ratio ${(took.false / took.true).toFixed(1)}`);
