import { randomUUID } from 'node:crypto'
import { access, mkdir, rename, rm, rmdir } from 'node:fs/promises'
import { resolve } from 'node:path'
import { setInterval } from 'node:timers'
import { systemClock } from '../../clock.ts'
import { headline } from '../../errors-read.ts'
import { PikoError } from '../../errors.ts'
import type { Logger } from '../../logger.ts'
import type { SinkObserver, SpillJournal } from '../sink-observer.ts'
import type { SpillPolicy } from '../sink-policy.ts'
import { DiskSpill } from './disk-spill.ts'
import { lockFolder } from './folder-lock.ts'
import { namesIn } from './on-disk.ts'
import { Segment } from './segment.ts'
import { sinkFolder } from './sink-folder.ts'
import { syncFolder } from './segment-writer.ts'

/** How often a process searches for batches that ended processes have left on disk. */
const ADOPT_EVERY_MS = 10_000
const OWNER_ONLY = 0o700
const MAX_TRIES = 5
/** The number of digits of an instant in milliseconds. All names have the same number of digits, so that sorting by name sorts by time. */
const NAME_DIGITS = 15
const SEGMENT_NAME = /^\d{15}-[\da-f]{8}\.spill$/

export interface SpillsParts {
  /** The folder of all apps. */
  readonly dir: string
  /** The name of this app's folder, which differs from those of other apps on this host: letters, digits, `-` and `_`. */
  readonly app: string
  readonly observer: Pick<SinkObserver, 'spilling' | 'drained' | 'damaged' | 'adopted'>
  readonly journal: SpillJournal
  readonly log: Logger
}

/**
 * The spills of one process, each in its own folder: `<dir>/<app>/<process>/<sink>`.
 *
 * The process holds a lock on its folder until it ends. Then another process of the same app takes over the remaining batches.
 */
export class Spills {
  readonly #parts: SpillsParts
  readonly #appFolder: string
  readonly #own: string
  readonly #unlock: () => void
  readonly #tag: string
  readonly #queues = new Map<string, DiskSpill>()
  #lastName = 0
  #timer: NodeJS.Timeout | undefined
  #adopting: Promise<void> | undefined

  /** Creates and locks the folder of this process. @throws PikoError `SINK_FAILED` if the folder can't be created or locked */
  static async open(parts: SpillsParts): Promise<Spills> {
    const appFolder = resolve(parts.dir, parts.app)
    let cause: unknown = new Error("it can't be locked")
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const own = `${appFolder}/${randomUUID()}`
      try {
        await mkdir(own, { recursive: true, mode: OWNER_ONLY })
        const unlock = lockFolder(own)
        // Another process may have found the folder before it was locked, and may have removed it.
        if (unlock && (await exists(`${own}/lock`))) return new Spills(parts, appFolder, own, unlock)
        unlock?.()
      } catch (error) {
        cause = error
        break
      }
    }
    throw new PikoError(
      'SINK_FAILED',
      `the folder ${appFolder} for spilled batches can't be used: ${headline(cause)}. Set [sinks] spill_dir to a folder that this process may write to`,
      { cause, details: { folder: appFolder } },
    )
  }

  private constructor(parts: SpillsParts, appFolder: string, own: string, unlock: () => void) {
    this.#parts = parts
    this.#appFolder = appFolder
    this.#own = own
    this.#unlock = unlock
    this.#tag = own.slice(-8)
  }

  async queueOf(sink: string, policy: SpillPolicy): Promise<DiskSpill> {
    const known = this.#queues.get(sink)
    if (known) return known
    const folder = `${this.#own}/${sinkFolder(sink)}`
    await mkdir(folder, { mode: OWNER_ONLY })
    await syncFolder(this.#own)
    const { observer, journal } = this.#parts
    const queue = new DiskSpill({ sink, folder, policy, observer, journal, nextName: () => this.#nextName() })
    this.#queues.set(sink, queue)
    return queue
  }

  /** Takes over batches of known sinks that ended processes have left, now and every ten seconds. */
  async adopt(): Promise<void> {
    await this.#adoptOnce()
    this.#timer ??= setInterval(() => {
      this.#adoptOnce().catch((error: unknown) => {
        this.#parts.log.warn(
          { err: error },
          'could not search for batches left on disk by processes that have ended; trying again in ten seconds',
        )
      })
    }, ADOPT_EVERY_MS).unref()
  }

  async close(): Promise<void> {
    clearInterval(this.#timer)
    await this.#adopting
    for (const queue of this.#queues.values()) await queue.close()
    await removeEmpty(this.#own)
    this.#unlock()
  }

  #adoptOnce(): Promise<void> {
    return (this.#adopting ??= this.#adoptAll().finally(() => (this.#adopting = undefined)))
  }

  async #adoptAll(): Promise<void> {
    for (const name of await namesIn(this.#appFolder)) {
      const folder = `${this.#appFolder}/${name}`
      if (folder === this.#own) continue
      const unlock = (await exists(`${folder}/lock`)) ? lockFolder(folder) : undefined
      if (!unlock) continue
      try {
        for (const sink of this.#queues.keys()) await this.#take(folder, sink)
        // The folder is removed under the lock, so that no other process takes it over at the same time.
        await removeEmpty(folder)
      } finally {
        unlock()
      }
    }
  }

  /** Moves the files of a sink to this process's folder. After a crash, each file is in exactly one of the two folders. */
  async #take(from: string, sink: string): Promise<void> {
    const queue = this.#queues.get(sink)
    const source = `${from}/${sinkFolder(sink)}`
    const target = `${this.#own}/${sinkFolder(sink)}`
    const names = await namesIn(source)
    if (!queue || names.length === 0) return
    // State files are moved first, so that no segment arrives without its state.
    for (const name of names.toSorted((a, b) => Number(SEGMENT_NAME.test(a)) - Number(SEGMENT_NAME.test(b)))) {
      await rename(`${source}/${name}`, `${target}/${name}`)
    }
    await syncFolder(target)
    await syncFolder(source)
    const segments: Segment[] = []
    for (const name of segmentsOf(names)) {
      const segment = new Segment(target, name)
      await segment.load()
      segments.push(segment)
    }
    const bytes = segments.reduce((sum, { durable }) => sum + durable, 0)
    if (segments.length > 0) this.#parts.observer.adopted({ sink, segments: segments.length, bytes })
    queue.adopt(segments)
  }

  #nextName(): string {
    this.#lastName = Math.max(this.#lastName + 1, systemClock.now())
    return `${String(this.#lastName).padStart(NAME_DIGITS, '0')}-${this.#tag}.spill`
  }
}

/** Returns the names of segments among files, including those that only have a state file. */
function segmentsOf(names: readonly string[]): string[] {
  const found = names.map((name) => name.replace(/\.state$/, '')).filter((name) => SEGMENT_NAME.test(name))
  return [...new Set(found)].toSorted()
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}

/** Removes the folder of a process if it contains no files of any sink. */
async function removeEmpty(folder: string): Promise<void> {
  const isEmpty = await Promise.all(
    (await namesIn(folder)).map(async (name) => name === 'lock' || (await removed(`${folder}/${name}`))),
  )
  if (isEmpty.includes(false)) return
  await rm(`${folder}/lock`, { force: true })
  await removed(folder)
}

async function removed(folder: string): Promise<boolean> {
  return rmdir(folder).then(
    () => true,
    () => false,
  )
}
