import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { SettingsOverrides } from '../../src/settings/settings.ts'
import { cleanEnv, SOURCE_FLAGS } from '../../test/support/source-process.ts'

const NODE = fileURLToPath(new URL('node.ts', import.meta.url))
const KILOBYTE = 1_024
/** A node that has not stopped by then is killed. */
const STOP_MS = 60_000

/** What a node runs. */
export interface LineOrder {
  /** The module of the line, such as `line-01`. */
  readonly module: string
  /** The options of the line's crawl. */
  readonly options: unknown
  readonly settings: SettingsOverrides
  /** How long its event loop is blocked in each second. */
  readonly blockMs: number
}

/** A node of a crawl in its own process. */
export class LineNode implements AsyncDisposable {
  /** All that it has printed. */
  output = ''
  readonly #child: ChildProcess
  readonly #ended: Promise<unknown>
  readonly #started: Promise<unknown>
  #isEnding = false

  constructor(order: LineOrder) {
    const child = spawn(process.execPath, [...SOURCE_FLAGS, NODE, JSON.stringify(order)], {
      env: cleanEnv(),
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.#child = child
    this.#ended = once(child, 'close')
    for (const stream of [child.stdout, child.stderr])
      stream?.setEncoding('utf8').on('data', (text: string) => (this.output += text))
    const started = Promise.withResolvers<void>()
    createInterface(child.stdout).on('line', (line) => line === 'started' && started.resolve())
    child.once('exit', (code, signal) => {
      const problem = `the node ended with ${code ?? signal}:\n${this.output}`
      started.reject(new Error(problem))
      if (!this.#isEnding) process.stderr.write(`${problem}\n`)
    })
    started.promise.catch(() => {})
    this.#started = started.promise
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  /** Resolves once it works. */
  async started(): Promise<this> {
    await this.#started
    return this
  }

  /** The memory that it uses, in bytes. */
  get rss(): number {
    const line = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${this.pid}/status`, 'utf8'))
    return Number(line?.[1] ?? 0) * KILOBYTE
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  /** Lets it finish what is under way. */
  async stop(): Promise<void> {
    this.#isEnding = true
    this.#child.kill('SIGTERM')
    const killer = setTimeout(() => this.#child.kill('SIGKILL'), STOP_MS)
    await this.#ended
    clearTimeout(killer)
  }

  /** SIGKILL, as a crash. */
  async kill(): Promise<void> {
    this.#isEnding = true
    this.#child.kill('SIGKILL')
    await this.#ended
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.kill()
  }
}
