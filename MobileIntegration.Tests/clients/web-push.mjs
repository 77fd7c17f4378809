// Sends a Web Push message (web-push).
// Usage: node web-push.mjs '{"endpoint", "keys", "vapid": {"publicKey", "privateKey"} or null, "payload", "options"}'; prints {status, headers, body}, a line of JSON.
import webPush from "web-push";

const { endpoint, keys, vapid, payload, options } = JSON.parse(process.argv[2]);
try {
  const { statusCode, headers, body } = await webPush.sendNotification({ endpoint, keys }, payload, {
    ...(vapid ? { vapidDetails: { subject: "mailto:sender@example.com", ...vapid } } : {}),
    contentEncoding: "aes128gcm",
    ...options,
  });
  console.log(JSON.stringify({ status: statusCode, headers, body }));
} catch (error) {
  console.log(JSON.stringify({ status: error.statusCode ?? 0, headers: error.headers ?? {}, body: error.body ?? String(error) }));
}
