import { readArguments } from './arguments.ts'
import { describe, PikoError } from '../errors.ts'
import { isObject, propertyOf } from '../errors-read.ts'
import {
  sharedDefinitions,
  type SharedDefinition,
  type SharedHandle,
  type SharedHistory,
  type SharedReason,
  type SharedRecord,
} from '../job/shared-value.ts'
import { aText, expecting, type OptionChecks, wholeNumber } from '../options.ts'
import type { SharedSummary } from '../store/shared/shared-store.ts'
import { Callable } from './callable.ts'
import type { Reach } from './reach.ts'

/** A definition, or the topic of one. */
export type SharedRef = string | SharedDefinition<unknown, never>

export interface SharedFilter {
  /** The maximum number of topics. Default 100. */
  readonly limit?: number
  /** Selects only topics whose names come after this one, such as the last name of the previous page. */
  readonly after?: string
}

/** Returns a handle to the value of a definition; see {@link Shared}. */
export type SharedCall = <T, I>(definition: SharedDefinition<T, I>) => SharedHandle<T, I>

type Reached = () => Pick<Reach, 'store' | 'shared'>

const MAX_HISTORY = 100
const aTopic = expecting('what defineShared returned, or its topic', (value) => topicOf(value) !== undefined)
const REASON = { reason: aText } satisfies OptionChecks<SharedReason>

/**
 * `app.shared`: values that all nodes share. Called as a function with a definition from `defineShared`, it returns a handle to the value.
 * Its methods read the stored versions of all topics, and publish to topics that this process defines.
 */
export class Shared extends Callable {
  readonly #reach: Reached

  constructor(reach: Reached) {
    super(<T, I>(definition: SharedDefinition<T, I>) => reach().shared.handle(asDefinition(definition)))
    this.#reach = reach
  }

  /** Lists the topics with a stored version, each with its newest version, by name. */
  async list(filter: SharedFilter = {}): Promise<SharedSummary[]> {
    const form = { call: 'app.shared.list', checks: { limit: wholeNumber(0), after: aText }, example: '{ limit: 10 }' }
    const { limit = 100, after } = readArguments<SharedFilter>(form, {}, filter)
    return this.#reach().store.shared.list(limit, after)
  }

  /** Returns the newest stored version of a topic. Undefined if none is stored; then the initial value applies. */
  async show(topic: SharedRef): Promise<SharedRecord | undefined> {
    const [newest] = await this.history(topic, { limit: 1 })
    return newest
  }

  /** Returns the stored versions of a topic, newest first. */
  async history(topic: SharedRef, options: SharedHistory = {}): Promise<SharedRecord[]> {
    const form = {
      call: 'app.shared.history',
      checks: { limit: wholeNumber(1, MAX_HISTORY), before: wholeNumber(1) },
      example: '{ limit: 10 }',
    }
    const { limit = 20, before } = readArguments<SharedHistory>(form, { topic: [topic, aTopic] }, options)
    return this.#reach().store.shared.history(topicOf(topic) ?? '', limit, before)
  }

  /**
   * Adds a version, after the schema of its definition has accepted the value.
   *
   * @returns the new version
   * @throws PikoError `SHARED_UNKNOWN` if this process defines no such topic, `SHARED_INVALID`, `SHARED_CONTENDED`, `CHANGE_REFUSED`,
   * `USAGE`
   */
  async publish(topic: SharedRef, value: unknown, options: SharedReason = {}): Promise<number> {
    const form = { call: 'app.shared.publish', checks: REASON, example: "{ reason: 'sale' }" }
    const reason = readArguments<SharedReason>(form, { topic: [topic, aTopic] }, options)
    return this.#handle(topic).publish(value as never, reason)
  }

  /**
   * Publishes the content of an earlier version again.
   *
   * @returns the new version
   * @throws PikoError `SHARED_UNKNOWN` if this process defines no such topic, or the version is not stored, `SHARED_INVALID`,
   * `SHARED_CONTENDED`, `CHANGE_REFUSED`, `USAGE`
   */
  async rollback(topic: SharedRef, version: number, options: SharedReason = {}): Promise<number> {
    const form = { call: 'app.shared.rollback', checks: REASON, example: "{ reason: 'sale is over' }" }
    const reason = readArguments<SharedReason>(
      form,
      { topic: [topic, aTopic], version: [version, wholeNumber(1)] },
      options,
    )
    return this.#handle(topic).rollback(version, reason)
  }

  #handle(ref: SharedRef): SharedHandle<unknown, never> {
    const found = typeof ref === 'string' ? [...sharedDefinitions].findLast(({ topic }) => topic === ref) : ref
    if (found) return this.#reach().shared.handle(found)
    throw new PikoError(
      'SHARED_UNKNOWN',
      `no module that is loaded here defines the shared value ${describe(ref)}, so its schema is unknown; load the module that calls defineShared`,
      { details: { topic: ref } },
    )
  }
}

/** Checks that a value is a definition from `defineShared`. @throws PikoError `USAGE` */
function asDefinition<T, I>(definition: SharedDefinition<T, I>): SharedDefinition<T, I> {
  if (isObject(definition) && typeof propertyOf(definition, 'open') === 'function') return definition
  throw new PikoError('USAGE', `the shared value is ${describe(definition)}; expected what defineShared returned`)
}

function topicOf(ref: unknown): string | undefined {
  const topic = typeof ref === 'string' ? ref : propertyOf(ref, 'topic')
  return typeof topic === 'string' && /^[\w.:/-]{1,128}$/.test(topic) ? topic : undefined
}
