import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { isPikoError, type PikoError } from '../../src/errors.ts'
import { loadSettings, type LoadSettingsOptions } from '../../src/settings/load.ts'
import type { SettingsProblem } from '../../src/settings/problem.ts'
import { asUnprivileged } from '../support/unprivileged.ts'

const SECRET = 'h0rse-battery'
const DSN = `mysql://piko:${SECRET}@db:3306/piko`

let cwd: string
beforeEach(() => {
  cwd = mkdtempSync(join(tmpdir(), 'piko-settings-'))
})
afterEach(() => rmSync(cwd, { recursive: true }))

const write = (toml: string | Uint8Array, name = 'settings.toml'): string => {
  writeFileSync(join(cwd, name), toml)
  return join(cwd, name)
}

const load = (options: LoadSettingsOptions = {}): ReturnType<typeof loadSettings> =>
  loadSettings({ cwd, env: {}, ...options })

const failure = (options: LoadSettingsOptions = {}): PikoError => {
  try {
    load(options)
  } catch (error) {
    if (isPikoError(error, 'SETTINGS_INVALID')) return error
    throw error
  }
  throw new Error('the settings were accepted')
}

const problems = (options: LoadSettingsOptions = {}): readonly SettingsProblem[] =>
  failure(options).details['problems'] as readonly SettingsProblem[]

/** All ways in which an error can reach a log. */
const printed = (error: Error): string => `${error.message}\n${inspect(error, { depth: 20 })}\n${JSON.stringify(error)}`

describe('sources', () => {
  test('without any source every value is the default', () => {
    const { settings, origins, file } = load()
    expect(settings).toEqual({
      piko: {
        doorbell: 'auto',
        name: 'piko',
        jobs: [],
        logLevel: 'info',
        logJson: false,
        concurrency: 100,
        pollIntervalMs: 1_000,
        leaseMs: 15_000,
        shutdownTimeoutMs: 30_000,
        smallHeap: false,
        transactionTimeoutMs: 60_000,
        blockThresholdMs: 500,
        maxBlockMs: 60_000,
        endWhenBlocked: true,
        autoMigrate: true,
      },
      mysql: {
        dsn: '',
        poolSize: 10,
        poolRecycleMs: 3_600_000,
        connectTimeoutMs: 10_000,
        statementTimeoutMs: 60_000,
        sslVerifyHost: true,
      },
      sqlite: { path: '.piko/piko.db' },
      sinks: { spillDir: '.piko/spill', keepDeadMs: 7_776_000_000 },
      items: { concurrency: 50, lowerWhenLate: true, bodies: '.piko/bodies' },
      offload: { threads: Math.max(1, availableParallelism() - 1), pools: {} },
      events: { keepMs: 600_000, keep: 2_000_000 },
      link: { listen: 'auto', secret: '', tlsKey: '', tlsCert: '', tlsCa: '', attach: '' },
      notify: {
        ...{ quietMs: 10_000, maxWaitMs: 120_000, intervalMs: 60_000, repeatMs: 14_400_000, timeoutMs: 30_000 },
        ...{ keepMs: 30 * 86_400_000, link: '', webhookUrl: '', webhookSecret: '', slackUrl: '', smtpUrl: '' },
        ...{ emailFrom: '', emailTo: [] },
      },
      history: {
        runLogs: 'info',
        runLogLines: 1_000,
        keepSucceededMs: 30 * 86_400_000,
        keepFailedMs: 90 * 86_400_000,
        keepRuns: 0,
        keepAuditMs: 31_536_000_000,
        lostAttempts: 10,
      },
      http: {
        ...{ enabled: true, host: '127.0.0.1', port: 9464, api: true, requireToken: false, hosts: [], plain: false },
        ...{ tokensFile: '', tlsKey: '', tlsCert: '', rateLimit: 3_000, bodyLimit: 2_000_000 },
        trustForwarded: false,
      },
    })
    expect(new Set(origins.values())).toEqual(new Set(['default']))
    expect(file).toBeUndefined()
  })

  test('an override takes precedence over the environment, then the file, then the default', () => {
    const path = write('[piko]\nname = "file"\nconcurrency = 2\nlease = "20s"\n')
    const { settings, origins, file } = load({
      env: { PIKO_NAME: 'environment', PIKO_CONCURRENCY: '3' },
      overrides: { piko: { name: 'override' } },
    })
    expect(settings.piko).toMatchObject({ name: 'override', concurrency: 3, leaseMs: 20_000, logLevel: 'info' })
    expect(origins.get('piko.name')).toBe('override')
    expect(origins.get('piko.concurrency')).toBe('environment variable PIKO_CONCURRENCY')
    expect(origins.get('piko.lease')).toBe('file settings.toml')
    expect(origins.get('piko.log_level')).toBe('default')
    expect(file).toBe(path)
  })

  test('an undefined override has no effect', () => {
    expect(load({ overrides: { piko: { name: undefined }, http: undefined } }).settings.piko.name).toBe('piko')
  })

  test('PIKO_SETTINGS_PATH names the file instead of settings.toml, absolute or relative', () => {
    write('[piko]\nname = "here"\nlease = "20s"\n')
    const other = write('[piko]\nname = "there"\n', 'other.toml')
    for (const path of [other, 'other.toml']) {
      const { settings, origins, file } = load({ env: { PIKO_SETTINGS_PATH: path } })
      expect(settings.piko).toMatchObject({ name: 'there', leaseMs: 15_000 })
      expect(origins.get('piko.name')).toBe(`file ${path}`)
      expect(file).toBe(other)
    }
  })

  test('a file given in code takes precedence over PIKO_SETTINGS_PATH', () => {
    write('[piko]\nname = "there"\n', 'other.toml')
    expect(load({ file: 'other.toml', env: { PIKO_SETTINGS_PATH: 'missing.toml' } }).settings.piko.name).toBe('there')
  })

  test('a named file that is missing or a folder is a problem, even when settings.toml exists', () => {
    write('[piko]\nname = "here"\n')
    expect(problems({ env: { PIKO_SETTINGS_PATH: 'missing.toml' } })).toEqual([
      {
        key: 'missing.toml',
        value: undefined,
        origin: 'environment variable PIKO_SETTINGS_PATH',
        expected:
          'the settings file cannot be read (ENOENT); create it, or the file to which its link leads, or name another',
      },
    ])
    expect(problems({ file: '.' })[0]?.expected).toContain('EISDIR')
  })

  test.each([
    ['a link that leads nowhere', 'ENOENT', (path: string) => symlinkSync('missing.toml', path)],
    ['a link that leads back to itself', 'ELOOP', (path: string) => symlinkSync('settings.toml', path)],
    ['a folder', 'EISDIR', (path: string) => mkdirSync(path)],
  ])('settings.toml that is %s is a problem, not an absence', (_what, code, make) => {
    make(join(cwd, 'settings.toml'))
    expect(problems()).toEqual([
      {
        key: 'settings.toml',
        value: undefined,
        origin: 'default',
        expected: expect.stringContaining(`cannot be read (${code})`) as string,
      },
    ])
  })

  test("a settings.toml that this user can't read is a problem, and says what to do", () => {
    chmodSync(cwd, 0o755)
    chmodSync(write('[piko]\nname = "secret"\n'), 0o000)
    const error = asUnprivileged('settings', cwd)
    expect(error?.code).toBe('SETTINGS_INVALID')
    expect(error?.message).toContain('settings.toml')
    expect(error?.message).toContain('cannot be read (EACCES)')
    expect(error?.message).toContain('read it')
  })

  test.each([
    'file:piko.db',
    'FILE:/data/piko.db?mode=memory',
    'file::memory:',
    ' ',
    '',
    'sqlite:a.db',
    'sqlite:///a.db',
    'sqlite3://a.db',
    'http://a/b',
    '~/a.db',
    '~',
  ])('refuses sqlite.path = "%s" as a path of a file', (path) => {
    expect(problems({ overrides: { sqlite: { path } } })).toMatchObject([{ key: 'sqlite.path' }])
  })

  test('an empty variable is ignored', () => {
    write('[piko]\nname = "file"\n')
    const env = { PIKO_NAME: '', PIKO_CONCURRENCY: '  ', PIKO_SETTINGS_PATH: '', PIKO_NO_SUCH: '' }
    expect(load({ env }).settings.piko).toMatchObject({ name: 'file', concurrency: 100 })
  })

  test('accepts a byte order mark, and refuses a file that is not UTF-8', () => {
    write('\uFEFF[piko]\nname = "bom"\n')
    expect(load().settings.piko.name).toBe('bom')
    write(Uint8Array.of(...Buffer.from('[piko]\nname = "'), 0xe9, ...Buffer.from('"\n')))
    expect(problems()[0]?.expected).toContain('not UTF-8')
  })
})

describe('values', () => {
  test('strings of the environment are converted to the type of their key', () => {
    const { settings } = load({
      env: {
        PIKO_JOBS: 'jobs/**/*.ts, more/*.{ts,js},',
        PIKO_LOG_JSON: 'TRUE',
        PIKO_AUTO_MIGRATE: '0',
        PIKO_CONCURRENCY: ' 7 ',
        PIKO_MYSQL__DSN: `${DSN}\n`,
        PIKO_OFFLOAD__THREADS: '3',
        PIKO_HTTP__ENABLED: '1',
        PIKO_HTTP__PORT: '0',
      },
    })
    expect(settings.piko).toMatchObject({
      jobs: ['jobs/**/*.ts', 'more/*.{ts,js}'],
      logJson: true,
      autoMigrate: false,
      concurrency: 7,
    })
    expect(settings.mysql.dsn).toBe(DSN)
    expect(settings.offload.threads).toBe(3)
    expect(settings.http).toMatchObject({ enabled: true, port: 0 })
  })

  test.each([
    ['INFO', 'info'],
    ['Warning', 'warn'],
    ['CRITICAL', 'fatal'],
    ['debug', 'debug'],
    ['silent', 'silent'],
  ])('the log level %s means %s', (name, level) => {
    expect(load({ env: { PIKO_LOG_LEVEL: name } }).settings.piko.logLevel).toBe(level)
  })

  test.each([
    ['250ms', 250],
    ['1.5s', 1_500],
    ['0.5m', 30_000],
  ])('the duration %s is %d milliseconds', (text, ms) => {
    expect(load({ env: { PIKO_POLL_INTERVAL: text } }).settings.piko.pollIntervalMs).toBe(ms)
  })

  test.each(['10', '10 s', '9ms', '61s', '-1s', 'soon'])('the poll interval %s is refused', (text) => {
    expect(problems({ env: { PIKO_POLL_INTERVAL: text } })).toEqual([
      {
        key: 'piko.poll_interval',
        value: JSON.stringify(text),
        origin: 'environment variable PIKO_POLL_INTERVAL',
        expected: 'expected a duration with its unit (ms, s, m, h, d) from 10ms to 1m, such as "1s"',
      },
    ])
  })

  test('only pool_recycle accepts a bare number, of seconds, in the file and in the environment', () => {
    write('[mysql]\npool_recycle = 3600\n')
    expect(load().settings.mysql.poolRecycleMs).toBe(3_600_000)
    expect(load({ env: { PIKO_MYSQL__POOL_RECYCLE: '90' } }).settings.mysql.poolRecycleMs).toBe(90_000)
    expect(load({ env: { PIKO_MYSQL__POOL_RECYCLE: '90m' } }).settings.mysql.poolRecycleMs).toBe(5_400_000)
    for (const text of ['0', '-1', '604801', '1.5']) {
      expect(problems({ env: { PIKO_MYSQL__POOL_RECYCLE: text } })[0]?.expected).toContain('or whole seconds')
    }
    write('[piko]\nlease = 15\n')
    expect(problems().map(({ key, value }) => [key, value])).toEqual([['piko.lease', '15']])
  })

  test.each([
    ['[piko]\nconcurrency = "5"', 'piko.concurrency', '"5"'],
    ['[piko]\nconcurrency = "12abc"', 'piko.concurrency', '"12abc"'],
    ['[piko]\nconcurrency = 1.5', 'piko.concurrency', '1.5'],
    ['[piko]\nconcurrency = 0', 'piko.concurrency', '0'],
    ['[piko]\nconcurrency = 100001', 'piko.concurrency', '100001'],
    ['[piko]\nlog_json = "true"', 'piko.log_json', '"true"'],
    ['[piko]\nlog_json = 1', 'piko.log_json', '1'],
    ['[piko]\nlog_level = "loud"', 'piko.log_level', '"loud"'],
    ['[piko]\nlog_level = "toString"', 'piko.log_level', '"toString"'],
    ['[piko]\nname = ""', 'piko.name', '""'],
    ['[piko]\nname = 2026-01-01', 'piko.name', 'a date'],
    ['[piko]\njobs = "jobs/*.ts"', 'piko.jobs', '"jobs/*.ts"'],
    ['[piko]\njobs = ["a", 1]', 'piko.jobs', '["a",1]'],
    [`[piko]\njobs = [{ dsn = "${SECRET}" }]`, 'piko.jobs', 'an array of tables or arrays'],
    [`[mysql.pool_size]\npassword = "${SECRET}"`, 'mysql.pool_size', 'a table'],
    ['[mysql]\npool_size = 1', 'mysql.pool_size', '1'],
    ['[offload]\nthreads = -1', 'offload.threads', '-1'],
    ['[offload]\npools = ["parsers sise=1"]', 'offload.pools', '["parsers sise=1"]'],
    ['[http]\nport = 65536', 'http.port', '65536'],
    ['[sqlite]\npath = "  "', 'sqlite.path', '"  "'],
  ])('the wrong value of %j is refused', (toml, key, value) => {
    write(toml)
    const error = failure()
    expect(error.details['problems']).toMatchObject([{ key, value, origin: 'file settings.toml' }])
    expect(printed(error)).not.toContain(SECRET)
  })
})

describe('problems', () => {
  test('are all named in one error, with key, value, origin and the expected value', () => {
    write('[piko]\nlease = "1s"\n[mysql]\npol_size = 5\n')
    const error = failure({
      env: { PIKO_MYSQL__POOL_SIZE: 'many', PIKO_MYSQL_DSN: DSN },
      // A JavaScript program may pass any value.
      overrides: { http: { port: 'http' as unknown as number, host: null as unknown as string } },
    })
    expect(error.message.split('\n')).toEqual([
      'the settings have 6 problems:',
      '  mysql.pol_size (file settings.toml): no such key; did you mean mysql.pool_size?',
      '  PIKO_MYSQL_DSN (environment): no such variable; did you mean PIKO_MYSQL__DSN?',
      '  piko.lease = "1s" (file settings.toml): expected a duration with its unit (ms, s, m, h, d) from 2s to 10m, such as "15s"',
      '  mysql.pool_size = "many" (environment variable PIKO_MYSQL__POOL_SIZE): expected a whole number from 2 to 1000',
      '  http.host = null (override): expected a string, not empty',
      '  http.port = "http" (override): expected a whole number from 0 to 65535',
    ])
    expect(error.details['problems']).toHaveLength(6)
    expect(printed(error)).not.toContain(SECRET)
  })

  test('a broken file does not hide problems of the environment', () => {
    write('[piko')
    expect(problems({ env: { PIKO_LOG_JSON: 'yes' } }).map(({ key }) => key)).toEqual([
      'settings.toml',
      'piko.log_json',
    ])
  })

  test.each([
    ['[mysql]\npool_sze = 1', 'mysql.pool_sze', 'mysql.pool_size'],
    ['[mysq]\ndsn = ""', 'mysq.dsn', 'mysql.dsn'],
    ['[piko]\nport = 1', 'piko.port', 'http.port'],
    ['log_level = "info"', 'log_level', 'piko.log_level'],
    ['mysql_dsn = ""', 'mysql_dsn', 'mysql.dsn'],
    ['[default]\nmysql_dsn = ""', 'default.mysql_dsn', 'mysql.dsn'],
  ])('the unknown key of %j gets the nearest known one as a suggestion', (toml, key, nearest) => {
    write(toml)
    expect(problems()).toMatchObject([{ key, expected: `no such key; did you mean ${nearest}?` }])
  })

  test.each([
    ['PIKO_LOGLEVEL', 'PIKO_LOG_LEVEL'],
    ['PIKO_MYSQL_POOL_SIZE', 'PIKO_MYSQL__POOL_SIZE'],
    ['PIKO_PIKO__LOG_LEVEL', 'PIKO_LOG_LEVEL'],
    ['PIKO_SHUTDOWN_TIMEOUT_S', 'PIKO_SHUTDOWN_TIMEOUT'],
  ])('the unknown variable %s gets the answer %s', (name, nearest) => {
    expect(problems({ env: { [name]: '1' } })).toMatchObject([
      { key: name, expected: `no such variable; did you mean ${nearest}?` },
    ])
  })

  test('an unknown name without a near match gets no suggestion', () => {
    expect(problems({ env: { PIKO_XYZZY: '1' } })).toMatchObject([
      { expected: 'no such variable; docs/settings.md lists all' },
    ])
    write('[piko]\nwatermelon = 1\n[__proto__]\nx = 1\n[empty]\n')
    expect(problems().map(({ key, expected }) => [key, expected])).toEqual([
      ['piko.watermelon', 'no such key; docs/settings.md lists all'],
      ['__proto__.x', 'no such key; docs/settings.md lists all'],
      [
        'empty',
        'no such section; expected one of piko, mysql, sqlite, history, sinks, items, offload, http, events, link, notify',
      ],
    ])
  })

  test('a section that is not a table is a problem', () => {
    write(`mysql = "${DSN}"\n[[http]]\nport = 1\n`)
    const error = failure()
    expect(error.details['problems']).toMatchObject([
      { key: 'mysql', expected: 'expected a table, [mysql]' },
      { key: 'http', expected: 'expected a table, [http]' },
    ])
    expect(printed(error)).not.toContain(SECRET)
  })

  test('variables of other programs and of tests and benchmarks are ignored', () => {
    const env = { PATH: '/bin', PIKOTA: '1', piko_name: 'x', PIKO_TEST_MYSQL: DSN, PIKO_BENCH_RUNS: '5' }
    expect(load({ env }).settings.piko.name).toBe('piko')
  })
})

describe('secrets', () => {
  test.each([
    ['it names no database', `mysql://piko:${SECRET}@db:3306`],
    ['its scheme is "postgres"', `postgres://piko:${SECRET}@db/piko`],
    ['expected mysql://', `piko:${SECRET}@db/piko`],
    ['its port is not', `mysql://piko:${SECRET}`],
    ['it names no database', `mysql://db?password=${SECRET}`],
    ['a "%" in it', `mysql://piko:${SECRET}%zz@db/piko`],
  ])('a DSN is refused with "%s" and without its password', (complaint, dsn) => {
    write(`[mysql]\ndsn = "${dsn}"\n`)
    for (const error of [failure(), failure({ env: { PIKO_MYSQL__DSN: dsn } })]) {
      expect(error.message).toContain(complaint)
      expect(printed(error)).not.toContain(SECRET)
    }
  })

  test.each([
    ['an unquoted DSN', `[mysql]\ndsn = ${DSN}\n`, 2],
    ['a missing quote', `[piko]\nname = "x"\n[mysql]\ndsn = "${DSN}\n`, 4],
    ['an error below the DSN', `[mysql]\ndsn = "${DSN}"\npool_size = = 5\n`, 3],
    ['an error above the DSN', `[mysql]\npool_size 5\ndsn = "${DSN}"\n`, 2],
    ['a bad escape', `[mysql]\ndsn = "${DSN}\\q"\n`, 2],
    ['a DSN given twice', `[mysql]\ndsn = "${DSN}"\ndsn = "${DSN}"\n`, 3],
  ])('the message about %s has the place but not the line', (_, toml, line) => {
    write(toml)
    const error = failure()
    expect(error.message).toMatch(
      new RegExp(
        `settings.toml \\(file settings.toml\\): the settings file is not valid TOML at line ${line}, column \\d+: \\w`,
      ),
    )
    expect(error.message.split('\n')).toHaveLength(2)
    expect(printed(error)).not.toContain(SECRET)
  })

  test('a DSN under the wrong key is masked too', () => {
    const error = failure({ env: { PIKO_MYSQL__POOL_SIZE: DSN }, overrides: { piko: { jobs: [DSN, ''] } } })
    expect(error.message).toContain('mysql://piko:***@db:3306/piko')
    expect(printed(error)).not.toContain(SECRET)
  })

  test('settings in logs or JSON show no password, but contain it', () => {
    const { settings } = load({ env: { PIKO_MYSQL__DSN: DSN } })
    expect(settings.mysql.dsn).toBe(DSN)
    expect(structuredClone(settings).mysql.dsn).toBe(DSN)
    for (const text of [inspect(settings), JSON.stringify(settings)]) {
      expect(text).toContain('mysql://piko:***@db:3306/piko')
      expect(text).not.toContain(SECRET)
    }
  })
})
