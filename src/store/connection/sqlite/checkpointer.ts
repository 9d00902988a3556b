import { isGuardRunning, startGuard } from '../../../guard-thread.ts'
import { startThread } from '../../../thread-module.ts'
import type { CheckpointRequest } from './checkpoint-file.ts'
import { openedFiles } from './sqlite-files.ts'

/** Copies the write-ahead log of a database file to the file itself. `isLarge`: this may take longer than a second. */
export type Checkpoint = (path: string, isLarge: boolean) => Promise<void>

/**
 * When a commit of the connection itself runs a checkpoint: after the usual number of pages, never, or only if the thread does not keep up.
 */
export type AutomaticCheckpoint = 'usual' | 'never' | 'late'

/**
 * If small commits have changed this many rows within the time below, a thread runs a checkpoint. Claims and outcomes of as many runs fill
 * about half of the 1,000 pages after which SQLite runs one itself.
 */
const MANY_ROWS = 8_000
const SOON_MS = 1_000

/**
 * Runs checkpoints in a thread, because they would block the event loop. After a commit that makes the log longer than 1,000 pages, SQLite
 * copies the whole log into the database. With 100,000 rows, that takes longer than the commit itself.
 *
 * While a thread runs the checkpoint of a large commit, this connection's own checkpoints are off. They are on again afterwards, even if the
 * thread failed. While many small commits follow one another, they only come later: the thread has copied most pages before.
 */
export class Checkpointer {
  readonly #path: string
  readonly #setAutomatic: (when: AutomaticCheckpoint) => void
  readonly #checkpoint: Checkpoint
  readonly #hasThread: () => boolean
  #running: Promise<void> | undefined
  #isAskedAgain = false
  #held = 0
  /** How many rows small commits have changed since the time below, or since the last checkpoint that was asked for. */
  #rows = 0
  #since = -Infinity
  #isLate = false

  /**
   * @param setAutomatic decides when the connection runs its own checkpoints
   * @param hasThread whether short checkpoints run in a thread. To start a thread takes longer than one of them, so they share the thread
   *   that nodes have for their leases
   */
  constructor(
    path: string,
    setAutomatic: (when: AutomaticCheckpoint) => void,
    checkpoint: Checkpoint = inThread,
    hasThread: () => boolean = isGuardRunning,
  ) {
    this.#path = path
    this.#setAutomatic = setAutomatic
    this.#checkpoint = checkpoint
    this.#hasThread = hasThread
  }

  /** Commits without a checkpoint. Then starts a checkpoint without waiting for it. */
  commit(commit: () => void): void {
    if (this.#held++ === 0) this.#setAutomatic('never')
    try {
      commit()
    } finally {
      void this.#ask(true).then(() => {
        if (--this.#held === 0) this.#resume()
      })
    }
  }

  /** Counts the rows that a small commit has changed. After many of them in a short time, starts a checkpoint without waiting for it. */
  changed(rows: number): void {
    if (rows === 0 || this.#running) return
    const now = performance.now()
    if (now - this.#since > SOON_MS) {
      if (this.#isLate) this.#resume()
      this.#since = now
      this.#rows = 0
    }
    this.#rows += rows
    if (this.#rows < MANY_ROWS) return
    this.#rows = 0
    this.#since = now
    const isLate = this.#hasThread()
    if (isLate && !this.#isLate) this.#setAutomatic('late')
    else if (!isLate && this.#isLate) this.#resume()
    this.#isLate = isLate
    if (isLate) void this.#ask(false)
  }

  #resume(): void {
    try {
      this.#setAutomatic('usual')
      this.#isLate = false
    } catch {
      // The connection is closed, so it runs no more checkpoints.
      return
    }
  }

  /** Resolves when no checkpoint is running. */
  async idle(): Promise<void> {
    await this.#running
  }

  /** Runs one checkpoint at a time. Requests during a checkpoint share the next one. Never rejects. */
  #ask(isLarge: boolean): Promise<void> {
    this.#isAskedAgain = this.#running !== undefined
    this.#running ??= this.#run(isLarge).finally(() => (this.#running = undefined))
    return this.#running
  }

  async #run(isLarge: boolean): Promise<void> {
    do {
      this.#isAskedAgain = false
      // Later commits encounter the same fault, such as a full disk, and report it.
      await this.#checkpoint(this.#path, isLarge).catch(() => {})
      // Only a large commit asks again.
      isLarge = true
    } while (this.#isAskedAgain)
  }
}

function inThread(path: string, isLarge: boolean): Promise<void> {
  return isLarge ? inOwnThread(path) : inGuardThread(path)
}

async function inGuardThread(path: string): Promise<void> {
  const request: CheckpointRequest = { path, files: openedFiles(path) }
  const ended = Promise.withResolvers<void>()
  const { port } = startGuard('checkpoint-guard', import.meta.url, request)
  port.once('close', () => ended.resolve())
  // The process must not end while `idle` is awaited.
  port.ref()
  await ended.promise
}

function inOwnThread(path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const request: CheckpointRequest = { path, files: openedFiles(path) }
    const thread = startThread('checkpoint-thread', import.meta.url, { workerData: request, name: 'piko checkpoint' })
    thread.on('error', reject)
    thread.on('exit', () => resolve())
  })
}
