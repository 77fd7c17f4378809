// Sends with RudderStack's SDK for Node, which compresses its batches.
// Usage: node rudder.mjs <address of the gateway> <write key> <how many tracks>; prints a line of JSON.
import RudderAnalytics from "@rudderstack/rudder-sdk-node";

const [dataPlaneUrl, writeKey, tracks] = process.argv.slice(2);
const analytics = new RudderAnalytics(writeKey, { dataPlaneUrl: dataPlaneUrl.replace(/\/$/, ""), flushAt: 20, flushInterval: 200 });
const context = { app: { version: "2.0.0" }, os: { name: "iOS", version: "19" }, device: { model: "iPhone" }, locale: "de", network: { cellular: true } };
const who = { anonymousId: "rudder-1", context };
const failures = [];
let delivered = 0;
const each = (send) => new Promise((resolve) => send((error) => { if (error) failures.push(String(error)); else delivered++; resolve(); }));
await Promise.all([
  ...Array.from({ length: Number(tracks) }, (_, number) => each((done) => analytics.track({ ...who, event: "Product Added", properties: { sku: `P-${number}` } }, done))),
  each((done) => analytics.identify({ ...who, userId: "grace", traits: { plan: "free" } }, done)),
  each((done) => analytics.screen({ ...who, name: "Basket" }, done)),
]);
await analytics.flush();
console.log(JSON.stringify({ delivered, failures }));
process.exit(0);
