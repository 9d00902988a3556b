import { createHash, randomUUID } from 'node:crypto'
import { mkdir, open, readdir, rename, rm, stat, unlink } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { systemClock } from '../../clock.ts'
import { propertyOf } from '../../errors-read.ts'
import { PikoError } from '../../errors.ts'

/** Below the sink's folder; begins with a dot, so that readers of a folder skip it. */
const OWN_FOLDER = '.piko'
/** A temporary file without a write for this time belongs to a process that has ended. */
const ABANDONED_MS = 24 * 3_600_000
const MAX_REMOVALS = 20

/** One file of a set, written and ready to be published. */
export interface FinishedFile {
  readonly temporary: string
  /** Its path below the root. */
  readonly path: string
}

/**
 * Publishes files so that a set of a smaller fence never replaces one of a larger fence, without locks.
 *
 * Each attempt writes in a temporary folder of its own. To publish, it announces its fence as an empty file, deletes the temporary folders
 * of smaller fences, and then renames its files. An overtaken writer may stop at any point and continue later: before its renames it finds
 * the larger fence, or its folder is gone and they fail. Each step is a single operation of the file system. So this also holds for nodes
 * that share a disk, if each of them sees the others' new files immediately.
 */
export class FencedFiles {
  readonly #root: string
  readonly #temporary: string

  constructor(root: string) {
    this.#root = root
    this.#temporary = join(root, OWN_FOLDER, 'tmp')
  }

  /** Creates the folders, and deletes the temporary files of processes that ended long ago. */
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
   * @param set identifies the files that are published together: their path, without the number of the part
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
   * Moves the files of a temporary folder to their places, and deletes the parts that an earlier run left.
   *
   * @param isPart whether a name in the folder of the set belongs to the set
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
      // Moved and not deleted, so that an overtaken writer can't delete a part of a newer run: its temporary folder is gone.
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

  /** The folders of smaller fences are gone when this resolves, even if their writers are still at work. */
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
      `file ${join(this.#root, set)}: the run with fence ${fence} is stale, for ${by} writes this file; nothing was replaced`,
      { details: { file: set, fence, ...(newer !== undefined && { newerFence: newer }) } },
    )
  }
}

function hashOf(set: string): string {
  return createHash('sha256').update(set).digest('hex').slice(0, 32)
}

/** A writer may add files to the folder while it is deleted. */
async function remove(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true, maxRetries: MAX_REMOVALS, retryDelay: 10 })
}

/** When the folder or a file in it was last written to, in milliseconds since the epoch. */
async function lastWritten(folder: string, now: number): Promise<number> {
  const names = (await orAbsent(readdir(folder))) ?? []
  const stats = await Promise.all(
    [folder, ...names.map((name) => join(folder, name))].map((path) => orAbsent(stat(path))),
  )
  return Math.max(...stats.map((found) => found?.mtimeMs ?? now))
}

/** Undefined if a file or folder does not exist. */
async function orAbsent<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work
  } catch (error) {
    if (propertyOf(error, 'code') !== 'ENOENT') throw error
    return undefined
  }
}

/** Makes the new names in a folder survive a power failure. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
