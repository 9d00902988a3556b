import { isObject, propertyOf, safely } from '../../errors-read.ts'
import type { Store } from '../../store/store.ts'
import type { Nouns } from './nouns.ts'

/** The arguments of a call, as the caller gave them: not checked yet. */
export type CallArguments = readonly unknown[]

/** The objects that the functions that read states may use. */
export interface Sight {
  readonly nouns: Nouns
  readonly store: Store
}

/** How the audit describes a verb that changes something. Its functions may throw; the audit row then lacks that part. */
export interface Change {
  /** The object that is changed, such as `run 17`. Default: only the job. */
  readonly target?: (args: CallArguments) => string | undefined
  /** The job that it concerns. Default: the `jobId` of the state before or of the result. */
  readonly job?: (args: CallArguments) => string | undefined
  /** The request of the caller. Default: all arguments after the first. */
  readonly request?: (args: CallArguments) => unknown
  /** The state that the change affects, read before it and after it. */
  readonly state?: (sight: Sight, args: CallArguments) => Promise<unknown>
  /** The state before the change, if its form differs from that of the state after it. */
  readonly before?: (sight: Sight, args: CallArguments) => Promise<unknown>
  /** The state after the change, from the result of the call. Default: `state`, otherwise the result. */
  readonly after?: (result: unknown, args: CallArguments) => unknown
  /** The target, if only the result of the call names it, such as the number of a new run. */
  readonly made?: (result: unknown) => string | undefined
  /** Whether the call changes nothing. Default: whether its options have `dryRun: true`. */
  readonly isDry?: (args: CallArguments) => boolean
  /** Whether the change may be partly done when it fails. */
  readonly isInParts?: boolean
  /** Whether code that names no actor leaves no row, because such calls are the normal work of programs. */
  readonly isWork?: boolean
}

/**
 * `read`: changes nothing. `work`: routine work of programs, such as taking a lock, which leaves no audit row. A change leaves one audit
 * row.
 */
export type Verb = 'read' | 'work' | Change

/** Reads a field of a value of any kind. */
export function fieldOf(value: unknown, name: string): unknown {
  return isObject(value) ? safely(() => propertyOf(value, name), undefined) : undefined
}

/** The first argument, or its id, as text. */
export function firstId(args: CallArguments): string | undefined {
  const [first] = args
  const id = isObject(first) ? fieldOf(first, 'id') : first
  return typeof id === 'string' || typeof id === 'number' ? String(id) : undefined
}

export function jobOption(args: CallArguments): string | undefined {
  const found = args.map((arg) => fieldOf(arg, 'jobId')).find((id) => typeof id === 'string')
  return found
}

/** Some fields of a value. */
export function pick(value: unknown, names: readonly string[]): unknown {
  if (!isObject(value)) return value
  return Object.fromEntries(names.map((name) => [name, fieldOf(value, name)] as const))
}
