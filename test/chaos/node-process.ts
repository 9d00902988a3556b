import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { createRequire } from 'node:module'
import { createInterface } from 'node:readline'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { type NodeOrder } from './node-order.ts'

const TSX = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href
const beside = (file: string): string => fileURLToPath(new URL(file, import.meta.url))

/** A node of the chaos suite as a process, started anew whenever it is gone, as an orchestrator of containers would. */
export class NodeProcess {
  readonly #order: NodeOrder
  readonly #logFile: string
  readonly #preload: readonly string[]
  readonly #env: Readonly<Record<string, string>>
  #child: ChildProcess | undefined
  #isWanted = false
  /** Ends that nobody asked for. */
  crashes = 0
  /** Runs that this node's processes found lost. */
  lost = 0

  /** @param preload modules that are loaded before the node's own, in each of its threads */
  constructor(
    order: NodeOrder,
    options: { logFile: string; preload?: readonly string[]; env?: Readonly<Record<string, string>> },
  ) {
    this.#order = order
    this.#logFile = options.logFile
    this.#preload = [beside('skew.ts'), ...(options.preload ?? []).map(beside)]
    this.#env = options.env ?? {}
  }

  /** Starts a process whose clock is `skewMs` ahead. */
  start(skewMs: number): void {
    this.#isWanted = true
    const inherited = Object.entries(process.env).filter(([name]) => !/^(?:PIKO_|VITEST|NODE_OPTIONS)/.test(name))
    const imports = [TSX, ...this.#preload.map((file) => pathToFileURL(file).href)].flatMap((url) => ['--import', url])
    const child = spawn(
      process.execPath,
      ['--conditions=piko-source', ...imports, beside('node.ts'), JSON.stringify(this.#order)],
      {
        env: { ...Object.fromEntries(inherited), CHAOS_SKEW_MS: String(skewMs), ...this.#env },
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    )
    this.#child = child
    const log = createWriteStream(this.#logFile, { flags: 'a' })
    child.stderr.pipe(log, { end: false })
    createInterface(child.stdout).on('line', (line) => {
      if (line.startsWith('lost ')) this.lost += 1
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

  /** Ends the process with a signal and resolves when it is gone; after 20 s it is killed. */
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
