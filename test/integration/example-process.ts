import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'
import { cleanEnv, DECORATOR_FLAGS } from '../support/source-process.ts'

/** An example as users run it: in its own process, in a folder outside the repository. */
export class ExampleProcess {
  readonly #child: ChildProcess
  readonly #ended: Promise<unknown[]>
  readonly #lines: string[] = []
  readonly #watchers = new Set<() => void>()
  #stderr = ''

  /**
   * @param file   relative to `examples/`
   * @param env the only variables whose names begin with `PIKO_`
   */
  constructor(file: string, options: { args?: readonly string[]; env: Readonly<Record<string, string>>; cwd: string }) {
    const script = fileURLToPath(new URL(`../../examples/${file}`, import.meta.url))
    this.#child = spawn(process.execPath, [...DECORATOR_FLAGS, script, ...(options.args ?? [])], {
      cwd: options.cwd,
      env: { ...cleanEnv(), ...options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.#ended = once(this.#child, 'close')
    onTestFinished(() => void this.#child.kill('SIGKILL'))
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.#stderr += text))
    if (!this.#child.stdout) throw new Error('the example has no output to read')
    createInterface(this.#child.stdout).on('line', (line) => {
      this.#lines.push(line)
      for (const check of this.#watchers) check()
    })
  }

  get stdout(): string {
    return this.#lines.join('\n')
  }

  get stderr(): string {
    return this.#stderr
  }

  /** Resolves with the first value that `find` finds in a line; rejects when the process ends first. */
  async line<T>(find: (line: string) => T | undefined): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>()
    const check = (): void => {
      const found = this.#lines.map(find).find((value) => value !== undefined)
      if (found !== undefined) resolve(found)
    }
    this.#watchers.add(check)
    check()
    void this.#ended.then(() => reject(new Error(`the example ended first:\n${this.stdout}\n${this.stderr}`)))
    return promise.finally(() => this.#watchers.delete(check))
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  /** Its exit code, or the signal that ended it. */
  async end(): Promise<number | NodeJS.Signals> {
    await this.#ended
    return this.#child.exitCode ?? this.#child.signalCode ?? 'SIGKILL'
  }
}
