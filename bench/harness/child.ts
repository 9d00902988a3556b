import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { Phases } from './phases.ts'
import type { Reply } from './protocol.ts'
import type { SystemConfig } from './system.ts'

const SERVE = fileURLToPath(new URL('serve.ts', import.meta.url))

type PhaseName = Exclude<keyof Phases, symbol>
type Result<P extends PhaseName> = Awaited<ReturnType<Phases[P]>>
type Told = Extract<Reply, { event: unknown }>

/**
 * A system in its own process. Node reads the harness's TypeScript directly, and `piko` is the result of `npm run build`. So only code that
 * users run is measured.
 */
export class Child implements AsyncDisposable {
  readonly #process: ChildProcess
  readonly #calls = new Map<number, PromiseWithResolvers<unknown>>()
  readonly #listeners = new Set<(told: Told) => void>()
  readonly #name: string
  #made = 0

  constructor(module: URL, config: SystemConfig, flags: readonly string[] = []) {
    this.#name = module.pathname.split('/').at(-1) ?? ''
    this.#process = spawn(
      process.execPath,
      ['--disable-warning=ExperimentalWarning', ...flags, SERVE, module.href, JSON.stringify(config)],
      { stdio: ['pipe', 'pipe', 'inherit'], env: { ...process.env, NO_LOG_SUCCESS: '1' } },
    )
    this.#process.stdin?.on('error', () => {}) // The exit event reports this failure.
    this.#process.once('error', (error) => this.#fail(error))
    this.#process.once('exit', (code, signal) => this.#fail(new Error(`${this.#name} ended with ${code ?? signal}`)))
    createInterface({ input: this.#process.stdout! }).on('line', (line) => this.#hear(line))
  }

  /** Measures one phase in the child process. */
  async call<P extends PhaseName>(phase: P, ...args: Parameters<Phases[P]>): Promise<Result<P>> {
    const call = ++this.#made
    const answered = Promise.withResolvers<unknown>()
    this.#calls.set(call, answered)
    this.#process.stdin?.write(`${JSON.stringify({ call, phase, args })}\n`)
    return (await answered.promise) as Result<P>
  }

  onTold(listener: (told: Told) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { exitCode, signalCode } = this.#process
    if (exitCode !== null || signalCode !== null) return
    const gone = once(this.#process, 'exit')
    this.#process.kill('SIGKILL')
    await gone
  }

  /** Ignores other lines, which libraries print. */
  #hear(line: string): void {
    if (!/^\{"(?:answer|event)":/.test(line)) return
    const reply = JSON.parse(line) as Reply
    if ('event' in reply) {
      for (const listener of this.#listeners) listener(reply)
      return
    }
    const call = this.#calls.get(reply.answer)
    this.#calls.delete(reply.answer)
    if (reply.error === undefined) call?.resolve(reply.result)
    else call?.reject(new Error(`${this.#name}: ${reply.error}`))
  }

  #fail(error: Error): void {
    for (const call of this.#calls.values()) call.reject(error)
    this.#calls.clear()
  }
}
