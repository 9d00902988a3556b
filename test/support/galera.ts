import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { createConnection } from 'mysql2/promise'
import { findProgram, freePort, installPackage, isRunning } from './mysql-server.ts'

const run = promisify(execFile)

const PROVIDERS = ['/usr/lib/galera/libgalera_smm.so', '/usr/lib64/galera-4/libgalera_smm.so']
const HOW_TO = `The tests on a cluster need MariaDB with Galera: mariadbd, rsync, lsof and one of ${PROVIDERS.join(', ')}.
Run them as root on Debian or Ubuntu, where these are installed with apt-get, or install them yourself.`
const SYNC_DEADLINE_MS = 300_000
const USER = 'piko_test'
const PASSWORD = 'piko-test-secret'
const isRoot = process.getuid?.() === 0

/** A member of a cluster: a server with its own folder and ports. */
class Member {
  readonly name: string
  readonly folder: string
  readonly port: number
  readonly groupPort: number
  readonly #transferPorts: readonly [number, number]
  #process: ChildProcess | undefined

  static async make(root: string, index: number): Promise<Member> {
    return new Member(root, index, [await freePort(), await freePort(), await freePort(), await freePort()])
  }

  private constructor(root: string, index: number, ports: readonly [number, number, number, number]) {
    this.name = `n${index}`
    this.folder = join(root, this.name)
    this.port = ports[0]
    this.groupPort = ports[1]
    this.#transferPorts = [ports[2], ports[3]]
  }

  get dsn(): string {
    return `mysql://${USER}:${PASSWORD}@127.0.0.1:${this.port}`
  }

  async initialise(): Promise<void> {
    for (const folder of [this.folder, join(this.folder, 'tmp'), join(this.folder, 'data')]) await ownFolder(folder)
    const args = [
      '--no-defaults',
      `--datadir=${this.#data}`,
      '--auth-root-authentication-method=normal',
      '--skip-test-db',
    ]
    // A starting server deletes the temporary files of other servers in the same folder.
    const env = { ...process.env, TMPDIR: join(this.folder, 'tmp') }
    await run('mariadb-install-db', [...args, '--skip-name-resolve', ...asUser()], { env, cwd: this.folder })
  }

  /** Resolves when it is a synced member. */
  async start(members: readonly Member[], provider: string, isFirst: boolean): Promise<void> {
    const log = openSync(join(this.folder, 'error.log'), 'a')
    const args = [
      ...this.#serverArgs(),
      ...this.#clusterArgs(members, provider),
      ...(isFirst ? ['--wsrep-new-cluster'] : []),
    ]
    this.#process = spawn(findProgram('mariadbd') ?? '/usr/sbin/mariadbd', args, {
      cwd: this.folder,
      stdio: ['ignore', log, log],
    })
    for (const deadline = Date.now() + SYNC_DEADLINE_MS; !(await this.#isSynced()); await sleep(200)) {
      if (!isRunning(this.#process) || Date.now() > deadline)
        throw new Error(`${this.name} did not join; its log ends with:\n${this.logTail()}`)
    }
  }

  /** Uses the local socket, which an isolated member also answers. */
  async ask(statement: string): Promise<Record<string, unknown>[]> {
    const connection = await createConnection({ socketPath: join(this.folder, 's.sock'), user: 'root' })
    try {
      const [rows] = await connection.query(statement)
      return rows as Record<string, unknown>[]
    } finally {
      await connection.end()
    }
  }

  async kill(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    const child = this.#process
    if (!child || !isRunning(child)) return
    const ended = once(child, 'exit')
    child.kill(signal)
    const killer = setTimeout(() => child.kill('SIGKILL'), 30_000)
    await ended
    clearTimeout(killer)
  }

  killNow(): void {
    this.#process?.kill('SIGKILL')
  }

  logTail(): string {
    return readFileSync(join(this.folder, 'error.log'), 'utf8').split('\n').slice(-30).join('\n')
  }

  get #data(): string {
    return join(this.folder, 'data')
  }

  async #isSynced(): Promise<boolean> {
    try {
      const [row] = await this.ask("SHOW STATUS LIKE 'wsrep_local_state_comment'")
      return row?.['Value'] === 'Synced'
    } catch {
      return false
    }
  }

  #serverArgs(): string[] {
    return [
      '--no-defaults',
      ...asUser(),
      `--datadir=${this.#data}`,
      `--tmpdir=${join(this.folder, 'tmp')}`,
      `--socket=${join(this.folder, 's.sock')}`,
      `--pid-file=${join(this.folder, 'server.pid')}`,
      `--port=${this.port}`,
      '--bind-address=127.0.0.1',
      '--skip-name-resolve',
      '--max-connections=300',
      '--innodb-buffer-pool-size=64M',
      '--innodb-flush-log-at-trx-commit=2',
      '--binlog-format=ROW',
      '--innodb-autoinc-lock-mode=2',
    ]
  }

  #clusterArgs(members: readonly Member[], provider: string): string[] {
    const [istPort, sstPort] = this.#transferPorts
    const group = {
      base_host: '127.0.0.1',
      base_port: this.groupPort,
      'gmcast.listen_addr': `tcp://127.0.0.1:${this.groupPort}`,
      'ist.recv_addr': `127.0.0.1:${istPort}`,
      'gcache.size': '32M',
      'gcache.dir': this.#data,
      'evs.keepalive_period': 'PT0.5S',
      'evs.suspect_timeout': 'PT3S',
      'evs.inactive_timeout': 'PT8S',
      'evs.install_timeout': 'PT8S',
      'pc.recovery': 'false',
    }
    return [
      '--wsrep-on=ON',
      `--wsrep-provider=${provider}`,
      '--wsrep-cluster-name=piko',
      `--wsrep-cluster-address=gcomm://${members.map((member) => `127.0.0.1:${member.groupPort}`).join(',')}`,
      `--wsrep-node-name=${this.name}`,
      '--wsrep-node-address=127.0.0.1',
      `--wsrep-node-incoming-address=127.0.0.1:${this.port}`,
      '--wsrep-sst-method=rsync',
      `--wsrep-sst-receive-address=127.0.0.1:${sstPort}`,
      '--wsrep-slave-threads=2',
      `--wsrep-provider-options=${Object.entries(group)
        .map((pair) => pair.join('='))
        .join(';')}`,
    ]
  }
}

/** Three members of MariaDB with Galera on loopback. They end with this process, and their files are removed. */
export class Galera {
  readonly #root: string
  readonly #provider: string
  readonly #members: readonly Member[]

  static async start(): Promise<Galera> {
    const provider = await findProvider()
    const root = mkdtempSync(join(tmpdir(), 'piko-galera-'))
    // The servers run as another user when this process is root.
    chmodSync(root, 0o755)
    const members = [await Member.make(root, 1), await Member.make(root, 2), await Member.make(root, 3)]
    const galera = new Galera(root, provider, members)
    process.once('exit', () => galera.#end())
    await Promise.all(members.map((member) => member.initialise()))
    for (const [index, member] of members.entries()) {
      await member.start(members, provider, index === 0)
      if (index > 0) continue
      await member.ask(`CREATE USER ${USER}@'%' IDENTIFIED BY '${PASSWORD}'`)
      await member.ask(`GRANT ALL ON *.* TO ${USER}@'%' WITH GRANT OPTION`)
    }
    return galera
  }

  private constructor(root: string, provider: string, members: readonly Member[]) {
    this.#root = root
    this.#provider = provider
    this.#members = members
  }

  get ports(): readonly number[] {
    return this.#members.map(({ port }) => port)
  }

  readonly user = { user: USER, password: PASSWORD }

  /** Runs a statement on a member, counted from 0, as the server's root. */
  ask(index: number, statement: string): Promise<Record<string, unknown>[]> {
    return this.#at(index).ask(statement)
  }

  /** Kills a member as a crash would. */
  kill(index: number): Promise<void> {
    return this.#at(index).kill('SIGKILL')
  }

  /** Starts a killed member again, which joins the others. */
  restart(index: number): Promise<void> {
    return this.#at(index).start(this.#members, this.#provider, false)
  }

  /** Cuts a member off from the group, or lets it back. */
  async isolate(index: number, isCutOff: boolean): Promise<void> {
    await this.ask(index, `SET GLOBAL wsrep_provider_options = 'gmcast.isolate=${isCutOff ? 1 : 0}'`)
  }

  async stop(): Promise<void> {
    for (const member of [...this.#members].reverse()) await member.kill('SIGTERM')
    this.#end()
  }

  #at(index: number): Member {
    const member = this.#members[index]
    if (!member) throw new Error(`there is no member ${index}`)
    return member
  }

  #end(): void {
    for (const member of this.#members) member.killNow()
    rmSync(this.#root, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 })
  }
}

async function findProvider(): Promise<string> {
  const find = (): string | undefined => PROVIDERS.find((path) => existsSync(path))
  if (!findProgram('mariadbd')) await installPackage('mariadb-server', HOW_TO)
  for (const name of ['rsync', 'lsof']) if (!findProgram(name)) await installPackage(name, HOW_TO)
  if (!find()) await installPackage('galera-4', HOW_TO)
  const provider = find()
  if (!provider) throw new Error(HOW_TO)
  return provider
}

/**
 * A server refuses to run as root. The rsync daemon, which copies the data to new members, drops root's rights itself.
 */
const asUser = (): string[] => (isRoot ? ['--user=mysql'] : [])

async function ownFolder(folder: string): Promise<void> {
  mkdirSync(folder, { recursive: true })
  if (isRoot) await run('chown', ['mysql', folder])
}
