import { Worker } from 'node:worker_threads'
import { threadLoader, threadModule } from '../../thread-module.ts'
// Not inline: an import that is left without names would still run the thread's code in this one.
import type { CheckpointRequest } from './checkpoint-thread.ts'
import { openedFiles } from './sqlite-files.ts'

/** Copies the log of a file into the file itself. */
export type Checkpoint = (path: string) => Promise<void>

/**
 * Keeps the event loop free of the checkpoints of large commits. SQLite copies its log into the database after a commit that makes the
 * log longer than 1,000 pages, all in one go: after a hundred thousand rows that takes longer than all of the commit.
 *
 * Meanwhile no commit of this connection checks the length of the log. Whatever comes of the thread, the next one after it does.
 */
export class Checkpointer {
  readonly #path: string
  readonly #setAutomatic: (isAutomatic: boolean) => void
  readonly #checkpoint: Checkpoint
  #running: Promise<void> | undefined
  #isAskedAgain = false
  #held = 0

  /** @param setAutomatic switches the checkpoints of the connection itself on and off */
  constructor(path: string, setAutomatic: (isAutomatic: boolean) => void, checkpoint: Checkpoint = inThread) {
    this.#path = path
    this.#setAutomatic = setAutomatic
    this.#checkpoint = checkpoint
  }

  /** Commits without a checkpoint. One follows that nobody waits for. */
  async commit(commit: () => Promise<void>): Promise<void> {
    if (this.#held++ === 0) this.#setAutomatic(false)
    try {
      await commit()
    } finally {
      void this.#ask().then(() => {
        if (--this.#held === 0) this.#setAutomatic(true)
      })
    }
  }

  /** Resolves when no checkpoint is under way. */
  async idle(): Promise<void> {
    await this.#running
  }

  /** One at a time; those that are asked for meanwhile are one. Never rejects. */
  #ask(): Promise<void> {
    this.#isAskedAgain = this.#running !== undefined
    this.#running ??= this.#run().finally(() => (this.#running = undefined))
    return this.#running
  }

  async #run(): Promise<void> {
    do {
      this.#isAskedAgain = false
      // Full disks and the like: the commits to come meet them too, and say so.
      await this.#checkpoint(this.#path).catch(() => {})
    } while (this.#isAskedAgain)
  }
}

function inThread(path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const request: CheckpointRequest = { path, files: openedFiles(path) }
    const thread = new Worker(threadModule('checkpoint-thread', import.meta.url), {
      workerData: request,
      // None of the process's own options.
      execArgv: [...threadLoader],
      name: 'piko checkpoint',
    })
    thread.on('error', reject)
    thread.on('exit', () => resolve())
  })
}
