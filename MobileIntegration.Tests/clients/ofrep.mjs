// Evaluates flags with the OpenFeature SDKs' OFREP providers for the web and for servers: for one context, for another, and after a change that the
// stream of events tells of, for which it waits once it has printed "waiting".
// Usage: node ofrep.mjs <address of the gateway> <app id>; prints a line of JSON each time.
import { EventSource } from "eventsource";
import { OpenFeature, ProviderEvents } from "@openfeature/web-sdk";
import { OFREPWebProvider } from "@openfeature/ofrep-web-provider";
import { OpenFeature as ServerFeature } from "@openfeature/server-sdk";
import { OFREPProvider } from "@openfeature/ofrep-provider";

const [address, appId] = process.argv.slice(2);
globalThis.EventSource = EventSource;
const baseUrl = address.replace(/\/$/, "");
const headers = [["X-App-Id", appId], ["X-App-Version", "2.1.0"]];

await OpenFeature.setContext({ targetingKey: "user-1", plan: "free" });
const provider = new OFREPWebProvider({ baseUrl, headers, cacheMode: "disabled" });
await OpenFeature.setProviderAndWait(provider);
const client = OpenFeature.getClient();
const values = () => ({
  checkout: client.getBooleanDetails("new-checkout", false),
  prices: client.getStringDetails("prices", "none"),
  pageSize: client.getNumberValue("page-size", 0),
  theme: client.getObjectValue("theme", {}),
  unknown: client.getStringDetails("unknown", "mine").errorCode,
});
const first = values();
await OpenFeature.setContext({ targetingKey: "user-1", plan: "gold" });
const second = values();

await ServerFeature.setProviderAndWait(new OFREPProvider({ baseUrl, headers }));
const server = ServerFeature.getClient();
console.log(JSON.stringify({
  first,
  second,
  server: await server.getStringDetails("prices", "none", { targetingKey: "user-1", plan: "gold" }),
  serverUnknown: (await server.getStringDetails("unknown", "mine", { targetingKey: "user-1" })).errorCode,
}));

const changed = new Promise((resolve) => client.addHandler(ProviderEvents.ConfigurationChanged, (event) => {
  if (event.flagsChanged?.includes("page-size")) {
    resolve();
  }
}));
console.log(JSON.stringify({ waiting: true }));
await changed;
console.log(JSON.stringify({ pageSize: client.getNumberValue("page-size", 0) }));
await OpenFeature.close();
process.exit(0);
