import { readFileSync, writeFileSync } from 'node:fs'
import { createConnection } from 'mysql2/promise'
import { pino } from 'pino'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { databaseWarning } from '../../../../src/store/open-store.ts'
import { Piko } from '../../../../src/app/piko.ts'
import { mysql, type MysqlTls } from '../../../../src/data/index.ts'
import { defineJob } from '../../../../src/job/define-job.ts'
import { loadSettings } from '../../../../src/settings/load.ts'
import { parseDsn } from '../../../../src/settings/dsn.ts'
import { type Database, openDatabase } from '../../../../src/store/connection/database.ts'
import { connectionParams } from '../../../../src/store/connection/mysql/mysql-tls.ts'
import { Certificates } from '../../../support/certificates.ts'
import { recordEvents } from '../../../support/app.ts'
import { type MysqlServer, startMysqlServer } from '../../../support/mysql-server.ts'
import { rejected, thrown } from '../../../support/thrown.ts'

const SETUP_MS = 300_000
let certificates: Certificates
let server: MysqlServer

beforeAll(async () => {
  certificates = await Certificates.create()
  certificates.sign('DNS:localhost,IP:127.0.0.1')
  const files = ['cert=server.pem', 'key=server.key'].map((option) => {
    const [name, file = ''] = option.split('=')
    return `--ssl-${name}=${certificates.file(file)}`
  })
  server = await startMysqlServer({ args: files })
  await ask('CREATE DATABASE tls')
}, SETUP_MS)

afterAll(async () => {
  await server?.stop()
  certificates?.remove()
})

async function ask(statement: string): Promise<void> {
  const connection = await createConnection(server.dsn)
  await connection.query(statement)
  await connection.end()
}

/** Gives the server a new certificate. */
async function serve(names: string, options: Parameters<Certificates['sign']>[1] = {}): Promise<void> {
  certificates.sign(names, options)
  await ask('FLUSH SSL')
}

const dsn = (host: string, query: string): string =>
  `${server.dsn.replace('127.0.0.1', host)}/tls?${query}`.replace('CA', certificates.file('authority.pem'))

async function open(host: string, query: string, more: { readonly sslVerifyHost?: boolean } = {}): Promise<Database> {
  const options = { poolSize: 2, poolRecycleMs: 0, connectTimeoutMs: 60_000, statementTimeoutMs: 60_000 }
  const database = await openDatabase({ mysql: { ...parseDsn(dsn(host, query)), ...options, ...more } })
  onTestFinished(() => database.close())
  return database
}

async function cipher(database: Database): Promise<unknown> {
  const [row] = await database.sql.query("SHOW SESSION STATUS LIKE 'Ssl_cipher'")
  return (row as { Value: string }).Value
}

describe('a connection with TLS', () => {
  it.each(['localhost', '127.0.0.1'])('is opened to a server whose certificate is for %s', async (host) => {
    await serve(host === 'localhost' ? 'DNS:localhost' : 'IP:127.0.0.1')
    expect(await cipher(await open(host, 'ssl_ca=CA'))).not.toBe('')
    expect(await cipher(await open(host, 'ssl_ca=CA&ssl_mode=verify_identity'))).not.toBe('')
  })

  it.each([
    ['localhost', 'DNS:other.example'],
    ['127.0.0.1', 'DNS:other.example,IP:127.0.0.2'],
    // An address is not a name, so a certificate for "localhost" does not match it.
    ['127.0.0.1', 'DNS:localhost'],
    ['localhost', 'IP:127.0.0.1'],
  ])('is refused for %s with a certificate for %s, unless the check of the host is off', async (host, names) => {
    await serve(names)
    for (const query of [
      'ssl_ca=CA',
      'ssl_ca=CA&ssl=true',
      'ssl_ca=CA&ssl_verify_cert=true',
      'ssl_ca=CA&ssl-mode=VERIFY_IDENTITY',
    ]) {
      const error = await rejected(open(host, query))
      expect(error.code).toBe('DATABASE_UNREACHABLE')
      expect(error.message).toMatch(/does not match certificate's altnames: .+; the certificate/)
      expect(error.message).toContain('the certificate is for another host')
      expect(error.message).not.toContain('check that the server runs')
    }
    for (const query of ['ssl_verify_identity=false', 'ssl_check_hostname=0', 'ssl_mode=VERIFY_CA'])
      expect(await cipher(await open(host, `ssl_ca=CA&${query}`))).not.toBe('')
    expect(await cipher(await open(host, 'ssl_ca=CA', { sslVerifyHost: false }))).not.toBe('')
    expect((await rejected(open(host, 'ssl_ca=CA&ssl_verify_identity=true', { sslVerifyHost: false }))).code).toBe(
      'DATABASE_UNREACHABLE',
    )
  })

  it('says what is wrong with a certificate', async () => {
    await serve('DNS:localhost', { authority: 'stranger' })
    const unknown = await rejected(open('localhost', 'ssl_ca=CA'))
    expect(unknown.message).toMatch(/unable to verify the first certificate.*; the authority .+ ssl_ca in the DSN/)
    expect((await rejected(open('localhost', 'ssl=true'))).message).toMatch(/the authority .+ is unknown here/)
    // Without the check of the host, an unknown authority is still refused.
    expect((await rejected(open('localhost', 'ssl_ca=CA&ssl_mode=VERIFY_CA'))).code).toBe('DATABASE_UNREACHABLE')
    expect(await cipher(await open('localhost', 'ssl=skip-verify'))).not.toBe('')
    expect(await cipher(await open('localhost', 'ssl_mode=REQUIRED'))).not.toBe('')
    await serve('DNS:localhost', { days: -1 })
    expect((await rejected(open('localhost', 'ssl_ca=CA'))).message).toMatch(/certificate has expired; renew/)
  })

  it('is used by the heartbeat, the migrations and the sinks of a node', async () => {
    await serve('IP:127.0.0.1')
    await ask("CREATE USER IF NOT EXISTS secure@'%' IDENTIFIED BY 'pw' REQUIRE SSL")
    await ask("GRANT ALL ON tls.* TO secure@'%'")
    const secure = dsn('127.0.0.1', 'ssl_ca=CA').replace(/\/\/[^@]+@/, '//secure:pw@')
    const settings = { mysql: { dsn: secure }, piko: { log_level: 'silent' as const, lease: '2s' } }
    const job = defineJob({ id: 'job' }, () => 1)
    const lines: string[] = []
    const logger = pino({ level: 'warn' }, { write: (line: string) => void lines.push(line) })
    const careless = new Piko({ jobs: [job], logger, settings: { mysql: { dsn: secure, ssl_verify_host: false } } })
    await careless.start()
    await careless.stop()
    expect(lines.join('')).toContain("the host name in the MySQL server's certificate is not verified")
    const app = new Piko({ jobs: [job], settings })
    onTestFinished(() => app.stop())
    const lost = recordEvents(app, 'node.lost')
    await app.start()
    expect(await app.run('job', { wait: true })).toMatchObject({ state: 'succeeded' })
    expect(lost).toEqual([])
    await app.stop()
    const plain = await rejected(
      openDatabase({
        mysql: {
          ...parseDsn(secure.replace(/\?.*/, '')),
          poolSize: 2,
          poolRecycleMs: 0,
          connectTimeoutMs: 60_000,
          statementTimeoutMs: 60_000,
        },
      }),
    )
    expect(plain.code).toBe('DATABASE_UNREACHABLE')
  })
})

describe('the parameters of TLS in a DSN', () => {
  const checks = { rejectUnauthorized: true, verifyIdentity: true }
  it.each([
    ['', undefined],
    ['ssl=false', undefined],
    ['ssl_mode=DISABLED', undefined],
    ['ssl_verify_identity=false', undefined],
    ['ssl=true', checks],
    ['ssl_verify_cert=true', checks],
    ['ssl_check_hostname=true', checks],
    ['ssl=true&ssl_verify_identity=false', { ...checks, verifyIdentity: false }],
    ['ssl_mode=VERIFY_CA&ssl_verify_identity=true', checks],
    ['ssl=true&unix_socket=/s', { ...checks, verifyIdentity: false }],
    ['ssl=skip-verify', { rejectUnauthorized: false, verifyIdentity: false }],
    ['ssl=true&ssl_verify_cert=0', { rejectUnauthorized: false, verifyIdentity: false }],
  ])('"%s" has the documented meaning', (query, ssl) => {
    expect(connectionParams(Object.fromEntries(new URLSearchParams(query))).ssl).toEqual(ssl)
  })

  it.each([
    'ssl=maybe',
    'ssl_mode=PREFERRED',
    'ssl_verify_identity=no',
    'ssl_verify_hostname=true',
    'ssl_ca=/nowhere.pem',
  ])('"%s" is refused, and the error says what is expected', (query) => {
    const error = thrown(() => connectionParams(Object.fromEntries(new URLSearchParams(query))))
    expect(error.code).toBe('SETTINGS_INVALID')
    expect(error.message).toMatch(new RegExp(`"${query.split('=')[0]}".*(expected|no such file)`))
  })

  it('an authority that is not a certificate is refused', () => {
    const file = certificates.file('notes.txt')
    for (const text of ['', 'hello', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n']) {
      writeFileSync(file, text)
      const error = thrown(() => connectionParams({ ssl_ca: file }))
      expect(error).toMatchObject({ code: 'SETTINGS_INVALID' })
      expect(error.message).toContain(`${file} holds no certificate that can be read`)
    }
    expect(
      thrown(() => connectionParams({ ssl: 'false', ssl_ca: certificates.file('authority.pem') })).message,
    ).toContain('TLS is off')
  })

  it.each([
    ['ssl=true', {}, undefined],
    ['', { ssl_verify_host: false }, undefined],
    ['ssl=true', { ssl_verify_host: false }, /host name in the MySQL server's certificate is not verified/],
    ['ssl=true&ssl_verify_identity=false', {}, /host name/],
    ['ssl=skip-verify', {}, /the MySQL server's certificate is not verified/],
  ])('"%s" with %j warns about checks that are off', (query, mysql, warning) => {
    const overrides = { mysql: { dsn: `mysql://u:p@h/d?${query}`, ...mysql } }
    const said = databaseWarning(loadSettings({ env: {}, overrides }).settings)
    if (warning) expect(said).toMatch(warning)
    else expect(said).toBeUndefined()
  })
})

describe('mysql() of piko/data with the option tls', () => {
  const cipherOf = async (host: string, tls: MysqlTls): Promise<unknown> => {
    const { database } = mysql(dsn(host, '').replace('?', ''), { tls, wait: '1ms' })
    const [row] = await database.query<{ Value: string }>("SHOW SESSION STATUS LIKE 'Ssl_cipher'")
    return row?.Value
  }

  it('is opened only to the host that its certificate names, unless an option says otherwise', async () => {
    await serve('IP:127.0.0.1')
    const ca = readFileSync(certificates.file('authority.pem'))
    expect(await cipherOf('127.0.0.1', { ca })).not.toBe('')
    await expect(cipherOf('localhost', { ca })).rejects.toThrow(/does not match certificate's altnames/)
    expect(await cipherOf('localhost', { ca, verifyIdentity: false })).not.toBe('')
    await expect(cipherOf('127.0.0.1', {})).rejects.toThrow(/unable to verify/)
    expect(await cipherOf('localhost', { rejectUnauthorized: false })).not.toBe('')
  })
})
