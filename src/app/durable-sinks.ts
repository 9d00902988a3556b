import { hostname } from 'node:os'
import { setTimeout } from 'node:timers'
import type { Events } from '../events.ts'
import type { Logger } from '../logger.ts'
import type { Settings } from '../settings/settings.ts'
import type { SpillJournal } from '../sink/sink-observer.ts'
import type { DurableParts } from '../sink/sink-target.ts'
import type { SpillChange, SpillStore } from '../store/sinks/spill-store.ts'
import type { Store } from '../store/store.ts'

interface Parts {
  readonly store: Store
  readonly events: Events
  readonly settings: Settings
  readonly log: Logger
}

/** Connects the sinks with the store and the events. */
export function durableSinks({ store, events, settings, log }: Parts): DurableParts {
  return {
    deadLetters: {
      async add(source, rows) {
        await store.deadRows.add(source, rows)
        const { jobId, runId } = source.batch
        events.emit('sink.dead', { sink: source.sink, jobId, runId, rows: rows.length, reason: rows[0]?.reason ?? '' })
      },
    },
    journal: new SpillNotes(store.spills, log),
    observer: {
      spilling: (event) => events.emit('sink.spilling', event),
      drained: (event) => events.emit('sink.drained', event),
      adopted: (event) => events.emit('sink.adopted', event),
      damaged: (event) => events.emit('sink.damaged', event),
      superseded: (event) => events.emit('sink.superseded', event),
    },
    spillDir: settings.sinks.spillDir,
    app: async () => spillApp(settings.piko.name, await store.spills.identity()),
  }
}

/** Returns the name of an app's spill folder. Apps with different databases never share a folder. */
export function spillApp(name: string, identity: string): string {
  return `${name.replaceAll(/[^\w-]/g, '_').slice(0, 40)}-${identity}`
}

/** Changes are collected for this many milliseconds and then stored together. */
const GATHER_MS = 500

/** Stores how many rows of each run are on this host's disk. It collects many changes into one write, and retries a failed write later. */
class SpillNotes implements SpillJournal {
  readonly #store: SpillStore
  readonly #log: Logger
  readonly #host = hostname()
  #changes = new Map<string, SpillChange>()
  #timer: NodeJS.Timeout | undefined
  #storing: Promise<void> = Promise.resolve()

  constructor(store: SpillStore, log: Logger) {
    this.#store = store
    this.#log = log
  }

  note(change: Parameters<SpillJournal['note']>[0]): void {
    this.#add({ host: this.#host, spilled: 0, sent: 0, bytes: 0, ...change })
    this.#timer ??= setTimeout(() => void this.flushed(), GATHER_MS).unref()
  }

  flushed(): Promise<void> {
    clearTimeout(this.#timer)
    this.#timer = undefined
    return (this.#storing = this.#storing.then(() => this.#flush()))
  }

  async #flush(): Promise<void> {
    const changes = [...this.#changes.values()]
    if (changes.length === 0) return
    this.#changes = new Map()
    try {
      await this.#store.add(changes)
    } catch (error) {
      this.#log.debug({ err: error }, 'the counts of rows on disk could not be stored; the next change stores them too')
      for (const change of changes) this.#add(change)
    }
  }

  #add(change: SpillChange): void {
    const key = JSON.stringify([change.runId, change.sink])
    const known = this.#changes.get(key)
    this.#changes.set(key, {
      ...change,
      spilled: change.spilled + (known?.spilled ?? 0),
      sent: change.sent + (known?.sent ?? 0),
      bytes: change.bytes + (known?.bytes ?? 0),
    })
  }
}
