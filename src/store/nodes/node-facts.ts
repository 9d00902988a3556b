import { propertyOf } from '../../errors-read.ts'

/** Facts that a node reports about itself. They are at most a few seconds old. */
export interface NodeFacts {
  /** The version of Piko. */
  readonly version: string
  /** The maximum number of runs that the node executes at the same time. */
  readonly slots: number
  /** How many jobs the node's code contains. */
  readonly jobs: number
  /** The ids of these jobs, sorted, at most 100. */
  readonly jobIds: readonly string[]
  readonly load: NodeLoad
}

export interface NodeLoad {
  /** The CPU usage over the last few seconds: 1 is one CPU core in full use. */
  readonly cpu: number
  /** The memory of the process, in bytes. */
  readonly memory: number
}

export const MAX_JOB_IDS = 100

/** Parses the stored facts of a node. Undefined if it has stored none, or a person has made them unreadable. */
export function factsOf(text: string | null): NodeFacts | undefined {
  try {
    const facts: unknown = JSON.parse(text ?? 'null')
    return isFacts(facts) ? facts : undefined
  } catch {
    return undefined
  }
}

function isFacts(value: unknown): value is NodeFacts {
  const has = (name: string, type: string): boolean => typeof propertyOf(value, name) === type
  const load = propertyOf(value, 'load')
  const ids = propertyOf(value, 'jobIds')
  return (
    has('version', 'string') &&
    has('slots', 'number') &&
    has('jobs', 'number') &&
    Array.isArray(ids) &&
    ids.every((id) => typeof id === 'string') &&
    typeof propertyOf(load, 'cpu') === 'number' &&
    typeof propertyOf(load, 'memory') === 'number'
  )
}

/** Parses the stored digests of a node's jobs, by job id. Undefined if it has stored none, or a person has made them unreadable. */
export function digestsOf(text: string | null): Readonly<Record<string, string>> | undefined {
  try {
    const digests: unknown = JSON.parse(text ?? 'null')
    if (typeof digests !== 'object' || digests === null) return undefined
    return Object.fromEntries(Object.keys(digests).map((id) => [id, String(propertyOf(digests, id))]))
  } catch {
    return undefined
  }
}
