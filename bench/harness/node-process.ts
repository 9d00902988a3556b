import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'
import { basename, join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const LOOK_MS = 5

/** A process that takes part in a measurement, such as a node. Its first argument is its task as JSON. It never outlives this process. */
export class NodeProcess implements AsyncDisposable {
  /** The lines that the process has printed. */
  readonly lines: string[] = []
  readonly #child: ChildProcess
  readonly #name: string
  readonly #end = (): void => void this.#child.kill('SIGKILL')

  /**
   * Starts the process, and resolves when it has printed `ready`.
   *
   * @param options.isLean converts the module here, so that the converter does not count in the memory of the process. The module can't
   * import other TypeScript files
   */
  static async start(module: URL, order: unknown, options: { readonly isLean?: boolean } = {}): Promise<NodeProcess> {
    const node = new NodeProcess(module, order, options.isLean === true)
    await node.told('ready')
    return node
  }

  private constructor(module: URL, order: unknown, isLean: boolean) {
    this.#name = module.pathname.split('/').slice(-2).join('/')
    const flags = ['--disable-warning=ExperimentalWarning', '--expose-gc']
    const file = fileURLToPath(module)
    const program = isLean ? converted(file) : file
    this.#child = spawn(process.execPath, [...flags, program, JSON.stringify(order)], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    this.#child.stdin?.on('error', () => {}) // The next wait for a line reports its end.
    createInterface({ input: this.#child.stdout! }).on('line', (line) => this.lines.push(line))
    process.once('exit', this.#end)
  }

  /** Waits for a line that begins with this word, and returns the rest of it. @throws if the process ends first */
  async told(word: string): Promise<string> {
    for (;;) {
      const line = this.lines.find((one) => one === word || one.startsWith(`${word} `))
      if (line !== undefined) return line.slice(word.length + 1)
      const { exitCode, signalCode } = this.#child
      if (exitCode !== null || signalCode !== null)
        throw new Error(`${this.#name} ended with ${exitCode ?? signalCode} and did not print "${word}"`)
      await sleep(LOOK_MS)
    }
  }

  /** Sends a line to the process. */
  tell(line: string): void {
    this.#child.stdin?.write(`${line}\n`)
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    process.off('exit', this.#end)
    const { exitCode, signalCode } = this.#child
    if (exitCode !== null || signalCode !== null) return
    const gone = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await gone
  }
}

/** Writes the module as JavaScript into the built package, where its imports are found, and returns the path. */
function converted(file: string): string {
  const folder = fileURLToPath(new URL('../../dist/bench/', import.meta.url))
  mkdirSync(folder, { recursive: true })
  const path = join(folder, `${basename(file, '.ts')}.mjs`)
  writeFileSync(path, stripTypeScriptTypes(readFileSync(file, 'utf8')))
  return path
}
