// Sends with Segment's SDK for Node: every kind of message, in batches.
// Usage: node segment.mjs <address of the gateway> <write key> <how many tracks>; prints a line of JSON.
import { Analytics } from "@segment/analytics-node";

const [host, writeKey, tracks] = process.argv.slice(2);
const analytics = new Analytics({ host, writeKey, flushAt: 20, maxRetries: 3 });
const failures = [];
let delivered = 0;
analytics.on("error", (error) => failures.push(String(error.reason ?? error.code)));
const context = { app: { version: "2.1.0" }, os: { name: "Android", version: "16" }, device: { model: "Pixel 9" }, locale: "de-AT", network: { wifi: true } };
const who = { anonymousId: "segment-1", userId: "ada", context };
const done = (error) => (error ? failures.push(String(error)) : delivered++);
for (let number = 0; number < Number(tracks); number++) {
  analytics.track({ ...who, event: "Product Added", properties: { sku: `P-${number}`, plan: "gold" } }, done);
}
analytics.identify({ ...who, traits: { plan: "gold" } }, done);
analytics.screen({ ...who, name: "Basket" }, done);
analytics.page({ ...who, name: "Start" }, done);
analytics.group({ ...who, groupId: "club" }, done);
analytics.alias({ userId: "ada", previousId: "segment-1" }, done);
await analytics.closeAndFlush({ timeout: 50000 });
console.log(JSON.stringify({ delivered, failures }));
