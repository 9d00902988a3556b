import {
  sharedDefinitions,
  type SharedDefinition,
  type SharedHandle,
  type SharedReach,
  type SharedReason,
  type SharedText,
  type SharedTopic,
} from '../../job/shared-value.ts'
import { PikoError } from '../../errors.ts'
import type { Events } from '../../events.ts'
import { MAX_VALUE_BYTES } from '../../json/json.ts'
import type { StopReason } from '../../service/lifecycle-parts.ts'
import type { SharedStore } from '../../store/shared/shared-store.ts'
import { changing } from '../refused-changes.ts'
import { LoopService, type LoopServiceParts } from '../loop/loop-service.ts'
import type { LiveSettings } from './live-settings.ts'

export interface SharedValuesParts extends LoopServiceParts {
  readonly store: SharedStore
  /** The id of this node; undefined in a process that executes no runs. */
  readonly nodeId: () => string | undefined
  readonly maxBytes: () => number
  /** Tells the other nodes about a new version. */
  readonly tell: (topic: string, version: number) => void
  readonly live: Pick<LiveSettings, 'pollIntervalMs'>
  readonly events: Events
}

/** Old versions are deleted only after every tenth publication. If fewer versions than this are kept, they are deleted after each one. */
const PRUNE_EVERY = 10
const FIRST_VERSION = 1

/**
 * The shared values of this process. Each poll finds new versions of all topics that the process has defined, with one query. Without
 * topics, there is no query. A message from another node only starts the next poll earlier, so a lost message only causes a delay.
 */
export class SharedValues extends LoopService {
  readonly #parts: SharedValuesParts
  /** The newest stored version of each topic. */
  readonly #stored = new Map<string, SharedText>()
  readonly #opened = new Map<SharedDefinition<unknown, never>, SharedTopic<unknown, never>>()
  /** The topics with old versions. Each has the newest version to delete. */
  readonly #old = new Map<string, number>()
  readonly #stopped = new AbortController()

  constructor(parts: SharedValuesParts) {
    super('shared-values', parts)
    this.#parts = parts
  }

  /** Aborts when the app stops. */
  get stopped(): AbortSignal {
    return this.#stopped.signal
  }

  /** Returns a handle to a shared value. @param signal ends all waits of this handle */
  handle<T, I>(definition: SharedDefinition<T, I>, signal?: AbortSignal): SharedHandle<T, I> {
    const known = this.#opened.get(definition)
    return ((known ?? this.#open(definition)) as SharedTopic<T, I>).handle(signal)
  }

  /** Why this process does not use the newest version of some values; undefined if it uses all. */
  get refusals(): string | undefined {
    const refused = [...this.#opened].flatMap(([{ topic }, { refusal }]) =>
      refusal ? `"${topic}" version ${refusal.version} is refused: ${refusal.error.message}` : [],
    )
    return refused.length === 0 ? undefined : refused.join('; ')
  }

  /** Polls soon if another node reports a version that is new here. */
  told(topic: string, version: number): void {
    if (version > this.#versionOf(topic)) this.wake()
  }

  #open<T, I>(definition: SharedDefinition<T, I>): SharedTopic<T, I> {
    const { topic } = definition
    const opened = definition.open(this.#reach(topic))
    const stored = this.#stored.get(topic)
    if (stored) opened.take(stored)
    this.#opened.set(definition, opened)
    if (!stored) this.wake()
    return opened
  }

  #reach(topic: string): SharedReach {
    const { store, clock, maxBytes, events } = this.#parts
    return {
      clock,
      maxBytes: Math.min(MAX_VALUE_BYTES, maxBytes()),
      stopped: this.#stopped.signal,
      refresh: (name) => this.#read([name]),
      append: (row) => changing(`a version of "${topic}"`, 'piko_shared', () => this.#append(row)),
      history: (name, limit, before) => store.history(name, limit, before),
      find: (name, version) => store.find(name, version),
      changed: (name, version) => events.emit('shared.changed', { topic: name, version }),
      refused: (name, version, inForce, error) =>
        events.emit('shared.refused', { topic: name, version, inForce, error }),
    }
  }

  async #append(row: SharedText & SharedReason & { readonly topic: string; readonly keep: number }): Promise<boolean> {
    const { store, nodeId, tell } = this.#parts
    const { topic, version, text, reason, keep } = row
    if (!(await store.append({ topic, version, text, reason, nodeId: nodeId() }))) return false
    if (version === FIRST_VERSION) return true
    this.#take(topic, { version, text })
    tell(topic, version)
    if (version > keep && (keep < PRUNE_EVERY || version % PRUNE_EVERY === 0)) {
      this.#old.set(topic, version - keep)
      this.wake()
    }
    return true
  }

  #versionOf(topic: string): number {
    return this.#stored.get(topic)?.version ?? FIRST_VERSION
  }

  #take(topic: string, stored: SharedText): void {
    if (stored.version <= this.#versionOf(topic)) return
    this.#stored.set(topic, stored)
    for (const [definition, opened] of this.#opened) if (definition.topic === topic) opened.take(stored)
  }

  /** Reads the newest versions of these topics. Reads the values only of versions that are new here. */
  async #read(topics: readonly string[]): Promise<void> {
    const { store } = this.#parts
    for (const [topic, version] of await store.versions(topics)) {
      if (version <= this.#versionOf(topic)) continue
      const text = await store.find(topic, version)
      // If the version was deleted, there is a newer one. The next poll finds it.
      if (text !== undefined) this.#take(topic, { version, text })
    }
  }

  /** Loads the values before any run begins. */
  protected override async onStart(): Promise<void> {
    await this.#poll()
    await super.onStart()
  }

  protected override async onStop(why: StopReason): Promise<void> {
    if (why !== 'crash')
      this.#stopped.abort(new PikoError('STOPPED', 'this app is stopping, so its shared values are no longer updated'))
    await super.onStop()
  }

  protected override async step(): Promise<number> {
    // The poll comes first: if a deletion fails, for example because of missing privileges, new versions must still be found.
    const isAny = await this.#poll()
    for (const [topic, upTo] of [...this.#old]) {
      await this.#parts.store.prune(topic, upTo)
      if (this.#old.get(topic) === upTo) this.#old.delete(topic)
    }
    return isAny ? this.#parts.live.pollIntervalMs : Infinity
  }

  /** Reads new versions of all topics. @returns false if there are no topics */
  async #poll(): Promise<boolean> {
    const topics = new Set([...sharedDefinitions, ...this.#opened.keys()].map(({ topic }) => topic))
    if (topics.size === 0) return false
    await this.#read([...topics])
    return true
  }
}
