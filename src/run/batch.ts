import { isOneOf } from '../errors-read.ts'
import type { RunError } from './run-error.ts'

/**
 * `creating`: not all runs are stored yet. `cancelling`: its runs are being cancelled. A `BatchEnd` is final, unless a replay of runs makes
 * the batch `running` again.
 */
export type BatchState = 'creating' | 'running' | 'cancelling' | BatchEnd

export type BatchEnd = 'succeeded' | 'failed' | 'cancelled'

const BATCH_ENDS: readonly BatchEnd[] = ['succeeded', 'failed', 'cancelled']

/** Whether a batch in this state has ended. */
export function isBatchEnd(state: string): state is BatchEnd {
  return isOneOf(BATCH_ENDS, state)
}

export const BATCH_STATES: readonly BatchState[] = ['creating', 'running', 'cancelling', ...BATCH_ENDS]

/** How many stored runs of a batch are in each state. */
export interface BatchCounts {
  readonly queued: number
  readonly running: number
  readonly succeeded: number
  readonly failed: number
  readonly cancelled: number
  /** How many runs are missing, so that their results are unknown. Retention deletes no run before its batch has ended. */
  readonly deleted: number
}

/**
 * Returns the final state of a batch whose runs have all ended. A missing run may have failed. An item whose run was never stored was
 * cancelled with the batch. Pure.
 */
export function batchEnd(
  { state, stored, total }: { readonly state: BatchState; readonly stored: number; readonly total: number },
  { failed, cancelled, deleted }: Pick<BatchCounts, 'failed' | 'cancelled' | 'deleted'>,
): BatchEnd {
  if (state === 'cancelling') return 'cancelled'
  if (failed > 0 || deleted > 0) return 'failed'
  return cancelled > 0 || stored < total ? 'cancelled' : 'succeeded'
}

/** What the report of a batch needs to know about a run. */
export interface BatchRun {
  readonly id: number
  /** The index of the run's item in the batch, from 0. */
  readonly item: number
  readonly error: RunError | undefined
}

/** Failed runs of a batch with the same error. */
export interface BatchFailure {
  /**
   * The name and the first line of the message of the error, with `#` in place of numbers and identifiers. `other errors` for the group of
   * all further errors.
   */
  readonly error: string
  readonly code: string | undefined
  readonly count: number
  /** The error of the first of these runs. */
  readonly example: string
  /** The ids of these runs, at most 1,000. */
  readonly runIds: readonly number[]
  /** The indexes of these runs' items in the batch, from 0; in the order of `runIds`. */
  readonly items: readonly number[]
}

const MAX_GROUPS = 100
const MAX_LISTED = 1_000
const MAX_PATTERN = 300
const UNIQUE_WORD = /\b[0-9a-f]{8}-[0-9a-f-]{27,36}\b|\b0x[0-9a-f]+\b|\d+(?:[.,:]\d+)*/gi
const OTHERS = 'other errors'

interface Group extends BatchFailure {
  count: number
  readonly runIds: number[]
  readonly items: number[]
}

/**
 * Groups failures by error, the largest group first. At most 100 different errors have a group of their own. All others share one group.
 */
export class FailureGroups {
  readonly #groups = new Map<string, Group>()

  add({ id, item, error }: BatchRun): void {
    const example = error ? `${error.name}: ${error.message}` : 'no error is stored'
    const pattern = patternOf(example)
    const key = this.#groups.has(pattern) || this.#groups.size < MAX_GROUPS ? pattern : OTHERS
    let group = this.#groups.get(key)
    if (!group)
      this.#groups.set(key, (group = { error: key, code: error?.code, count: 0, example, runIds: [], items: [] }))
    group.count += 1
    if (group.runIds.length === MAX_LISTED) return
    group.runIds.push(id)
    group.items.push(item)
  }

  get list(): BatchFailure[] {
    return [...this.#groups.values()].sort((one, other) => other.count - one.count)
  }
}

/** Matches the attempt number in an HTTP error, because the same error may occur in any attempt. */
const TRIES = / \(attempt #\)/

/** Returns the pattern of the first line, because the other lines differ from run to run. */
function patternOf(text: string): string {
  const [line = ''] = text.slice(0, 10 * MAX_PATTERN).split('\n', 1)
  return line.replaceAll(UNIQUE_WORD, '#').replace(TRIES, '').slice(0, MAX_PATTERN)
}

/** How long runs took, in milliseconds, from the start of the last attempt to its end. */
export interface BatchDurations {
  readonly count: number
  readonly minMs: number
  readonly meanMs: number
  readonly p50Ms: number
  readonly p95Ms: number
  readonly maxMs: number
}

/** Calculates the statistics of durations. Undefined if there are none. Pure. */
export function durationsOf(durations: Iterable<number>): BatchDurations | undefined {
  const sorted = Float64Array.from(durations).sort()
  const at = (share: number): number => sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? 0
  if (sorted.length === 0) return undefined
  const meanMs = Math.round(sorted.reduce((sum, ms) => sum + ms, 0) / sorted.length)
  return { count: sorted.length, minMs: at(0), meanMs, p50Ms: at(0.5), p95Ms: at(0.95), maxMs: at(1) }
}
