// Logs in with the npm package "openid-client", refreshes, loses an answer, reuses a token, revokes another, connects a device without a browser.
// Usage: node openid-client.mjs <issuer> <client id> <user> <password>; prints one JSON object.
import * as client from "openid-client";
import { logIn } from "./browser.mjs";

const [issuer, clientId, username, password] = process.argv.slice(2);
const redirect_uri = "http://127.0.0.1:53535/callback";
const config = await client.discovery(new URL(issuer), clientId, undefined, client.None(), { execute: [client.allowInsecureRequests] });

async function authorize() {
  const pkceCodeVerifier = client.randomPKCECodeVerifier();
  const expectedState = client.randomState();
  const expectedNonce = client.randomNonce();
  const address = client.buildAuthorizationUrl(config, {
    redirect_uri,
    scope: "openid profile offline_access home",
    code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier),
    code_challenge_method: "S256",
    state: expectedState,
    nonce: expectedNonce,
  });
  return client.authorizationCodeGrant(config, await logIn(address, username, password), { pkceCodeVerifier, expectedState, expectedNonce });
}

const refresh = (tokens) => client.refreshTokenGrant(config, tokens.refresh_token);
const errorOf = (attempt) => attempt.then(() => "none", (error) => error.error ?? String(error));

const first = await authorize();
const userInfo = await client.fetchUserInfo(config, first.access_token, first.claims().sub);
const second = await refresh(first);
const again = await refresh(first);
const third = await refresh(second);
const reuse = await errorOf(refresh(first));
const afterReuse = await errorOf(refresh(third));

const other = await authorize();
await client.tokenRevocation(config, other.refresh_token);
const afterRevocation = await errorOf(refresh(other));

const device = await client.initiateDeviceAuthorization(config, { scope: "openid offline_access home" });
await logIn(device.verification_uri_complete, username, password);
const connected = await client.pollDeviceAuthorizationGrant(config, device);
const afterConnection = await refresh(connected);

console.log(JSON.stringify({
  idToken: first.claims(),
  userInfo,
  refreshed: second.refresh_token !== first.refresh_token,
  sameSuccessor: again.refresh_token === second.refresh_token,
  reuse,
  afterReuse,
  afterRevocation,
  deviceConnected: afterConnection.refresh_token !== connected.refresh_token,
}));
