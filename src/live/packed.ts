import type { RunState } from '../run/run.ts'
import type { LiveChange, LiveEvent, RunChange, WindowChange } from './live-event.ts'

type RunFacts = Pick<RunChange, 'runAt' | 'error' | 'isCancelRequested'>

/** A run of a {@link RunGroup}: its id, its attempt, and further facts if they are known. */
export type PackedRun = readonly [runId: number, attempt: number, facts?: RunFacts]

/** Runs of one job that changed to the same state together. */
export interface RunGroup {
  readonly runs: readonly PackedRun[]
  readonly jobId: string
  readonly state: RunState
  readonly nodeId?: string | undefined
}

/** A window: its bounds in milliseconds since the epoch, its state and its run. */
export type PackedWindow = readonly [startMs: number, endMs: number, state: WindowChange['state'], runId?: number]

/** Windows of one job that changed together. */
export interface WindowGroup {
  readonly windows: readonly PackedWindow[]
  readonly jobId: string
}

/** Changes that were stored together. A group of many runs needs much less space than separate events. */
export type Packed = RunGroup | WindowGroup | LiveChange

/** Returns the number of events in a group. */
export function sizeOf(packed: Packed): number {
  if ('runs' in packed) return packed.runs.length
  return 'windows' in packed ? packed.windows.length : 1
}

/** Splits a group into parts of at most `max` events. */
export function* parts(packed: Packed, max: number): Generator<Packed> {
  if (sizeOf(packed) <= max) yield packed
  else if ('runs' in packed)
    for (let at = 0; at < packed.runs.length; at += max) yield { ...packed, runs: packed.runs.slice(at, at + max) }
  else if ('windows' in packed)
    for (let at = 0; at < packed.windows.length; at += max)
      yield { ...packed, windows: packed.windows.slice(at, at + max) }
}

/**
 * Returns the events of a stored row. A person may have edited the row, so groups that can't be read are left out.
 *
 * @param first the id of the row's first event
 */
export function unpack(body: string, first: number, at: string): LiveEvent[] {
  const groups = groupsOf(body)
  const events: LiveEvent[] = []
  let id = first
  for (const group of groups) {
    for (const change of changesOf(group)) {
      events.push({ id, at, ...change })
      id += 1
    }
  }
  return events
}

function groupsOf(body: string): readonly Packed[] {
  try {
    const groups: unknown = JSON.parse(body)
    return Array.isArray(groups) ? (groups as unknown[]).filter(isGroup) : []
  } catch {
    // A row that a person has edited must not stop the readers.
    return []
  }
}

function isGroup(group: unknown): group is Packed {
  if (typeof group !== 'object' || group === null) return false
  if ('runs' in group) return Array.isArray(group.runs)
  return 'windows' in group ? Array.isArray(group.windows) : 'kind' in group
}

function* changesOf(group: Packed): Generator<LiveChange> {
  if ('runs' in group) {
    const { jobId, state, nodeId } = group
    for (const [runId, attempt, facts] of group.runs)
      yield { kind: 'run', runId, jobId, state, attempt, ...(nodeId !== undefined && { nodeId }), ...facts }
  } else if ('windows' in group) {
    const { jobId } = group
    for (const [start, end, state, runId] of group.windows) {
      const bounds = { start: new Date(start).toISOString(), end: new Date(end).toISOString() }
      yield { kind: 'window', jobId, ...bounds, state, ...(runId !== undefined && { runId }) }
    }
  } else yield group
}
