import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, openSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { findProgram, isRunning } from '../../test/support/mysql-server.ts'

export interface DaemonSpec {
  readonly program: string
  readonly args: readonly string[]
  /** The folder of its data, which is removed at the end. */
  readonly folder: string
  /** A user other than root, for programs that refuse to run as root. */
  readonly user?: string
  answers(): Promise<boolean>
}

const START_DEADLINE_MS = 60_000
const STOP_DEADLINE_MS = 15_000
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** A private server with temporary data. It never outlives this process. */
export class Daemon {
  readonly #spec: DaemonSpec
  readonly #process: ChildProcess

  static async start(spec: DaemonSpec): Promise<Daemon> {
    const daemon = new Daemon(spec)
    try {
      await daemon.#answers()
    } catch (error) {
      await daemon.stop()
      throw error
    }
    return daemon
  }

  private constructor(spec: DaemonSpec) {
    this.#spec = spec
    const log = openSync(this.#log, 'a')
    this.#process = spawn('setpriv', withUser(spec), { cwd: spec.folder, stdio: ['ignore', log, log] })
    this.#process.once('error', () => {}) // The deadline reports this failure, with the log.
    process.once('exit', this.#end)
    for (const signal of SIGNALS) process.once(signal, this.#onSignal)
  }

  get pid(): number | undefined {
    return this.#process.pid
  }

  async stop(): Promise<void> {
    if (isRunning(this.#process)) {
      const gone = once(this.#process, 'exit')
      this.#process.kill('SIGINT')
      const killer = setTimeout(() => this.#process.kill('SIGKILL'), STOP_DEADLINE_MS)
      await gone
      clearTimeout(killer)
    }
    this.#unhook()
    rmSync(this.#spec.folder, { recursive: true, force: true })
  }

  get #log(): string {
    return join(this.#spec.folder, 'server.log')
  }

  async #answers(): Promise<void> {
    const deadline = Date.now() + START_DEADLINE_MS
    while (!(await this.#spec.answers().catch(() => false))) {
      if (!isRunning(this.#process) || Date.now() > deadline) {
        const log = existsSync(this.#log) ? readFileSync(this.#log, 'utf8').split('\n').slice(-20).join('\n') : ''
        throw new Error(`${this.#spec.program} did not start; its log ends with:\n${log}`)
      }
      await sleep(50)
    }
  }

  readonly #end = (): void => {
    this.#process.kill('SIGKILL')
    rmSync(this.#spec.folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 })
  }

  readonly #onSignal = (signal: NodeJS.Signals): void => {
    this.#end()
    this.#unhook()
    if (process.listenerCount(signal) === 0) process.kill(process.pid, signal)
  }

  #unhook(): void {
    process.off('exit', this.#end)
    for (const signal of SIGNALS) process.off(signal, this.#onSignal)
  }
}

/**
 * Runs the program through `setpriv`, which changes the user, makes the kernel end the program together with this process, and then becomes
 * the program.
 */
function withUser({ program, args, user }: DaemonSpec): string[] {
  if (!findProgram('setpriv')) throw new Error('setpriv (of util-linux) is needed to start private servers')
  const as = user === undefined ? [] : [`--reuid=${user}`, `--regid=${user}`, '--clear-groups']
  return [...as, '--pdeathsig=KILL', program, ...args]
}
