import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { cleanEnv, SOURCE_FLAGS } from '../support/source-process.ts'
import type { NodeOrder } from './node-order.ts'

const beside = (file: string): string => fileURLToPath(new URL(file, import.meta.url))

/** A node of the chaos suite as a process. It is restarted whenever it has ended, as a container orchestrator would do. */
export class NodeProcess {
  #order: NodeOrder
  readonly #logFile: string
  readonly #preload: readonly string[]
  readonly #env: Readonly<Record<string, string>>
  #child: ChildProcess | undefined
  #isWanted = false
  /** Whether its process executes runs. */
  isStarted = false
  /** How often it ended without an order. */
  crashes = 0
  /** Runs that this node's processes reported as lost. */
  lost = 0

  /** @param preload modules to load before the node's own, in each of its threads */
  constructor(
    order: NodeOrder,
    options: { logFile: string; preload?: readonly string[]; env?: Readonly<Record<string, string>> },
  ) {
    this.#order = order
    this.#logFile = options.logFile
    this.#preload = [beside('skew.ts'), ...(options.preload ?? []).map(beside)]
    this.#env = options.env ?? {}
  }

  /** Gives processes that start from now on another schedule in their code. */
  reschedule(everyMs: number): void {
    this.#order = { ...this.#order, everyMs }
  }

  /** Starts a process whose clock is `skewMs` ahead. */
  start(skewMs: number): void {
    this.#isWanted = true
    const imports = this.#preload.flatMap((file) => ['--import', pathToFileURL(file).href])
    const child = spawn(
      process.execPath,
      [...SOURCE_FLAGS, ...imports, beside('node.ts'), JSON.stringify(this.#order)],
      {
        env: { ...cleanEnv(), CHAOS_SKEW_MS: String(skewMs), ...this.#env },
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    )
    this.#child = child
    this.isStarted = false
    const log = createWriteStream(this.#logFile, { flags: 'a' })
    child.stderr.pipe(log, { end: false })
    createInterface(child.stdout).on('line', (line) => {
      if (line.startsWith('lost ')) this.lost += 1
      if (line === 'started' && this.#child === child) this.isStarted = true
      log.write(`${line}\n`)
    })
    child.once('close', (code, signal) => {
      log.end(`ended with ${code ?? signal}\n`)
      if (!this.#isWanted || this.#child !== child) return
      this.crashes += 1
      setTimeout(() => this.#isWanted && this.#child === child && this.start(skewMs), 500).unref()
    })
  }

  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal)
  }

  /** Ends the process with a signal and resolves when it has ended. Kills it after 20 s. */
  async end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    this.#isWanted = false
    const child = this.#child
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const gone = once(child, 'exit')
    child.kill(signal)
    const deadline = setTimeout(() => child.kill('SIGKILL'), 20_000)
    await gone
    clearTimeout(deadline)
  }
}
