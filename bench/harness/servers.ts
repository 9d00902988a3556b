import { execFile } from 'node:child_process'
import { chmodSync, globSync, mkdtempSync, readdirSync, readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { createConnection } from 'mysql2/promise'
import {
  findProgram,
  freePort,
  installPackage,
  type MysqlServer,
  startMysqlServer,
} from '../../test/support/mysql-server.ts'
import { Daemon } from './daemon.ts'

const run = promisify(execFile)

export type ServerName = 'mysql' | 'mysql with binlog' | 'postgresql' | 'redis' | 'redis with aof' | 'file'

export interface Server {
  /** The DSN of a fresh database, or of the server if it has no databases. */
  dsn(): Promise<string>
  /** The server's CPU time so far, in milliseconds. Undefined if the harness did not start the server. */
  cpuMs(): number | undefined
  stop(): Promise<void>
}

/** The smallest size on a real server. Larger than the data of any standing queue here. */
const BUFFER_POOL = '1G'
/**
 * The size of PostgreSQL's own log before it must write its pages to disk (`max_wal_size`). With MariaDB's default of 96 MB, that would
 * happen during each measurement.
 */
const REDO_LOG = '1G'

/** The servers of one invocation: each starts when first needed, and all end with it. */
export class Servers implements AsyncDisposable {
  readonly #started = new Map<ServerName, Promise<Server>>()

  get(name: ServerName): Promise<Server> {
    const started = this.#started.get(name) ?? start(name)
    this.#started.set(name, started)
    return started
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#started.values()].map(async (server) => (await server).stop()))
  }
}

function start(name: ServerName): Promise<Server> {
  switch (name) {
    case 'mysql':
      return startMysql(false)
    case 'mysql with binlog':
      return startMysql(true)
    case 'postgresql':
      return startPostgresql()
    case 'redis':
      return startRedis(false)
    case 'redis with aof':
      return startRedis(true)
    case 'file':
      return Promise.resolve({ dsn: newFile, cpuMs: () => undefined, stop: async () => {} })
  }
}

async function newFile(): Promise<string> {
  return join(mkdtempSync(join(tmpdir(), 'piko-bench-')), 'bench.db')
}

let databases = 0

async function startMysql(binlog: boolean): Promise<Server> {
  const server: MysqlServer = await startMysqlServer({ binlog, bufferPool: BUFFER_POOL, redoLog: REDO_LOG })
  let last: string | undefined
  return {
    /** Drops the previous database, whose pages would be written in the background of the next measurement. */
    dsn: async () => {
      const name = `bench_${process.pid}_${++databases}`
      const connection = await createConnection(server.dsn)
      if (last) await connection.query(`DROP DATABASE ${last}`)
      await connection.query(`CREATE DATABASE ${name} CHARACTER SET utf8mb4`)
      await connection.end()
      last = name
      return `${server.dsn.replace(/\/$/, '')}/${name}`
    },
    cpuMs: () => (server.pid === undefined ? undefined : cpuMs(server.pid)),
    stop: () => server.stop(),
  }
}

/** PostgreSQL with its defaults: fsync and synchronous_commit are on. */
async function startPostgresql(): Promise<Server> {
  const folders = (): string[] => globSync('/usr/lib/postgresql/*/bin').toSorted().toReversed()
  const howTo = 'pg-boss and Graphile Worker need PostgreSQL: run as root on Debian or Ubuntu, or install postgresql.'
  if (!findProgram('initdb', ...folders())) await installPackage('postgresql', howTo)
  const program = (name: string): string => {
    const found = findProgram(name, ...folders())
    if (!found) throw new Error(`there is no ${name}. ${howTo}`)
    return found
  }
  const folder = mkdtempSync(join(tmpdir(), 'piko-bench-pg-'))
  const user = process.getuid?.() === 0 ? 'postgres' : undefined
  if (user) await run('chown', [user, folder])
  chmodSync(folder, 0o700)
  const as = user ? ['setpriv', `--reuid=${user}`, `--regid=${user}`, '--clear-groups'] : []
  const data = join(folder, 'data')
  const [first = '', ...rest] = [
    ...as,
    ...[program('initdb'), '-D', data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C.UTF-8', '--no-sync'],
  ]
  await run(first, rest, { cwd: folder })
  const port = await freePort()
  const psql = (sql: string): Promise<unknown> =>
    run(program('psql'), ['-h127.0.0.1', `-p${port}`, '-Upostgres', '-qc', sql])
  const daemon = await Daemon.start({
    program: program('postgres'),
    args: ['-D', data, `-p${port}`, '-clisten_addresses=127.0.0.1', `-cunix_socket_directories=${folder}`],
    folder,
    ...(user ? { user } : {}),
    answers: async () => (await psql('SELECT 1'), true),
  })
  let last: string | undefined
  return {
    dsn: async () => {
      const name = `bench_${++databases}`
      if (last) await psql(`DROP DATABASE ${last} WITH (FORCE)`)
      await psql(`CREATE DATABASE ${name}`)
      last = name
      return `postgres://postgres@127.0.0.1:${port}/${name}`
    },
    cpuMs: () => cpuMs(daemon.pid),
    stop: () => daemon.stop(),
  }
}

async function startRedis(aof: boolean): Promise<Server> {
  const howTo = 'BullMQ needs Redis: run as root on Debian or Ubuntu, or put redis-server on the PATH.'
  if (!findProgram('redis-server')) await installPackage('redis-server', howTo)
  const program = findProgram('redis-server')
  if (!program) throw new Error(howTo)
  const folder = mkdtempSync(join(tmpdir(), 'piko-bench-redis-'))
  const port = await freePort()
  const persistence = aof ? ['--appendonly', 'yes', '--appendfsync', 'everysec'] : ['--appendonly', 'no']
  const daemon = await Daemon.start({
    program,
    args: [...['--port', `${port}`, '--bind', '127.0.0.1', '--dir', folder, '--save', ''], ...persistence],
    folder,
    answers: () => accepts(port),
  })
  return {
    dsn: () => Promise.resolve(`redis://127.0.0.1:${port}`),
    cpuMs: () => cpuMs(daemon.pid),
    stop: () => daemon.stop(),
  }
}

function accepts(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const socket = connect(port, '127.0.0.1')
  socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
  return promise.finally(() => socket.destroy())
}

/** The CPU time of a process and its children, including those that have ended. Linux counts in hundredths of a second. */
function cpuMs(pid: number | undefined): number | undefined {
  if (process.platform !== 'linux' || pid === undefined) return undefined
  let ticks = 0
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue
    const [, parent, ...fields] = statOf(name)
    if (name === `${pid}`) ticks += sum(fields.slice(9, 13))
    else if (parent === `${pid}`) ticks += sum(fields.slice(9, 11))
  }
  return ticks * 10
}

/** The fields of a process, from its state on. Empty if it has just ended. */
function statOf(pid: string): string[] {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
  } catch {
    return []
  }
}

function sum(numbers: readonly string[]): number {
  return numbers.reduce((total, number) => total + Number(number), 0)
}
