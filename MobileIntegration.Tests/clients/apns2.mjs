// Sends a notification to APNs with apns2, unmodified. It knows port 443 alone: connections to it are led to the port given, which is all that is changed around it.
// Usage: node apns2.mjs <port> <key file> <token>...; prints what came of each, a line of JSON. NODE_EXTRA_CA_CERTS has the certificate.
import fs from "node:fs";
import tls from "node:tls";

const [port, key, ...tokens] = process.argv.slice(2);
const connect = tls.connect;
tls.connect = (options, ...rest) => connect({ ...options, port: Number(options.port) === 443 ? Number(port) : options.port }, ...rest);
const { ApnsClient, Notification } = await import("apns2");

const client = new ApnsClient({ team: "TEAM123456", keyId: "ABCDE12345", signingKey: fs.readFileSync(key, "utf8"), defaultTopic: "com.example.shop", host: "localhost", keepAlive: true });
const results = await client.sendMany(tokens.map((token) => new Notification(token, { alert: { title: "Hello", body: "There" }, collapseId: "k2" })));
console.log(JSON.stringify(results.map((one, at) => ({ token: tokens[at], reason: one.error?.reason ?? (one.error ? String(one.error) : null) }))));
await client.destroy();
process.exit(0);
