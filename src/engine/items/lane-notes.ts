import { LRUCache } from 'lru-cache'
import { describe, isObject, propertyOf } from '../../errors-read.ts'
import { PikoError } from '../../errors.ts'
import type { LaneNote } from '../../job/items/item-context.ts'
import type { ItemStore } from '../../store/items/item-store.ts'
import { MAX_STORED_MS, readDuration } from '../../time/duration.ts'
import type { Clock } from '../../clock.ts'
import type { Locks } from '../attempt/locks.ts'

const MAX_NOTES = 5_000
/** The maximum total length of the notes that this process caches, in characters. */
const MAX_KNOWN_CHARACTERS = 50_000_000
const MAX_NOTE_CHARACTERS = 1_000_000
/** How long an item waits for a note that another node loads. */
const WAIT = '60s'

export interface LaneNotesParts {
  readonly store: Pick<ItemStore, 'note' | 'saveNote'>
  readonly locks: Pick<Locks, 'acquire'>
  readonly clock: Clock
}

type Load = (signal: AbortSignal) => Promise<LaneNote>

/** Notes that are stored with lanes for all nodes. Only one node loads each note. */
export class LaneNotes {
  readonly #parts: LaneNotesParts
  readonly #known = new LRUCache<string, { readonly text: string; readonly until: number }>({
    max: MAX_NOTES,
    maxSize: MAX_KNOWN_CHARACTERS,
    sizeCalculation: ({ text }) => 1 + text.length,
  })
  readonly #loading = new Map<string, Promise<string>>()

  constructor(parts: LaneNotesParts) {
    this.#parts = parts
  }

  async get(laneId: number, name: string, load: Load, signal: AbortSignal): Promise<string> {
    const key = `${laneId}/${name}`
    for (;;) {
      const known = this.#known.get(key)
      if (known && known.until > this.#parts.clock.monotonic()) return known.text
      const loading = this.#loading.get(key)
      if (!loading) break
      // The other item's load may fail; then this item loads the note itself.
      await loading.catch(() => undefined)
      signal.throwIfAborted()
    }
    const loaded = this.#load(key, laneId, name, load, signal)
    this.#loading.set(key, loaded)
    try {
      return await loaded
    } finally {
      this.#loading.delete(key)
    }
  }

  async #load(key: string, laneId: number, name: string, load: Load, signal: AbortSignal): Promise<string> {
    const { store, locks } = this.#parts
    const stored = await store.note(laneId, name)
    if (stored) return this.#keep(key, stored.text, stored.leftMs)
    const lock = await locks.acquire(`lane-note:${laneId}:${hashOf(name)}`, { ttl: '30s', wait: WAIT, signal })
    try {
      const byAnother = await store.note(laneId, name)
      if (byAnother) return this.#keep(key, byAnother.text, byAnother.leftMs)
      const note = readNote(await load(AbortSignal.any([signal, lock.lost])))
      lock.lost.throwIfAborted()
      await store.saveNote(laneId, name, note)
      return this.#keep(key, note.text, note.ttlMs)
    } finally {
      await lock.release()
    }
  }

  #keep(key: string, text: string, leftMs: number): string {
    this.#known.set(key, { text, until: this.#parts.clock.monotonic() + leftMs })
    return text
  }
}

function readNote(given: unknown): {
  readonly text: string
  readonly ttlMs: number
  readonly delayMs: number | undefined
} {
  const [text, ttl, spacing] = ['text', 'ttl', 'spacing'].map((name) => propertyOf(given, name))
  const ttlRead = readDuration(ttl, MAX_STORED_MS)
  const spacingRead = spacing === undefined ? { ms: undefined } : readDuration(spacing, MAX_STORED_MS)
  const isFine = isObject(given) && typeof text === 'string' && text.length <= MAX_NOTE_CHARACTERS
  if (isFine && 'ms' in ttlRead && 'ms' in spacingRead) return { text, ttlMs: ttlRead.ms, delayMs: spacingRead.ms }
  throw new PikoError('USAGE', `the note of a lane is ${describe(given)}; expected { text, ttl: '1d', spacing: '2s' }`)
}

/** Encodes a note's name for the name of a lock. Lock names are short and allow only some characters. */
function hashOf(name: string): string {
  return Buffer.from(name).toString('base64url').slice(0, 80)
}
