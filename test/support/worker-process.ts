import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'
import type { CrawlNodeOrder } from '../fixtures/crawl/node.ts'
import type { WriterOrder } from '../fixtures/sinks/writer-order.ts'
import type { SyncOrder } from '../fixtures/sync/node-order.ts'
import type { FleetOrder } from '../fixtures/engine/fleet-order.ts'
import type { FrozenOrder } from '../fixtures/engine/frozen-order.ts'
import type { PoolsOrder } from '../fixtures/engine/pools-order.ts'
import type { StepOrder } from '../fixtures/engine/step-order.ts'
import type { VersionOrder } from '../fixtures/engine/version-node.ts'
import type { WorkerOrder } from '../fixtures/engine/worker-order.ts'
import type { SettingsOverrides } from '../../src/settings/settings.ts'
import { eventually } from './app.ts'
import { cleanEnv, SOURCE_FLAGS } from './source-process.ts'

const scriptOf = (name: string): string => fileURLToPath(new URL(`../fixtures/${name}.ts`, import.meta.url))

interface NoticeOrder extends ItemsOrder {
  readonly url: string
}

interface ItemsOrder {
  readonly settings: SettingsOverrides
}

/** An app in its own process, which a test can kill. */
export class WorkerProcess {
  readonly lines: string[] = []
  readonly #child: ChildProcess
  readonly #ended: Promise<unknown>
  #stderr = ''

  constructor(order: WorkerOrder)
  constructor(order: StepOrder, script: 'engine/steps')
  constructor(order: WriterOrder, script: 'sinks/writer')
  constructor(order: SyncOrder, script: 'sync/node')
  constructor(order: ItemsOrder, script: 'engine/items')
  constructor(order: CrawlNodeOrder, script: 'crawl/node')
  constructor(order: FrozenOrder, script: 'engine/frozen')
  constructor(order: PoolsOrder, script: 'engine/pools')
  constructor(order: NoticeOrder, script: 'engine/noticed')
  constructor(order: FleetOrder, script: 'engine/fleet-node')
  constructor(order: NoticeOrder, script: 'telemetry/traced-node')
  constructor(order: VersionOrder, script: 'engine/version-node')
  constructor(
    order:
      | WorkerOrder
      | StepOrder
      | WriterOrder
      | SyncOrder
      | ItemsOrder
      | CrawlNodeOrder
      | FrozenOrder
      | PoolsOrder
      | NoticeOrder
      | FleetOrder
      | VersionOrder,
    script = 'engine/worker',
  ) {
    this.#child = spawn(process.execPath, [...SOURCE_FLAGS, scriptOf(script), JSON.stringify(order)], {
      env: cleanEnv(),
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.#ended = once(this.#child, 'close')
    onTestFinished(() => void this.#child.kill('SIGKILL'))
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.#stderr += text))
    createInterface(this.#child.stdout!).on('line', (line) => this.lines.push(line))
  }

  /** Resolves once this many lines begin with this text. */
  async told(beginning: string, count = 1): Promise<void> {
    await eventually(() => {
      const found = this.lines.filter((line) => line.startsWith(beginning)).length
      if (found < count)
        throw new Error(`"${beginning}" was told ${found} times:\n${this.lines.join('\n')}\n${this.#stderr}`)
    })
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  /** SIGKILL, as a crash. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.#ended
  }

  /** Its exit code, or the signal that ended it. */
  async end(): Promise<{ code: number | NodeJS.Signals | null; stderr: string }> {
    await this.#ended
    return { code: this.#child.exitCode ?? this.#child.signalCode, stderr: this.#stderr }
  }
}
