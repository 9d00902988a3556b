import { type ChildProcess, execFile, type ExecFileOptions, spawn } from 'node:child_process'
import { once } from 'node:events'
import { accessSync, constants, existsSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { createConnection } from 'mysql2/promise'
import { PATIENCE_MS } from './patience.ts'

const run = promisify(execFile)

export interface MysqlServer {
  /** `mysql://user:password@host:port` without a database; the user may create databases. */
  readonly dsn: string
  /** The server's process, when it is a private one. */
  readonly pid: number | undefined
  /** Ends the server and removes its files. */
  stop(): Promise<void>
  /** SIGKILL, as a crash. The data stay for `restart`. */
  kill(): Promise<void>
  /** Starts a killed server again on the same port and data. Kills it first if it still runs. */
  restart(): Promise<void>
}

export interface MysqlServerOptions {
  /** With the binary log and `sync_binlog=1`. Default: without. */
  readonly binlog?: boolean
  /** Default `64M`. */
  readonly bufferPool?: string
  /** The largest statement that it accepts, such as `1M`. Default: the server's own. */
  readonly maxPacket?: string
  /** The redo log. Default: the server's own. */
  readonly redoLog?: string
  /** More server options, such as `--ssl-cert=…`. With these the server is a private one. */
  readonly args?: readonly string[]
}

const USER = 'piko_test'
const PASSWORD = 'piko-test-secret'
const START_DEADLINE_MS = PATIENCE_MS
const STOP_DEADLINE_MS = 15_000

const HOW_TO = `The tests need a MySQL or MariaDB server. Do one of these:
  1. set PIKO_TEST_MYSQL_DSN=mysql://user:password@host:port to a server whose user may create databases;
  2. put mysqld or mariadbd on the PATH: a private server is then started and removed by the tests;
  3. run the tests as root on Debian or Ubuntu: mariadb-server is then installed with apt-get.`

/**
 * The server of `PIKO_TEST_MYSQL_DSN`, otherwise a private one: `mariadbd` or `mysqld` in a temporary folder on a free
 * loopback port, with durable commits. It ends with this process, also on SIGINT and SIGTERM.
 */
export async function startMysqlServer(options: MysqlServerOptions = {}): Promise<MysqlServer> {
  const dsn = process.env['PIKO_TEST_MYSQL_DSN']
  return dsn && !options.args ? givenServer(dsn) : PrivateServer.start(findServer() ?? (await installServer()), options)
}

async function givenServer(dsn: string): Promise<MysqlServer> {
  const connection = await createConnection(dsn.replace(/^mysql\+\w+:/, 'mysql:')).catch((error: unknown) => {
    throw new Error(`PIKO_TEST_MYSQL_DSN is set, but its server does not answer.\n${HOW_TO}`, { cause: error })
  })
  await connection.end()
  const notOurs = (): Promise<never> =>
    Promise.reject(new Error('this test kills its server; unset PIKO_TEST_MYSQL_DSN so that it gets a private one'))
  return { dsn, pid: undefined, stop: async () => {}, kill: notOurs, restart: notOurs }
}

class PrivateServer implements MysqlServer {
  readonly dsn: string
  readonly #program: string
  readonly #folder: string
  readonly #port: number
  readonly #options: MysqlServerOptions
  #process: ChildProcess | undefined
  #removeHooks = (): void => {}

  static async start(program: string, options: MysqlServerOptions): Promise<PrivateServer> {
    const server = new PrivateServer(program, mkdtempSync(join(tmpdir(), 'piko-mysql-')), await freePort(), options)
    server.#hookProcessEnd()
    try {
      await server.#initialise()
      await server.#launch()
    } catch (error) {
      await server.stop()
      throw error
    }
    return server
  }

  private constructor(program: string, folder: string, port: number, options: MysqlServerOptions) {
    this.#options = options
    this.#program = program
    this.#folder = folder
    this.#port = port
    this.dsn = `mysql://${USER}:${PASSWORD}@127.0.0.1:${port}`
  }

  get pid(): number | undefined {
    return this.#process?.pid
  }

  async stop(): Promise<void> {
    const child = this.#process
    if (child && isRunning(child)) {
      child.kill('SIGTERM')
      const killer = setTimeout(() => child.kill('SIGKILL'), STOP_DEADLINE_MS)
      await once(child, 'exit')
      clearTimeout(killer)
    }
    this.#removeHooks()
    rmSync(this.#folder, { recursive: true, force: true })
  }

  async kill(): Promise<void> {
    const child = this.#process
    if (!child || !isRunning(child)) return
    child.kill('SIGKILL')
    await once(child, 'exit')
  }

  async restart(): Promise<void> {
    await this.kill()
    await this.#launch()
  }

  get #data(): string {
    return join(this.#folder, 'data')
  }

  get #log(): string {
    return join(this.#folder, 'server.log')
  }

  /** Temporary files also go here: a starting server deletes those that it finds, even of a running server. */
  get #place(): { cwd: string; env: NodeJS.ProcessEnv } {
    return { cwd: this.#folder, env: { ...process.env, TMPDIR: this.#folder } }
  }

  async #initialise(): Promise<void> {
    // A separate user: root may be bound to the local socket, and tests look for leaks of the password.
    writeFileSync(
      join(this.#folder, 'init.sql'),
      `CREATE USER IF NOT EXISTS '${USER}'@'%' IDENTIFIED BY '${PASSWORD}';\nGRANT ALL ON *.* TO '${USER}'@'%' WITH GRANT OPTION;\n`,
    )
    const installer = findProgram('mariadb-install-db')
    const [program, args] =
      (await isMariadb(this.#program)) && installer
        ? [installer, ['--no-defaults', '--skip-test-db', '--auth-root-authentication-method=normal']]
        : [this.#program, ['--no-defaults', '--initialize-insecure']]
    const installing = run(program, [...args, `--datadir=${this.#data}`, ...asUser()], this.#place)
    this.#process = installing.child
    await installing
  }

  async #launch(): Promise<void> {
    const log = openSync(this.#log, 'a')
    const isMaria = await isMariadb(this.#program)
    const { redoLog, maxPacket } = this.#options
    const child = spawn(
      this.#program,
      [
        '--no-defaults',
        ...asUser(),
        `--datadir=${this.#data}`,
        `--port=${this.#port}`,
        '--bind-address=127.0.0.1',
        `--socket=${join(this.#folder, 's.sock')}`,
        `--pid-file=${join(this.#folder, 'server.pid')}`,
        `--init-file=${join(this.#folder, 'init.sql')}`,
        '--skip-name-resolve',
        ...(this.#options.binlog
          ? ['--log-bin=binlog', '--server-id=1', '--binlog-format=ROW', '--sync-binlog=1']
          : ['--skip-log-bin']),
        `--innodb-buffer-pool-size=${this.#options.bufferPool ?? '64M'}`,
        '--innodb-flush-log-at-trx-commit=1',
        '--max-connections=500',
        ...(maxPacket === undefined ? [] : [`--max-allowed-packet=${maxPacket}`]),
        ...(isMaria ? [] : ['--mysqlx=OFF']),
        ...(this.#options.args ?? []),
        // MySQL before 8.0.30 does not have this option.
        ...(redoLog ? [`--${isMaria ? 'innodb-log-file-size' : 'loose-innodb-redo-log-capacity'}=${redoLog}`] : []),
      ],
      { ...this.#place, stdio: ['ignore', log, log] },
    )
    this.#process = child
    let failure: Error | undefined
    child.on('error', (error) => (failure = error))
    const deadline = Date.now() + START_DEADLINE_MS
    while (!(await answers(this.dsn))) {
      if (failure || !isRunning(child) || Date.now() > deadline) {
        throw new Error(`${this.#program} did not start; its log ends with:\n${tail(this.#log)}`, { cause: failure })
      }
      await sleep(50)
    }
  }

  /** The server is a child process but would outlive this one. Its data are temporary, so it may end as in a crash. */
  #hookProcessEnd(): void {
    const end = (): void => {
      this.#process?.kill('SIGKILL')
      rmSync(this.#folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 })
    }
    const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
    const onSignal = (signal: NodeJS.Signals): void => {
      end()
      this.#removeHooks()
      // Other listeners decide how the process ends. Without them the signal has its usual effect.
      if (process.listenerCount(signal) === 0) process.kill(process.pid, signal)
    }
    process.once('exit', end)
    for (const signal of signals) process.once(signal, onSignal)
    this.#removeHooks = () => {
      process.off('exit', end)
      for (const signal of signals) process.off(signal, onSignal)
    }
  }
}

export const isRunning = (child: ChildProcess): boolean => child.exitCode === null && child.signalCode === null

/** A server refuses to run as root unless an option allows it. */
const asUser = (): string[] => (process.getuid?.() === 0 ? ['--user=root'] : [])

async function isMariadb(program: string): Promise<boolean> {
  return (await run(program, ['--no-defaults', '--version'])).stdout.includes('MariaDB')
}

async function answers(dsn: string): Promise<boolean> {
  try {
    const connection = await createConnection(dsn)
    await connection.end()
    return true
  } catch {
    return false
  }
}

function tail(file: string): string {
  return existsSync(file) ? readFileSync(file, 'utf8').split('\n').slice(-20).join('\n') : '(no log)'
}

function findServer(): string | undefined {
  return findProgram('mariadbd') ?? findProgram('mysqld')
}

export function findProgram(name: string, ...more: readonly string[]): string | undefined {
  const folders = [
    ...more,
    ...(process.env['PATH'] ?? '').split(delimiter),
    '/usr/sbin',
    '/usr/local/sbin',
    '/usr/libexec',
  ]
  return folders.map((folder) => join(folder, name)).find(isExecutable)
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

const POLICY = '/usr/sbin/policy-rc.d'

async function installServer(): Promise<string> {
  await installPackage('mariadb-server', HOW_TO)
  const program = findServer()
  if (!program) throw new Error(`mariadb-server was installed, but there is no mariadbd.\n${HOW_TO}`)
  return program
}

/**
 * Installs a package with apt-get as root, without starting its service. `howTo` explains what to do when that is not
 * possible.
 */
export async function installPackage(name: string, howTo: string): Promise<void> {
  if (process.getuid?.() !== 0 || !isExecutable('/usr/bin/apt-get')) throw new Error(howTo)
  // Debian's switch that prevents a newly installed service from starting.
  const policy = !existsSync(POLICY)
  if (policy) writeFileSync(POLICY, '#!/bin/sh\nexit 101\n', { mode: 0o755 })
  try {
    const options = { env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }, maxBuffer: 64 * 1024 * 1024 }
    await aptGet(['update'], options)
    await aptGet(['install', '-y', '--no-install-recommends', name], options)
  } catch (error) {
    throw new Error(`apt-get could not install ${name}.\n${howTo}`, { cause: error })
  } finally {
    if (policy) rmSync(POLICY, { force: true })
  }
}

/** Waits up to five minutes for another apt-get, because a fresh machine often updates itself. */
async function aptGet(args: readonly string[], options: ExecFileOptions): Promise<void> {
  for (const deadline = Date.now() + 300_000; ;) {
    try {
      await run('apt-get', args, options)
      return
    } catch (error) {
      const isLocked = /Could not get lock|Unable to (?:lock|acquire)/.test(
        String((error as { stderr?: string }).stderr),
      )
      if (!isLocked || Date.now() > deadline) throw error
      await sleep(1_000)
    }
  }
}

/**
 * A loopback port that no program uses. It is below the ports that the system gives to connections, so none can take it before the caller
 * listens.
 *
 * @param count how many ports after one another must be free
 */
export async function freePort(count = 1): Promise<number> {
  for (let tries = 0; tries < 100; tries++) {
    const first = 20_000 + Math.floor(Math.random() * 10_000)
    const ports = Array.from({ length: count }, (_, index) => first + index)
    if ((await Promise.all(ports.map(isFree))).every(Boolean)) return first
  }
  throw new Error('no free loopback port from 20000 to 30000')
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer()
  const { promise, resolve } = Promise.withResolvers<boolean>()
  server.once('error', () => resolve(false))
  server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  return promise
}
