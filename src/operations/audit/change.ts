import { isObject, propertyOf, safely } from '../../errors-read.ts'
import type { Store } from '../../store/store.ts'
import type { Nouns } from './nouns.ts'

/** The arguments of a call as the caller passed them. They are not checked yet. */
export type CallArguments = readonly unknown[]

/** What a function that reads a state may use. */
export interface Sight {
  readonly nouns: Nouns
  readonly store: Store
}

/** How the audit describes an operation that changes something. If one of the functions throws, the audit row lacks that part. */
export interface Change {
  /** Returns what is changed, such as `run 17`. Default: only the job. */
  readonly target?: (args: CallArguments) => string | undefined
  /** Returns the job of the change. Default: the `jobId` of the state before the change. */
  readonly job?: (args: CallArguments) => string | undefined
  /** Returns what the caller requested. Default: all arguments except the first. */
  readonly request?: (args: CallArguments) => unknown
  /** Reads the state that the change affects. It is called before and after the change. */
  readonly state?: (sight: Sight, args: CallArguments) => Promise<unknown>
  /** Reads the state before the change. Default: `state`. */
  readonly before?: (sight: Sight, args: CallArguments) => Promise<unknown>
  /** Returns the state after the change, from the result of the call. Default: `state`, otherwise the result. */
  readonly after?: (result: unknown, args: CallArguments) => unknown
  /** Returns the target if only the result of the call contains it, such as the number of a new run. */
  readonly made?: (result: unknown) => string | undefined
  /** Whether the call changes nothing. Default: true if its options have `dryRun: true`. */
  readonly isDry?: (args: CallArguments) => boolean
  /** Whether a part of the change may have happened when the call fails. */
  readonly isInParts?: boolean
  /** Whether calls without an actor leave no audit row, because they are the normal work of programs. */
  readonly isWork?: boolean
}

/**
 * `read`: the operation changes nothing. `work`: it is routine work of programs, such as acquiring a lock, and leaves no audit row.
 * Otherwise it is a change, which leaves one audit row.
 */
export type Verb = 'read' | 'work' | Change

/** Reads a field of any value. */
export function fieldOf(value: unknown, name: string): unknown {
  return isObject(value) ? safely(() => propertyOf(value, name), undefined) : undefined
}

/** Returns the first argument, or its id, as a string. */
export function firstId(args: CallArguments): string | undefined {
  const [first] = args
  const id = isObject(first) ? fieldOf(first, 'id') : first
  return typeof id === 'string' || typeof id === 'number' ? String(id) : undefined
}

export function jobOption(args: CallArguments): string | undefined {
  const found = args.map((arg) => fieldOf(arg, 'jobId')).find((id) => typeof id === 'string')
  return found
}

/** Returns only the named fields of an object. Returns any other value unchanged. */
export function pick(value: unknown, names: readonly string[]): unknown {
  if (!isObject(value)) return value
  return Object.fromEntries(names.map((name) => [name, fieldOf(value, name)] as const))
}
