import { durationMs } from '../../../src/time/duration.ts'
import type { LaneNote, LeaseOptions, LeasedState, Score } from '../../../src/job/items/item-context.ts'
import type { FetchFleet, FetchScope } from '../../../src/crawl/fetcher.ts'
import { scopeWith } from './fetching.ts'

interface StoredState {
  value: unknown
  uses: number
  errors: number
  isLeased: boolean
  isRetired: boolean
}

/** What items share, kept in this process: the parts of a fetcher are tested without a database. */
export class LocalFleet {
  readonly notes: { readonly name: string; readonly note: LaneNote; readonly until: number }[] = []
  readonly states = new Map<string, StoredState>()
  readonly scored: { readonly name: string; readonly ok: boolean }[] = []
  created = 0
  /** Whether the last failure counts for the lane. */
  isOfLane = true

  /** The part that one item sees, and what ends it. */
  item(): { readonly fleet: FetchFleet; readonly end: () => void } {
    const leased: StoredState[] = []
    const ends: (() => void)[] = []
    const fleet: FetchFleet = {
      lane: {
        ...{ name: 'host', spacingMs: this.#spacingMs, note: (name, load) => this.#note(name, load) },
        turn: async () => true,
        measured: () => {},
        counts: (isOfLane) => void (this.isOfLane = isOfLane),
      },
      state: (pool, options) => this.#lease(pool, options, leased, ends),
      score: (_group, name, { ok }) => void this.scored.push({ name, ok }),
      scores: async () => new Map<string, Score>(),
    }
    const end = (): void => {
      for (const store of ends) store()
      for (const state of leased) state.isLeased = false
    }
    return { fleet, end }
  }

  scope(fleet: FetchFleet, parts: Partial<FetchScope> = {}): FetchScope {
    const { signal, log } = scopeWith()
    return { fleet, signal, log, attempt: 1, failures: {}, ...parts }
  }

  /** What a claim finds with the lane. */
  get #spacingMs(): number {
    return Math.max(0, ...this.notes.map(({ note }) => (note.spacing === undefined ? 0 : durationMs(note.spacing))))
  }

  async #note(name: string, load: (signal: AbortSignal) => Promise<LaneNote>): Promise<string> {
    const known = this.notes.find((one) => one.name === name && one.until > Date.now())
    if (known) return known.note.text
    const note = await load(new AbortController().signal)
    this.notes.push({ name, note, until: Date.now() + durationMs(note.ttl) })
    return note.text
  }

  async #lease<T>(
    pool: string,
    { size, create, name }: LeaseOptions<T>,
    leased: StoredState[],
    ends: (() => void)[],
  ): Promise<LeasedState<T>> {
    const free = [...this.states].find(
      ([key, one]) => !one.isLeased && !one.isRetired && (name === undefined || name === key),
    )
    const live = [...this.states.values()].filter(({ isRetired }) => !isRetired)
    if (!free && live.length >= size) throw new Error('all states are leased')
    const key = free?.[0] ?? `${pool}-${++this.created}`
    const state = free?.[1] ?? {
      value: await create(key, new AbortController().signal),
      uses: 0,
      errors: 0,
      isLeased: true,
      isRetired: false,
    }
    this.states.set(key, state)
    state.isLeased = true
    leased.push(state)
    ends.push(() => (state.uses += 1))
    return {
      name: key,
      value: structuredClone(state.value) as T,
      uses: state.uses,
      errors: state.errors,
      save: (value) => void ends.push(() => (state.value = structuredClone(value))),
      failed: () => void ends.push(() => (state.errors += 1)),
      retire: () => void ends.push(() => (state.isRetired = true)),
    }
  }
}
