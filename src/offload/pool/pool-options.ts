import { availableParallelism, totalmem } from 'node:os'
import type { ResourceLimits } from 'node:worker_threads'
import { PikoError } from '../../errors.ts'
import {
  aTable,
  expecting,
  type OptionCheck,
  type OptionChecks,
  problemsText,
  readOptions,
  unknownOptions,
  wholeNumber,
} from '../../options.ts'
import { type Duration, durationMs, readDuration } from '../../time/duration.ts'
import { memoryBytes, MEMORY_EXPECTED, type MemorySize } from './memory-size.ts'

export interface OffloadOptions {
  /**
   * The maximum number of calls that run at the same time, each in its own thread. Default: the available processors minus one, at least 1.
   */
  readonly size?: number
  /**
   * The memory of each thread: its heap and its buffers. A call that needs more fails with `OFFLOAD_MEMORY`, and its thread ends. Default:
   * half of the machine's or container's memory, divided by `size`, at least 128 MB.
   */
  readonly memory?: MemorySize
  /**
   * The time limit of a call. A call that exceeds it fails with `OFFLOAD_TIMEOUT`, and its thread ends. While the thread is waiting for the
   * reader of its stream, or for items of an argument, the time is not counted. Default: none.
   */
  readonly timeout?: Duration
  /** A thread ends after this time without a call. The next call starts a new thread within tens of milliseconds. Default `'60s'`. */
  readonly idleTimeout?: Duration
  /** Replaces a thread after this number of calls, or when it uses this much memory after a call. Default: never. */
  readonly recycle?: { readonly calls?: number; readonly memory?: MemorySize }
  /** The share of the threads that the runs of one job may use at the same time, from 0 (one thread) to 1 (all threads). Default 1. */
  readonly share?: number
  /** Further V8 limits for each thread. Default: `memory` sets the limits of the heap. */
  readonly resourceLimits?: ResourceLimits
}

/** The options of a pool with all defaults. */
export interface PoolOptions {
  readonly size: number
  readonly memoryBytes: number | undefined
  readonly timeoutMs: number | undefined
  readonly idleTimeoutMs: number
  readonly recycle: { readonly calls: number; readonly memoryBytes: number }
  readonly share: number
  readonly resourceLimits: ResourceLimits
}

const MAX_THREADS = 1_024
// The smallest `memory` option. Measured on Node 24: with a heap of 2 MB, the whole process aborts when a thread starts; with 4 MB it does
// not.
const SMALLEST_MEMORY = '8MB'
/** The size of a thread's heap for young objects. V8's default is three times as large. */
const YOUNG_MB = 16
const MB = 2 ** 20
/**
 * V8 ends the whole process if a single allocation, for example of a long list or string, exceeds the heap limit of a thread by more than
 * 16 MB. So V8's limit is this much larger than the pool's `memory`, and `MemoryWatch` enforces the pool's limit. This reserves no memory.
 */
const HEADROOM_MB = 1_024

export const aDuration: OptionCheck = (value) => {
  const reading = readDuration(value)
  return 'ms' in reading ? undefined : expecting(reading.expected, () => false)(value)
}

export const aPriority = expecting('a number', (value) => typeof value === 'number' && Number.isFinite(value))

const aMemory: OptionCheck = expecting(
  `${MEMORY_EXPECTED}, from ${SMALLEST_MEMORY}`,
  (value) => (memoryBytes(value) ?? 0) >= (memoryBytes(SMALLEST_MEMORY) ?? 0),
)

const RECYCLE: OptionChecks<NonNullable<OffloadOptions['recycle']>> = { calls: wholeNumber(1), memory: aMemory }
const LIMITS = ['maxOldGenerationSizeMb', 'maxYoungGenerationSizeMb', 'codeRangeSizeMb', 'stackSizeMb']

export const POOL_CHECKS = {
  size: wholeNumber(1, MAX_THREADS),
  memory: aMemory,
  timeout: aDuration,
  idleTimeout: aDuration,
  recycle: (value) => {
    const { problems } = readOptions(value, RECYCLE, '{ calls: 1_000 }')
    return problems.length === 0 ? undefined : `has a problem: ${problems.join(', ')}`
  },
  share: expecting('a number from 0 to 1', (value) => typeof value === 'number' && value >= 0 && value <= 1),
  resourceLimits: (value) =>
    aTable(value) ??
    unknownOptions(value as object, LIMITS, 'resourceLimits.')[0] ??
    smallHeap(value as ResourceLimits),
} satisfies OptionChecks<OffloadOptions>

function smallHeap({ maxOldGenerationSizeMb = 8 }: ResourceLimits): string | undefined {
  return maxOldGenerationSizeMb >= 8
    ? undefined
    : `has a problem: maxOldGenerationSizeMb is ${maxOldGenerationSizeMb}; expected a number from 8`
}

/**
 * Returns the options with their defaults.
 *
 * @throws PikoError `SETTINGS_INVALID` with all problems
 */
export function poolOptions(given: OffloadOptions): PoolOptions {
  const { options, problems } = readOptions<OffloadOptions>(given, POOL_CHECKS, '{ size: 4 }')
  if (problems.length > 0)
    throw new PikoError('SETTINGS_INVALID', problemsText('offload', problems), { details: { problems } })
  return withDefaults(options)
}

export function withDefaults(options: OffloadOptions): PoolOptions {
  const { size = Math.max(1, availableParallelism() - 1), timeout, idleTimeout = '60s', recycle, share = 1 } = options
  const bytes = memoryBytes(options.memory) ?? defaultMemory(size)
  return {
    size,
    share,
    memoryBytes: bytes,
    timeoutMs: timeout === undefined ? undefined : durationMs(timeout),
    idleTimeoutMs: durationMs(idleTimeout),
    recycle: { calls: recycle?.calls ?? Infinity, memoryBytes: memoryBytes(recycle?.memory) ?? Infinity },
    resourceLimits: {
      maxOldGenerationSizeMb: Math.floor(bytes / MB) + HEADROOM_MB,
      maxYoungGenerationSizeMb: Math.min(YOUNG_MB, Math.ceil(bytes / MB / 4)),
      ...options.resourceLimits,
    },
  }
}

function defaultMemory(size: number): number {
  const available = Math.min(totalmem(), process.constrainedMemory() || Infinity)
  return Math.max(128 * MB, Math.floor(available / 2 / size))
}
