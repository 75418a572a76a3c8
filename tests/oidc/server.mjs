// A sign-in service for tests: oidc-provider, which is certified for OpenID Connect, behind TLS of the test's own authority.
//
// Started by a test with the folder of its packages, its certificate and its key. It prints its port as one line of JSON, and ends
// when its standard input does, so that it is never left behind.
//
// Whoever asks for `/login/…` is whom they say they are; there are no passwords. What a faulty or hostile service would do is
// asked for at `/spoil/WORD`: the next ID token is then wrong in that one way, signed by the service's own key.
import { createServer } from 'node:https';
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { readFileSync } from 'node:fs';

const { OIDC_MODULES, OIDC_CERTIFICATE, OIDC_KEY, OIDC_REDIRECT } = process.env;
const require = createRequire(`${OIDC_MODULES}/package.json`);
const load = (name) => import(pathToFileURL(require.resolve(name)));
const { Provider } = await load('oidc-provider');
const { SignJWT, UnsecuredJWT, decodeJwt, importJWK } = await load('jose');

let issuer;
let current;
let keys;
let spoil = null;

/** A new key for each algorithm. */
function newKeys() {
  const jwk = (type, options, alg) => ({
    ...generateKeyPairSync(type, options).privateKey.export({ format: 'jwk' }),
    kid: randomUUID(), alg, use: 'sig',
  });
  return [
    jwk('rsa', { modulusLength: 2048 }, 'RS256'),
    jwk('rsa', { modulusLength: 2048 }, 'PS256'),
    jwk('ec', { namedCurve: 'P-256' }, 'ES256'),
  ];
}

function client(client_id, more) {
  return {
    client_id, redirect_uris: [`${OIDC_REDIRECT}/sign-in/service/callback`],
    grant_types: ['authorization_code'], response_types: ['code'], ...more,
  };
}

function newProvider() {
  keys = newKeys();
  const provider = new Provider(issuer, {
    jwks: { keys },
    clients: [
      client('console', { client_secret: 'a secret: of + the/console%' }),
      client('console-ps256', { client_secret: 'second', id_token_signed_response_alg: 'PS256', token_endpoint_auth_method: 'client_secret_post' }),
      client('console-public', { id_token_signed_response_alg: 'ES256', token_endpoint_auth_method: 'none' }),
    ],
    enabledJWA: { idTokenSigningAlgValues: ['RS256', 'PS256', 'ES256'] },
    clientAuthMethods: ['client_secret_basic', 'client_secret_post', 'none'],
    claims: { openid: ['sub', 'acr', 'amr'], profile: ['preferred_username'] },
    acrValues: ['urn:two'],
    // Services of organisations put the claims of `profile` into the ID token.
    conformIdTokenClaims: false,
    cookies: { keys: [randomUUID()] },
    features: { devInteractions: { enabled: false } },
    interactions: { url: (_, interaction) => `/login/${interaction.uid}` },
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, preferred_username: id }) }),
    // Nobody is asked what the console may know.
    async loadExistingGrant(ctx) {
      const grant = new ctx.oidc.provider.Grant({
        clientId: ctx.oidc.client.clientId, accountId: ctx.oidc.session.accountId,
      });
      grant.addOIDCScope('openid profile');
      await grant.save();
      return grant;
    },
    ttl: { AccessToken: 60, AuthorizationCode: 60, IdToken: 300, Interaction: 600, Session: 600, Grant: 600 },
  });
  provider.use(async (ctx, next) => {
    await next();
    if (ctx.oidc?.route === 'token' && ctx.body?.id_token && spoil) {
      ctx.body.id_token = await spoilt(ctx.body.id_token);
      spoil = null;
    }
  });
  current = { provider, answer: provider.callback() };
}

/** The token, wrong in one way. */
async function spoilt(token) {
  const claims = decodeJwt(token);
  const now = Math.floor(Date.now() / 1000);
  let key = keys[0];
  switch (spoil) {
    case 'nonce': claims.nonce = randomUUID(); break;
    case 'no-nonce': delete claims.nonce; break;
    case 'issuer': claims.iss = 'https://elsewhere.example'; break;
    case 'audience': claims.aud = 'another-client'; break;
    case 'party': claims.aud = [claims.aud, 'another-client']; claims.azp = 'another-client'; break;
    case 'expired': claims.iat = now - 500; claims.exp = now - 200; break;
    case 'future': claims.iat = now + 500; claims.exp = now + 900; break;
    case 'none': return new UnsecuredJWT(claims).encode();
    case 'hmac': return new SignJWT(claims).setProtectedHeader({ alg: 'HS256', kid: key.kid })
      .sign(new TextEncoder().encode('a secret: of + the/console%'));
    case 'key': key = { ...newKeys()[0], kid: key.kid }; break;
    case 'unknown-key': key = newKeys()[0]; break;
    case 'nothing': break;
    default: throw new Error(`no way to spoil: ${spoil}`);
  }
  return new SignJWT(claims).setProtectedHeader({ alg: key.alg, kid: key.kid }).sign(await importJWK(key, key.alg));
}

async function form(request) {
  let text = '';
  for await (const chunk of request) text += chunk;
  return new URLSearchParams(text);
}

async function answer(request, response) {
  const [, first, second] = request.url.split('?')[0].split('/');
  if (first === 'spoil') {
    spoil = second;
    return response.end();
  }
  if (first === 'new-keys') {
    newProvider();
    return response.end();
  }
  if (first === 'login' && request.method === 'GET') {
    response.setHeader('content-type', 'text/html; charset=utf-8');
    return response.end(`<!DOCTYPE html><html lang="en"><title>Sign in</title><h1>Sign-in service</h1>
<form method="post"><label for="login">Who</label><input id="login" name="login" required>
<label for="acr">Context</label><input id="acr" name="acr"><label for="amr">Method</label><input id="amr" name="amr">
<button>Sign in</button></form></html>`);
  }
  if (first === 'login' && request.method === 'POST') {
    const given = await form(request);
    if (given.get('login') === '') {
      return current.provider.interactionFinished(request, response, { error: 'access_denied' });
    }
    const login = { accountId: given.get('login'), remember: false };
    if (given.get('acr')) login.acr = given.get('acr');
    if (given.get('amr')) login.amr = [given.get('amr')];
    return current.provider.interactionFinished(request, response, { login });
  }
  return current.answer(request, response);
}

const server = createServer(
  { cert: readFileSync(OIDC_CERTIFICATE), key: readFileSync(OIDC_KEY), minVersion: 'TLSv1.3' },
  (request, response) => answer(request, response).catch((error) => {
    console.error(error);
    response.statusCode = 500;
    response.end();
  }),
);
server.listen(0, '127.0.0.1', () => {
  issuer = `https://localhost:${server.address().port}`;
  newProvider();
  console.log(JSON.stringify({ port: server.address().port }));
});
process.stdin.resume();
process.stdin.on('end', () => process.exit(0));
