import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { findProgram, freePort, installPackage, isRunning } from './mysql-server.ts'
import { PATIENCE_MS } from './patience.ts'

const START_DEADLINE_MS = PATIENCE_MS
const PASSWORD = 'piko-test-secret'

const HOW_TO = `The test needs a Redis server. Do one of these:
  1. put redis-server on the PATH: a private server is then started and removed by the test;
  2. run the tests as root on Debian or Ubuntu: redis-server is then installed with apt-get.`

/** A private Redis server on a free loopback port, with a password. */
export class RedisServer {
  readonly url: string
  readonly #program: string
  readonly #port: number
  readonly #folder = mkdtempSync(join(tmpdir(), 'piko-redis-'))
  #process: ChildProcess | undefined

  static async start(): Promise<RedisServer> {
    if (!findProgram('redis-server')) await installPackage('redis-server', HOW_TO)
    const program = findProgram('redis-server')
    if (!program) throw new Error(HOW_TO)
    const server = new RedisServer(program, await freePort())
    await server.launch()
    return server
  }

  private constructor(program: string, port: number) {
    this.#program = program
    this.#port = port
    this.url = `redis://:${PASSWORD}@127.0.0.1:${port}`
    process.once('exit', () => this.#process?.kill('SIGKILL'))
  }

  async launch(): Promise<void> {
    const options = ['--port', String(this.#port), '--bind', '127.0.0.1', '--save', '', '--requirepass', PASSWORD]
    const child = spawn(this.#program, [...options, '--dir', this.#folder], { stdio: 'ignore' })
    this.#process = child
    const deadline = Date.now() + START_DEADLINE_MS
    while (!(await listens(this.#port))) {
      if (!isRunning(child) || Date.now() > deadline) throw new Error(`${this.#program} did not start`)
      await sleep(20)
    }
  }

  /** SIGKILL, as a crash. */
  async kill(): Promise<void> {
    const child = this.#process
    if (!child || !isRunning(child)) return
    child.kill('SIGKILL')
    await once(child, 'exit')
  }

  async stop(): Promise<void> {
    await this.kill()
    rmSync(this.#folder, { recursive: true, force: true })
  }
}

async function listens(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}
