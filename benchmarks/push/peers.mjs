// Sends messages with @parse/node-apn or web-push and prints how many a second.
// Usage: node peers.mjs apns|webpush <port> <ca file> <key file> <count>; as many before are not counted
import crypto from "node:crypto";
import fs from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(new URL("../../MobileIntegration.Tests/clients/package.json", import.meta.url));
const [network, port, ca, key, count] = process.argv.slice(2);
const text = { title: "Hello", body: "A message of an ordinary length, as shops send them." };

async function run(messages, inFlight, send) {
  let next = 0;
  await Promise.all(Array.from({ length: inFlight }, async () => {
    while (next++ < messages) await send(next);
  }));
}

async function measure(inFlight, send) {
  await run(Number(count), inFlight, send);
  const began = performance.now();
  await run(Number(count), inFlight, send);
  console.log(Number(count) / ((performance.now() - began) / 1000));
}

if (network === "apns") {
  const apn = require("@parse/node-apn");
  const provider = new apn.Provider({
    address: "localhost", port: Number(port), ca: fs.readFileSync(ca), token: { key, keyId: "ABCDE12345", teamId: "TEAM123456" }, production: true,
  });
  const note = new apn.Notification({ alert: text, topic: "com.example.bench", expiry: 2000000000, priority: 10, pushType: "alert" });
  await measure(100, async (number) => {
    const result = await provider.send(note, number.toString(16).padStart(64, "0"));
    if (result.sent.length !== 1) throw new Error(JSON.stringify(result.failed));
  });
} else {
  const webpush = require("web-push");
  const vapid = webpush.generateVAPIDKeys();
  const browser = crypto.createECDH("prime256v1");
  const subscription = { endpoint: `https://localhost:${port}/push/1`, keys: { p256dh: browser.generateKeys("base64url"), auth: crypto.randomBytes(16).toString("base64url") } };
  const agent = new (await import("node:https")).Agent({ keepAlive: true, maxSockets: 64 });
  await measure(64, () => webpush.sendNotification(subscription, JSON.stringify(text), {
    vapidDetails: { subject: "mailto:bench@example.com", ...vapid }, contentEncoding: "aes128gcm", TTL: 86400, agent,
  }));
}
process.exit(0);
