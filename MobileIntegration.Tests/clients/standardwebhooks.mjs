// node standardwebhooks.mjs <secret> < {"headers": {...}, "body": "..."}: verifies a webhook as a receiver does and prints its type, or why it is not to be believed.
import { Webhook } from "standardwebhooks";
import { text } from "node:stream/consumers";

const { headers, body } = JSON.parse(await text(process.stdin));
try {
  console.log(new Webhook(process.argv[2]).verify(body, headers).type);
} catch (error) {
  console.log(`refused: ${error.message}`);
}
