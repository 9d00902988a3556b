import { once } from 'node:events'
import inspector from 'node:inspector'
import { findSourceMap } from 'node:module'
import { fileURLToPath } from 'node:url'
import { isMainThread, Worker } from 'node:worker_threads'
import { threadLoader, threadModule } from '../../thread-module.ts'
import { type Duration } from '../../time/duration.ts'
import { Service, type ServiceOptions } from '../service.ts'
import { intervalOf } from '../timer.ts'
// Not inline: an import that is left without names would still run the thread's code in this one.
import type { BlockReport, RawFrame, WatchdogData } from './watchdog-thread.ts'

/** Lines and columns from 1; those of the source where a source map is known. */
export interface StackFrame {
  readonly functionName: string
  readonly file: string
  readonly line: number
  readonly column: number
}

/** A span in which the event loop did not turn. */
export interface Blocked {
  readonly blockedMs: number
  /** The stack that was seen most often meanwhile, innermost first; empty when it was too short to be seen. */
  readonly stack: readonly StackFrame[]
  /** The function that is to blame: the innermost that is no part of Node or of a dependency. */
  readonly culprit: StackFrame | undefined
}

export interface WatchdogOptions extends ServiceOptions {
  /** A block is reported from this length on. Default `'250ms'`. */
  readonly threshold?: Duration
  /** Called when the block is over. Default: a warning in the log. */
  readonly onBlocked?: (blocked: Blocked) => void
}

/** So many heartbeats in the time of a threshold: a block is measured to within a quarter of it. */
const BEATS_PER_THRESHOLD = 4

/**
 * Says which function blocks the event loop, and for how long: a thread waits for the main thread's heartbeat, and when
 * it fails to come, pauses the main thread through the inspector for the moment that it takes to read its stack.
 *
 * It keeps no process alive. While a debugger is attached, and in a thread, blocks are only measured.
 */
export class Watchdog extends Service {
  readonly #thresholdMs: number
  readonly #onBlocked: (blocked: Blocked) => void

  /** @throws PikoError `DURATION_INVALID`; `RangeError` for no time */
  constructor(options: WatchdogOptions = {}) {
    super(options)
    this.#thresholdMs = intervalOf(options.threshold ?? '250ms', 'threshold')
    this.#onBlocked = options.onBlocked ?? ((blocked) => this.log.warn(blockedText(blocked)))
  }

  protected override async onStart(): Promise<void> {
    const beats = new Int32Array(new SharedArrayBuffer(8))
    const lastBeat = new BigInt64Array(new SharedArrayBuffer(8))
    const beat = (): void => {
      Atomics.store(lastBeat, 0, process.hrtime.bigint())
      Atomics.add(beats, 0, 1)
      Atomics.notify(beats, 0)
    }
    const canPause = isMainThread && inspector.url() === undefined
    const workerData: WatchdogData = { beats, lastBeat, thresholdMs: this.#thresholdMs, canPause }
    const thread = new Worker(threadModule('watchdog-thread', import.meta.url), {
      workerData,
      // None of the process's own options.
      execArgv: [...threadLoader],
      name: 'piko watchdog',
    })
    this.defer(async () => {
      if (thread.threadId === -1) return
      thread.ref()
      const ended = once(thread, 'exit')
      Atomics.store(beats, 1, 1)
      beat()
      await ended
    })
    thread.on('message', (report: BlockReport) => this.#report(report))
    thread.on('error', (error) => this.crash(error))
    thread.unref()
    beat()
    const timer = setInterval(beat, this.#thresholdMs / BEATS_PER_THRESHOLD).unref()
    this.defer(() => clearInterval(timer))
  }

  #report({ blockedMs, samples }: BlockReport): void {
    // The thread looks at the clock between two beats; a beat that was merely late is no block.
    if (this.shouldStop || blockedMs < this.#thresholdMs) return
    const stack = mostSeen(samples).map(stackFrame)
    this.#onBlocked({ blockedMs, stack, culprit: stack.find(isOwnCode) ?? stack[0] })
  }
}

/** `event loop blocked for 3012 ms by parse (/app/src/parse.ts:10:3)`. */
export function blockedText({ blockedMs, culprit }: Blocked): string {
  const by = culprit ? ` by ${culprit.functionName} (${culprit.file}:${culprit.line}:${culprit.column})` : ''
  return `event loop blocked for ${Math.round(blockedMs)} ms${by}`
}

/** The first of the stacks whose innermost own function was seen most often. */
function mostSeen(samples: BlockReport['samples']): readonly RawFrame[] {
  const seen = new Map<string, { count: number; readonly frames: readonly RawFrame[] }>()
  for (const frames of samples) {
    const frame = frames.find((candidate) => isOwnCode({ file: candidate.url })) ?? frames[0]
    const key = `${frame?.url} ${frame?.functionName}`
    const entry = seen.get(key) ?? { count: 0, frames }
    entry.count += 1
    seen.set(key, entry)
  }
  return [...seen.values()].reduce((most, entry) => (entry.count > most.count ? entry : most), { count: 0, frames: [] })
    .frames
}

function isOwnCode({ file }: { readonly file: string }): boolean {
  return file !== '' && !file.startsWith('node:') && !/[\\/]node_modules[\\/]/.test(file)
}

function stackFrame({ functionName, url, line, column }: RawFrame): StackFrame {
  const plain = url.replace(/\?.*$/, '')
  const file = plain.startsWith('file:') ? fileURLToPath(plain) : plain
  const origin = sourceOf(url, line, column)
  return {
    functionName: functionName || '(anonymous)',
    file,
    line: (origin?.line ?? line) + 1,
    column: (origin?.column ?? column) + 1,
  }
}

/** Where a loader such as tsx has left a source map with Node. */
function sourceOf(url: string, line: number, column: number): { line: number; column: number } | undefined {
  const path = url.startsWith('file:') ? fileURLToPath(url.replace(/\?.*$/, '')) : url
  const entry = (findSourceMap(url) ?? findSourceMap(path))?.findEntry(line, column)
  if (!entry || !('originalLine' in entry)) return undefined
  return { line: entry.originalLine, column: entry.originalColumn }
}
