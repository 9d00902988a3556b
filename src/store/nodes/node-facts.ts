import { propertyOf } from '../../errors-read.ts'

/** Facts that a node reports about itself, at most some seconds old. */
export interface NodeFacts {
  /** The version of Piko. */
  readonly version: string
  /** The maximum number of runs that it executes at the same time. */
  readonly slots: number
  /** How many jobs its code has. */
  readonly jobs: number
  /** The ids of these jobs in order, at most 100. */
  readonly jobIds: readonly string[]
  readonly load: NodeLoad
}

export interface NodeLoad {
  /** The processor time of the last seconds, in processors: 1 is one full processor. */
  readonly cpu: number
  /** The memory of the process, in bytes. */
  readonly memory: number
}

export const MAX_JOB_IDS = 100

/** The stored facts of a node. Undefined if it has stored none, or a person has made them unreadable. */
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
