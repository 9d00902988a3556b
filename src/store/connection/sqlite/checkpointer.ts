import { startThread } from '../../../thread-module.ts'
// `import type` is required. With an inline `type`, an import statement without names would remain, and would run the thread's code here.
import type { CheckpointRequest } from './checkpoint-thread.ts'
import { openedFiles } from './sqlite-files.ts'

/** Copies the write-ahead log of a database file to the file itself. */
export type Checkpoint = (path: string) => Promise<void>

/**
 * Runs the checkpoints of large commits in a thread, because they would block the event loop. After a commit that makes the log longer than
 * 1,000 pages, SQLite copies the whole log into the database. With 100,000 rows, that takes longer than the commit itself.
 *
 * While a thread runs the checkpoint, this connection's own checkpoints are off. They are on again afterwards, even if the thread failed.
 */
export class Checkpointer {
  readonly #path: string
  readonly #setAutomatic: (isAutomatic: boolean) => void
  readonly #checkpoint: Checkpoint
  #running: Promise<void> | undefined
  #isAskedAgain = false
  #held = 0

  /** @param setAutomatic switches the connection's own checkpoints on or off */
  constructor(path: string, setAutomatic: (isAutomatic: boolean) => void, checkpoint: Checkpoint = inThread) {
    this.#path = path
    this.#setAutomatic = setAutomatic
    this.#checkpoint = checkpoint
  }

  /** Commits without a checkpoint. Then starts a checkpoint without waiting for it. */
  commit(commit: () => void): void {
    if (this.#held++ === 0) this.#setAutomatic(false)
    try {
      commit()
    } finally {
      void this.#ask().then(() => {
        if (--this.#held === 0) this.#resume()
      })
    }
  }

  #resume(): void {
    try {
      this.#setAutomatic(true)
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
  #ask(): Promise<void> {
    this.#isAskedAgain = this.#running !== undefined
    this.#running ??= this.#run().finally(() => (this.#running = undefined))
    return this.#running
  }

  async #run(): Promise<void> {
    do {
      this.#isAskedAgain = false
      // Later commits encounter the same fault, such as a full disk, and report it.
      await this.#checkpoint(this.#path).catch(() => {})
    } while (this.#isAskedAgain)
  }
}

function inThread(path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const request: CheckpointRequest = { path, files: openedFiles(path) }
    const thread = startThread('checkpoint-thread', import.meta.url, { workerData: request, name: 'piko checkpoint' })
    thread.on('error', reject)
    thread.on('exit', () => resolve())
  })
}
