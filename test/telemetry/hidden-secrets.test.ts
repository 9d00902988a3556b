import { expect, it } from 'vitest'
import { HIDDEN, redactText } from '../../src/run/redact.ts'
import { isSecretKey } from '../../src/run/secret-names.ts'
import { createLogger } from '../../src/telemetry/log.ts'

const VALUE = 'Zx9-hunter2'

/** Names of secret values, as a key of a field and in a text. */
const SECRET = [
  ...['password', 'Password', 'db_password', 'MYSQL_PASSWORD', 'passwd', 'pwd', 'userPwd', 'passphrase', 'secret'],
  ...['client_secret', 'clientSecret', 'token', 'access_token', 'refreshToken', 'x-api-key', 'X-API-Key', 'api-key'],
  ...['apiKey', 'apikey', 'privateKey', 'private_key', 'accessKey', 'secret-key', 'signingKey', 'encryption_key'],
  ...['cookie', 'set-cookie', 'Cookies', 'credential', 'credentials', 'Authorization', 'proxy-authorization', 'dsn'],
]
/** Names that only look like secrets. */
const PLAIN = [
  ...['tokens', 'tokenizer', 'max_tokens', 'passwordless', 'passwords_checked', 'secretary', 'monkey', 'author'],
  ...['authored', 'turkey', 'keyboard', 'primary_key', 'keys', 'cookiecutter', 'signal', 'design', 'pwdx', 'host'],
]

/** The line that the log writes for these fields. */
function logged(fields: object, message = 'said'): string {
  let line = ''
  createLogger({ level: 'info', json: true, name: 'test', stream: { write: (text) => (line += text) } }).info(
    fields,
    message,
  )
  return line
}

const NOTATIONS: readonly (readonly [what: string, write: (key: string) => string])[] = [
  ['=', (key) => `${key}=${VALUE}`],
  [':', (key) => `${key}: ${VALUE}`],
  ['JSON', (key) => JSON.stringify({ [key]: VALUE })],
  ['JSON within JSON', (key) => JSON.stringify({ body: JSON.stringify({ [key]: VALUE }) })],
]

it("a secret is hidden as a log field, as a word of a string and in the log's message", () => {
  for (const key of SECRET) {
    expect([key, isSecretKey(key)]).toEqual([key, true])
    for (const fields of [{ [key]: VALUE }, { deep: [{ [key]: VALUE }] }, { err: new Error(`${key}=${VALUE}`) }]) {
      expect([key, logged(fields).includes(VALUE)]).toEqual([key, false])
    }
    for (const [what, write] of NOTATIONS) {
      // In a DSN in prose, only the password is hidden.
      if (key === 'dsn' && what === ':') continue
      const text = write(key)
      expect([text, redactText(text).includes(VALUE)]).toEqual([text, false])
      expect([text, logged({}, text).includes(VALUE)]).toEqual([text, false])
    }
  }
})

it('a value that only looks like a secret is shown, as a field and in a string', () => {
  for (const key of PLAIN) {
    expect([key, isSecretKey(key)]).toEqual([key, false])
    expect([key, logged({ [key]: VALUE }).includes(VALUE)]).toEqual([key, true])
    for (const [, write] of NOTATIONS) expect(redactText(write(key))).toBe(write(key))
  }
})

it.each([
  'the token expired after 5 minutes',
  'wrong token: word expected',
  'unexpected token: }',
  'Unexpected token \'<\', "<!DOCTYPE" is not valid JSON',
  'Unexpected token: < in JSON at position 0',
  'syntax error near token: SELECT',
  'missing token; log in first',
  'the password is wrong',
  'no password given',
  'Access denied for user root (using password: YES)',
  'Access denied for user root (using password: NO)',
  'the secret of success',
  'author: Ann, monkey=3, keyboard: de',
  'the cookie jar is empty',
  'authorization failed for shop 7',
  'primary key: (id, shop)',
  'Duplicate entry 5 for key: PRIMARY',
  'sort key=created_at',
  'design=flat, signal=SIGTERM',
  'Basic auth is off, Bearer tokens are on',
  'at Parser.token (file:///app/parse.js:10:5)',
  'GET /orders?page=2&sort=key 200',
])('prose is shown unchanged: %j', (text) => {
  expect(redactText(text)).toBe(text)
})

it.each([
  [`token: ${VALUE}`, VALUE],
  ['using password: hunter2', 'hunter2'],
  ['token=deadbeef', 'deadbeef'],
  ['the token: eyJhbGciOi.x.y was refused', 'eyJ'],
  [`Authorization: Bearer ${VALUE}`, VALUE],
  [`GET /x?api-key=${VALUE}&page=2`, VALUE],
  [`GET /x?sig=${VALUE}`, VALUE],
  [`{"password":"${VALUE}"}`, VALUE],
  [`mysql://root:${VALUE}@db/piko`, VALUE],
])('a secret in prose is hidden: %j', (text, secret) => {
  expect(redactText(text)).not.toContain(secret)
  expect(redactText(text)).toContain(HIDDEN)
})

const JWT = 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N'

it.each([
  [`DB_PASS=${VALUE}`, VALUE],
  ['DB_PASS=12345', '12345'],
  [`smtpPass: '${VALUE}'`, VALUE],
  [`keytool -storepass ${VALUE} -list`, VALUE],
  [`{ auth: { user: 'ann', pass: '${VALUE}' } }`, VALUE],
  [`{"auth":{"user":"ann","pass":"hunter"}}`, 'hunter'],
  ['user: ann\npass: hunter\nhost: db', 'hunter'],
  ['login failed, pass: hunter', 'hunter'],
  [`jwt: ${VALUE}`, VALUE],
  [`{"idJwt":"${VALUE}"}`, VALUE],
  [`the server refused ${JWT}, log in again`, 'eyJ'],
  [`cut off ${JWT.slice(0, 40)}`, 'eyJhbGci'],
  [`mysqldump --password ${VALUE} shop`, VALUE],
  [`mysqldump --password '${VALUE} x' shop`, VALUE],
  [`deploy --api-key ${VALUE}`, VALUE],
  [`deploy --auth-token ${VALUE}`, VALUE],
  [`["mysqldump","--password","${VALUE}","shop"]`, VALUE],
  [`[ '--token', '${VALUE}' ]`, VALUE],
  [JSON.stringify({ msg: JSON.stringify(['--password', VALUE]) }), VALUE],
  [`["X-Api-Key","${VALUE}"]`, VALUE],
  [`{ name: 'password', value: '${VALUE}' }`, VALUE],
  [`{"name":"DB_PASS","value":"${VALUE}"}`, VALUE],
  [`{"value":"${VALUE}","name":"password"}`, VALUE],
  [JSON.stringify({ msg: JSON.stringify({ name: 'client_secret', value: VALUE }) }), VALUE],
  [`cloning https://${VALUE}@github.com/a/b.git`, VALUE],
  [`GET https://${VALUE}:@api.example.com/v1`, VALUE],
  [`git+https://x-access-token:${VALUE}@github.com/a`, VALUE],
  [`{"signature":"${VALUE}"}`, VALUE],
  [`X-Hub-Signature-256: sha256=${VALUE}`, VALUE],
  [`auth=${VALUE}`, VALUE],
  [`//registry.example.com/:_auth=${VALUE}`, VALUE],
  [`{"auths":{"registry":{"auth":"${VALUE}"}}}`, VALUE],
  [`{"password":["${VALUE}1","${VALUE}2"],"next":1}`, VALUE],
  [`{ 'set-cookie': [ 'sid=${VALUE}', 'b=${VALUE}' ] }`, VALUE],
  [`Authorization: Digest username="ann", realm="x", nonce="n", uri="/", response="${VALUE}", qop=auth`, VALUE],
  [`WWW: Digest username="ann", response=${VALUE}`, VALUE],
  [JSON.stringify({ msg: `Authorization: Digest username="ann", response="${VALUE}"` }), VALUE],
  [`authorization: AWS4-HMAC-SHA256 Credential=AK/2026/x, SignedHeaders=host, Signature=${VALUE}`, VALUE],
  [`authorization: OAuth oauth_consumer_key="k", oauth_signature="${VALUE}"`, VALUE],
])('a secret is hidden in each notation, and JSON stays valid: %j', (text, secret) => {
  const shown = redactText(text)
  expect(shown).not.toContain(secret)
  expect(shown).toContain(HIDDEN)
  if (!/^[{[]"/.test(text)) return
  expect(() => JSON.parse(shown) as unknown).not.toThrow()
})

it('the neighbours of a hidden secret stay visible', () => {
  expect(redactText(`run --user ann --password ${VALUE} --host db`)).toBe(
    'run --user ann --password [redacted] --host db',
  )
  expect(redactText(`{"name":"password","value":"${VALUE}","next":1}`)).toBe(
    '{"name":"password","value":"[redacted]","next":1}',
  )
  expect(redactText('{"name":"password","value":12345,"next":1}')).toBe(
    '{"name":"password","value":"[redacted]","next":1}',
  )
  expect(redactText(`https://${VALUE}@github.com/a/b`)).toBe('https://[redacted]@github.com/a/b')
  expect(redactText('{"token":["a-1","b-2"],"ids":["c-3"]}')).toBe(
    '{"token":["[redacted]","[redacted]"],"ids":["c-3"]}',
  )
  expect(redactText(`Digest username="ann", response="x" for /orders`)).toContain('/orders')
})

it.each([
  ...['BYPASS=yes1', 'bypass: cache7', 'compass=north1', 'passed=12 failed=1', 'oauth=on-7', 'author=Ann7'],
  ...['first pass: 12 rows', 'pass: 12, fail: 0', 'pass=3 fail=2', 'PASS: should work', 'second pass: inlining'],
  ...['auth: basic', 'auth=none', 'auth: failed for ann', '{"auth":"basic","pass":true}', 'auth: (req) => ok'],
  ...['signature: (a: number) => void', 'wrong signature: expected three parameters', '{"signature":"valid"}'],
  ...['jwt: malformed', 'invalid jwt: expired', 'the file eyJ.png', 'eyJ'],
  ...['use --password to set it', '--token is required', 'piko x --password <password>', '--password --host db'],
  ...['--password-file /run/x', 'x --token $TOKEN', 'unknown option --secret, did you mean --secure?'],
  ...['["password","email"]', '{"required":["token","name"]}', '{ name: "colour", value: "red7" }'],
  ...['https://user@host/', 'https://example.com/@ann/1', 'git@github.com:a/b.git', 'mysql://root@db/piko'],
  ...['ssh://git@github.com/a/b', 'https://example.com/a@2x.png', '{"token":[],"ids":["c-3"]}', 'pass: [Function: x]'],
  ...['Digest of the week', 'OAuth is on', 'the signal=SIGTERM came', 'sign: x7'],
])('a harmless neighbour is shown unchanged: %j', (text) => {
  expect(redactText(text)).toBe(text)
})

it('fields follow the same rule', () => {
  const hidden: object[] = [
    { jwt: VALUE },
    { auth: VALUE },
    { auth: { user: 'ann', pass: VALUE } },
    { DB_PASS: VALUE },
    { smtpPass: VALUE },
    { dbpass: VALUE },
    { 'X-Hub-Signature-256': VALUE },
    { env: [{ name: 'DB_PASSWORD', value: VALUE }] },
    { parameters: [{ value: VALUE, key: 'pass' }] },
    { argv: ['run', '--password', VALUE] },
    { headers: ['X-Api-Key', VALUE] },
    { entries: [['password', VALUE]] },
    { password: [VALUE, VALUE] },
  ]
  for (const fields of hidden) expect([fields, logged(fields).includes(VALUE)]).toEqual([fields, false])
  const shown: object[] = [
    { auth: { user: VALUE } },
    { bypass: VALUE },
    { compass: VALUE },
    { oauth: VALUE },
    { name: 'colour', value: VALUE },
    { required: ['password', VALUE] },
    { argv: ['--host', VALUE] },
  ]
  for (const fields of shown) expect([fields, logged(fields).includes(VALUE)]).toEqual([fields, true])
  expect(logged({ pass: 12, auth: 'basic', signature: true })).toMatch(/"pass":12,"auth":"basic","signature":true/)
})
