import { createHash, randomUUID } from 'node:crypto'
import { mkdir, open, readdir, rename, rm, stat, unlink } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { systemClock } from '../../clock.ts'
import { propertyOf } from '../../errors-read.ts'
import { PikoError } from '../../errors.ts'

/** A folder within the sink's folder. Its name begins with a dot, so that programs that read the files skip it. */
const OWN_FOLDER = '.piko'
/** A temporary folder without a write for this time is assumed to belong to a process that has ended. */
const ABANDONED_MS = 24 * 3_600_000
const MAX_REMOVALS = 20

/** One file of a set: its temporary path, and its path when it is published. */
export interface FinishedFile {
  readonly temporary: string
  /** The path of the file below the root. */
  readonly path: string
}

/**
 * Publishes sets of files without locks. A set with a smaller fence never replaces a set with a larger fence.
 *
 * Each attempt writes to its own temporary folder. To publish, it announces its fence as an empty file, deletes the temporary folders of
 * smaller fences, and then renames its files. A writer with a smaller fence may stop at any point and continue later. Then it finds the
 * larger fence before its renames, or its folder no longer exists and the renames fail. Each step is a single operation of the file system.
 * So this also holds for nodes that share a disk, if each node sees the new files of the others immediately.
 */
export class FencedFiles {
  readonly #root: string
  readonly #temporary: string

  constructor(root: string) {
    this.#root = root
    this.#temporary = join(root, OWN_FOLDER, 'tmp')
  }

  /** Creates the folder for temporary files, and deletes the folders in it to which nothing was written for a day. */
  async open(now = systemClock.now()): Promise<void> {
    await mkdir(this.#temporary, { recursive: true })
    for (const name of await readdir(this.#temporary)) {
      const folder = join(this.#temporary, name)
      if (now - (await lastWritten(folder, now)) > ABANDONED_MS) await remove(folder)
    }
  }

  /**
   * Creates a folder for the temporary files of an attempt. {@link publish} or {@link discard} deletes it.
   *
   * @param set identifies the files that are published together: their path, with `{part}` in place of a part's number
   * @throws PikoError `SINK_FAILED` if a run with a larger fence has begun to write the set
   */
  async begin(set: string, fence: number): Promise<string> {
    const folder = join(this.#temporary, `${hashOf(set)}.${fence}.${randomUUID()}`)
    await mkdir(folder, { recursive: true })
    await this.#announce(set, fence)
    try {
      await this.#refuseStale(set, fence)
    } catch (error) {
      await remove(folder)
      throw error
    }
    return folder
  }

  async discard(folder: string): Promise<void> {
    await remove(folder)
  }

  /**
   * Moves the files of a temporary folder to their final places, and deletes other parts of the set from earlier runs.
   *
   * @param isPart whether a file in the folder of the set belongs to the set, by its name
   * @throws PikoError `SINK_FAILED` if a run with a larger fence has begun to write the set
   */
  async publish(
    { set, fence, folder }: { readonly set: string; readonly fence: number; readonly folder: string },
    files: readonly FinishedFile[],
    isPart: (name: string) => boolean,
  ): Promise<void> {
    await this.#announce(set, fence)
    await this.#sweep(set, fence)
    await this.#refuseStale(set, fence)
    const move = async (from: string, to: string): Promise<void> => {
      if ((await orAbsent(rename(from, to).then(() => true))) !== true) throw this.#stale(set, fence)
    }
    const target = dirname(join(this.#root, set))
    await mkdir(target, { recursive: true })
    for (const { temporary, path } of files) await move(temporary, join(this.#root, path))
    const written = new Set(files.map(({ path }) => basename(path)))
    for (const name of await readdir(target)) {
      // Old parts are moved to the writer's own folder instead of being deleted. So a writer with a smaller fence can't remove parts of a
      // newer run: its own folder no longer exists, and the move fails.
      if (isPart(name) && !written.has(name)) await move(join(target, name), join(folder, `old-${name}`))
    }
    await syncFolder(target)
    await remove(folder)
    await this.#forgetOlder(set, fence)
  }

  async #announce(set: string, fence: number): Promise<void> {
    const folder = this.#fences(set)
    await mkdir(folder, { recursive: true })
    await (await open(join(folder, String(fence)), 'a')).close()
  }

  /** Deletes the temporary folders of smaller fences, even if their writers are still active. */
  async #sweep(set: string, fence: number): Promise<void> {
    const prefix = `${hashOf(set)}.`
    for (const name of await readdir(this.#temporary)) {
      if (!name.startsWith(prefix)) continue
      if (Number(name.slice(prefix.length).split('.')[0]) < fence) await remove(join(this.#temporary, name))
    }
  }

  async #refuseStale(set: string, fence: number): Promise<void> {
    const fences = await this.#announced(set)
    const newer = Math.max(...fences)
    if (newer > fence) throw this.#stale(set, fence, newer)
  }

  async #forgetOlder(set: string, fence: number): Promise<void> {
    for (const older of await this.#announced(set)) {
      if (older < fence) await orAbsent(unlink(join(this.#fences(set), String(older))))
    }
  }

  async #announced(set: string): Promise<number[]> {
    return ((await orAbsent(readdir(this.#fences(set)))) ?? []).map(Number).filter(Number.isSafeInteger)
  }

  #fences(set: string): string {
    const hash = hashOf(set)
    return join(this.#root, OWN_FOLDER, 'fences', hash.slice(0, 2), hash.slice(2))
  }

  #stale(set: string, fence: number, newer?: number): PikoError {
    const by = newer === undefined ? 'a newer run' : `a run with fence ${newer}`
    return new PikoError(
      'SINK_FAILED',
      `file ${join(this.#root, set)}: the run with fence ${fence} is stale, because ${by} writes this file; nothing was replaced`,
      { details: { file: set, fence, ...(newer !== undefined && { newerFence: newer }) } },
    )
  }
}

function hashOf(set: string): string {
  return createHash('sha256').update(set).digest('hex').slice(0, 32)
}

/** Deletes a folder. Tries several times, because a writer may add files to the folder in the meantime. */
async function remove(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true, maxRetries: MAX_REMOVALS, retryDelay: 10 })
}

/** Returns when the folder or a file in it was last written to, in milliseconds since the epoch. */
async function lastWritten(folder: string, now: number): Promise<number> {
  const names = (await orAbsent(readdir(folder))) ?? []
  const stats = await Promise.all(
    [folder, ...names.map((name) => join(folder, name))].map((path) => orAbsent(stat(path))),
  )
  return Math.max(...stats.map((found) => found?.mtimeMs ?? now))
}

/** Resolves with undefined if a file or folder does not exist. */
async function orAbsent<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work
  } catch (error) {
    if (propertyOf(error, 'code') !== 'ENOENT') throw error
    return undefined
  }
}

/** Makes new names in a folder durable, so that they survive a power failure. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
