// Sends a notification to APNs at an address of choice (@parse/node-apn).
// Usage: node node-apn.mjs <port> <ca file> <key file> <token>...; prints what came of it, a line of JSON.
import fs from "node:fs";
import apn from "@parse/node-apn";

const [port, ca, key, ...tokens] = process.argv.slice(2);
const provider = new apn.Provider({
  address: "localhost",
  port: Number(port),
  ca: fs.readFileSync(ca),
  token: { key, keyId: "ABCDE12345", teamId: "TEAM123456" },
  production: true,
});
const note = new apn.Notification({ alert: { title: "Hello", body: "There" }, topic: "com.example.shop", collapseId: "k", expiry: 2000000000, priority: 10, pushType: "alert" });
const results = await provider.send(note, tokens);
console.log(JSON.stringify({
  sent: results.sent.map((one) => one.device),
  failed: results.failed.map((one) => ({ device: one.device, status: one.status, reason: one.response?.reason, timestamp: one.response?.timestamp })),
}));
provider.shutdown();
setTimeout(() => process.exit(0), 200).unref();
