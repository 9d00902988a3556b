import { once } from 'node:events'
import inspector from 'node:inspector'
import { findSourceMap } from 'node:module'
import { fileURLToPath } from 'node:url'
import { isMainThread } from 'node:worker_threads'
import { startGuard } from '../../guard-thread.ts'
import type { Duration } from '../../time/duration.ts'
import { aFunction, anything, type OptionChecks } from '../../options.ts'
import { assertOptions, SERVICE_CHECKS } from '../service-options.ts'
import { Service, type ServiceOptions } from '../service.ts'
import { intervalOf } from '../timer.ts'
import { ProcessorTime } from './processor-time.ts'
// `import type` is required. With an inline `type`, the import statement would remain without names, and run the thread's code here.
import type { BlockReport, RawFrame, WatchdogData } from './watchdog-thread.ts'

/** A frame of a stack. Lines and columns start at 1, and refer to the source file if there is a source map. */
export interface StackFrame {
  readonly functionName: string
  readonly file: string
  readonly line: number
  readonly column: number
}

/** A time in which the event loop was blocked. */
export interface Blocked {
  readonly blockedMs: number
  /** The most frequent stack during the block, with the innermost frame first. Empty if the block was too short for a sample. */
  readonly stack: readonly StackFrame[]
  /** The function that blocked: the innermost one outside of Node, Piko and dependencies. Undefined if the stack contains none. */
  readonly culprit: StackFrame | undefined
}

export interface WatchdogOptions extends ServiceOptions {
  /** The minimum length of a block that is reported. Default `'250ms'`. */
  readonly threshold?: Duration
  /** Called after the block. Default: a warning in the log. */
  readonly onBlocked?: (blocked: Blocked) => void
}

const CHECKS: OptionChecks<WatchdogOptions> = { ...SERVICE_CHECKS, threshold: anything, onBlocked: aFunction }

/** How many heartbeats there are per threshold. So the length of a block is accurate to a quarter of the threshold. */
const BEATS_PER_THRESHOLD = 4

/**
 * Finds the function that blocks the event loop, and for how long. A thread waits for the main thread's heartbeats. If one is missing, it
 * pauses the main thread through the inspector, just long enough to read its stack.
 *
 * Only user code is blamed: a block in Node, Piko or a package that no function of the user has called has no culprit. A block on a machine
 * that is starved as a whole is not reported: the time in which the main thread only waited for a processor does not count.
 *
 * The watchdog does not keep the process alive. With a debugger attached, inside a thread, and under `--permission` without
 * `--allow-inspector`, it only measures blocks.
 */
export class Watchdog extends Service {
  readonly #thresholdMs: number
  readonly #onBlocked: (blocked: Blocked) => void

  /** @throws PikoError `SERVICE_INVALID`, `DURATION_INVALID`; `RangeError` for a threshold that is not above 0 */
  constructor(options: WatchdogOptions = {}) {
    assertOptions({ name: new.target.name, isOpen: new.target !== Watchdog }, options, CHECKS)
    super(options)
    this.#thresholdMs = intervalOf(options.threshold ?? '250ms', 'threshold')
    this.#onBlocked = options.onBlocked ?? ((blocked) => this.log.warn(blockedText(blocked)))
  }

  protected override async onStart(): Promise<void> {
    const beats = new Int32Array(new SharedArrayBuffer(8))
    const lastBeat = new BigInt64Array(new SharedArrayBuffer(24))
    const processor = new ProcessorTime()
    this.defer(() => processor.close())
    let before = processor.read()
    const beat = (): void => {
      const times = processor.read()
      Atomics.store(lastBeat, 1, times && before ? times.waited - before.waited : -1n)
      Atomics.store(lastBeat, 2, times?.ran ?? -1n)
      before = times
      Atomics.store(lastBeat, 0, process.hrtime.bigint())
      Atomics.add(beats, 0, 1)
      Atomics.notify(beats, 0)
    }
    const canPause = isMainThread && inspector.url() === undefined && mayInspect()
    const data: WatchdogData = { beats, lastBeat, thresholdMs: this.#thresholdMs, canPause }
    const { port } = startGuard('watchdog-thread', import.meta.url, data, (error) => this.crash(error))
    const ended = once(port, 'close')
    // The thread is told to end and is not terminated, because it must not end while the main thread is paused.
    this.defer(async () => {
      port.ref()
      Atomics.store(beats, 1, 1)
      beat()
      await ended
    })
    port.on('message', (report: BlockReport) => this.#report(report))
    port.unref()
    beat()
    const timer = setInterval(beat, this.#thresholdMs / BEATS_PER_THRESHOLD).unref()
    this.defer(() => clearInterval(timer))
  }

  #report({ blockedMs, starvedMs, samples }: BlockReport): void {
    // A heartbeat may be late although nothing was blocked for as long as the threshold. And the code is not at fault for the time in which
    // the main thread had no processor.
    if (this.shouldStop || blockedMs - starvedMs < this.#thresholdMs) return
    const stack = mostSeen(samples).map(stackFrame)
    this.#onBlocked({ blockedMs, stack, culprit: stack.find(isOwnCode) })
  }
}

/** Whether the process may use the inspector. Node aborts a process under `--permission` that uses it without `--allow-inspector`. */
function mayInspect(): boolean {
  // Node's types always declare `process.permission`, but it exists only under `--permission`.
  const { permission } = process as { readonly permission?: NodeJS.ProcessPermission }
  return permission?.has('inspector') ?? true
}

/** Formats a block, such as `event loop blocked for 3012 ms by parse (/app/src/parse.ts:10:3)`. */
export function blockedText({ blockedMs, culprit }: Blocked): string {
  const by = culprit ? ` by ${culprit.functionName} (${culprit.file}:${culprit.line}:${culprit.column})` : ''
  return `event loop blocked for ${Math.round(blockedMs)} ms${by}`
}

/** The maximum number of frames of a stack that are shown. */
const MAX_SHOWN = 10

/**
 * Returns at most ten frames of a stack: first the user's own, then those of Node and of packages. In both groups, the innermost frame is
 * first.
 */
export function shownFrames(stack: readonly StackFrame[]): readonly StackFrame[] {
  return [...stack.filter(isOwnCode), ...stack.filter((frame) => !isOwnCode(frame))].slice(0, MAX_SHOWN)
}

/**
 * Returns a sample of the most frequent culprit: the innermost function of the user's code, or the innermost function if a sample has none
 * of these.
 */
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

/** The folder of Piko's own modules, as a URL and as a path: `src` or `dist`. */
const PIKO_URL = new URL('../../', import.meta.url).href
const PIKO_PATH = fileURLToPath(PIKO_URL)

function isOwnCode({ file }: { readonly file: string }): boolean {
  if (file === '' || file.startsWith('node:') || file.startsWith(PIKO_URL) || file.startsWith(PIKO_PATH)) return false
  return !/[\\/]node_modules[\\/]/.test(file)
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

/** Returns the position in the source file, if a loader such as tsx has registered a source map with Node. */
function sourceOf(url: string, line: number, column: number): { line: number; column: number } | undefined {
  const path = url.startsWith('file:') ? fileURLToPath(url.replace(/\?.*$/, '')) : url
  const entry = (findSourceMap(url) ?? findSourceMap(path))?.findEntry(line, column)
  if (!entry || !('originalLine' in entry)) return undefined
  return { line: entry.originalLine, column: entry.originalColumn }
}
