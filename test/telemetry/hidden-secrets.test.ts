import { expect, it } from 'vitest'
import { HIDDEN, isSecretKey, redactText } from '../../src/run/redact.ts'
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

it("a secret is hidden as a log field, as a word of a text and in the log's message", () => {
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

it('a value that only looks like a secret is shown, as a field and in a text', () => {
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
